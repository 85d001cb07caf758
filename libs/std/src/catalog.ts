import { assert } from './errors.ts'

/**
 * Turns the modules of a ⟨catalogue⟩ folder into a map by name, sorted. The list of modules is the folder's generated
 * `_catalog.ts`, which `npm run tidy -- --fix` writes and the tidy test compares with the folder.
 * @throws BugError when two entries share a name
 */
export function defineCatalog<T>(entries: readonly T[], nameOf: (entry: T) => string): ReadonlyMap<string, T> {
  const catalog = new Map<string, T>()
  for (const entry of [...entries].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    assert(!catalog.has(nameOf(entry)), `two catalogue entries are named ${nameOf(entry)}`)
    catalog.set(nameOf(entry), entry)
  }
  return catalog
}

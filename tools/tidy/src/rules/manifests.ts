import { basename, join } from 'node:path'
import { type Finding, read, readImportTable } from '../repository.ts'

/** Each package.json and tsconfig.json says what the import table says. */
export default function manifests(): Finding[] {
  const table = readImportTable()
  return Object.entries(table.packages).flatMap(([folder, may]) => [
    ...dependencies(folder, may, table.testOnly),
    ...references(folder, may, Object.keys(table.packages)),
    ...description(folder),
  ])
}

function dependencies(folder: string, may: readonly string[], testOnly: readonly string[]): Finding[] {
  const where = `${folder}/package.json`
  const manifest = JSON.parse(read(where))
  const declared = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@ambient-lab/'))
  const allowed = may.map((name) => `@ambient-lab/${name}`)
  return [
    ...declared
      .filter((name) => !allowed.includes(name))
      .map((name) => ({ where, what: `${name} is not in the import table` })),
    ...allowed
      .filter((name) => !declared.includes(name) && !testOnly.includes(basename(name)))
      .map((name) => ({ where, what: `${name} is in the import table and not in dependencies` })),
  ]
}

function references(folder: string, may: readonly string[], folders: readonly string[]): Finding[] {
  const where = `${folder}/tsconfig.json`
  const declared: { path: string }[] = JSON.parse(read(where)).references
  const actual = declared.map(({ path }) => join(folder, path))
  const wanted = may.map((name) => folders.find((other) => basename(other) === name && !other.startsWith('apps/'))!)
  const missing = wanted.filter((path) => !actual.includes(path))
  const extra = actual.filter((path) => !wanted.includes(path))
  return [
    ...missing.map((path) => ({ where, what: `reference ${path} is missing` })),
    ...extra.map((path) => ({ where, what: `reference ${path} is not in the import table` })),
  ]
}

function description(folder: string): Finding[] {
  const readme = read(`${folder}/README.md`)
  return readme.length > 200
    ? []
    : [{ where: `${folder}/README.md`, what: 'says nothing: what is it, what is it not, files in reading order' }]
}

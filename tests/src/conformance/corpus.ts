import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CorpusCase } from './judge.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** AMBIENT_CORPUS, or the folder beside the repository. */
export function defaultCorpora(environment: Readonly<Record<string, string | undefined>>): string {
  return resolve(ROOT, environment.AMBIENT_CORPUS || '../shared/corpus')
}

/** One corpus: a folder with a cases.json and the files that its cases name, by paths relative to it. */
export class CorpusFolder {
  readonly name: string
  readonly path: string

  constructor(path: string, name: string) {
    this.path = path
    this.name = name
  }

  text(file: string): string {
    return readFileSync(join(this.path, file), 'utf8')
  }

  /** Of a file that the corpus promises to be of this shape. */
  json<T>(file: string): T {
    return JSON.parse(this.text(file))
  }

  /** @throws Error when cases.json is not of the documented shape */
  cases(): readonly CorpusCase[] {
    const { items } = this.json<{ readonly items?: readonly CorpusCase[] }>('cases.json')
    if (!Array.isArray(items)) throw new Error(`${join(this.path, 'cases.json')} has no list "items"`)
    const broken = items.find(({ id, area }) => typeof id !== 'string' || typeof area !== 'string')
    if (broken)
      throw new Error(`${join(this.path, 'cases.json')}: an item without id or area: ${JSON.stringify(broken)}`)
    return items
  }
}

/** Every folder in `path` that has a cases.json, by name; undefined when there is no such folder at all. */
export function findCorpora(path: string): readonly CorpusFolder[] | undefined {
  if (!existsSync(path)) return undefined
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(path, entry.name, 'cases.json')))
    .map(({ name }) => new CorpusFolder(join(path, name), name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

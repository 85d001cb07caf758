import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

export interface ImportTable {
  /** Package folder → the packages it may import, by folder name. */
  readonly packages: Readonly<Record<string, readonly string[]>>
  /** Packages that only tests may import. */
  readonly testOnly: readonly string[]
  /** Third-party package → path prefixes where it may be imported. */
  readonly external: Readonly<Record<string, readonly string[]>>
}

/** One breach of a rule: where, what, and how to mend it. */
export interface Finding {
  readonly where: string
  readonly what: string
}

export function readImportTable(): ImportTable {
  return JSON.parse(read('import-table.json'))
}

/** A file of the repository, by its path from the root. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Paths from the root, sorted; nothing that is built or installed. */
export function find(pattern: string): string[] {
  return globSync(pattern, {
    cwd: ROOT,
    exclude: (path) => ['node_modules', 'dist', 'out-tsc', '.nx', '.git', 'test-results'].includes(basename(path)),
  })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
}

export function isTest(path: string): boolean {
  return (
    /\.(test|conformance)\.tsx?$/.test(path) ||
    path.startsWith('tests/') ||
    path.includes('/bench/') ||
    path.includes('/test-kit/')
  )
}

/** The package folder that a file belongs to. */
export function packageOf(path: string, table: ImportTable): string | undefined {
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    if (folder in table.packages) return folder
  }
  return undefined
}

/** Every module specifier that a source text imports, with its line. */
export function importsOf(source: string): { specifier: string; line: number; typeOnly: boolean }[] {
  const found: { specifier: string; line: number; typeOnly: boolean }[] = []
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s)?[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g
  for (const match of source.matchAll(pattern)) {
    const specifier = match[3] ?? match[4] ?? match[5]
    if (!specifier || specifier.includes('${')) continue
    found.push({
      specifier,
      line: source.slice(0, match.index + match[0].length).split('\n').length,
      typeOnly: match[2] !== undefined,
    })
  }
  return found
}

import { describe, expect, test } from 'vitest'
import { type ImportTable, importsOf } from './repository.ts'
import catalogues, { renderCatalogue } from './rules/catalogues.ts'
import imports, { judge } from './rules/imports.ts'
import manifests from './rules/manifests.ts'
import sizes from './rules/sizes.ts'
import text from './rules/text.ts'

describe('the repository keeps its own rules', () => {
  test.each(Object.entries({ imports, manifests, catalogues, text, sizes }))('%s', (_, rule) => {
    expect(rule().map(({ where, what }) => `${where}: ${what}`)).toEqual([])
  })
})

describe('the import rule can fail', () => {
  const table: ImportTable = {
    packages: {
      'libs/std': [],
      'libs/pki': ['std'],
      'libs/api': ['std'],
      'libs/testing': ['std'],
      'apps/tui': ['api'],
    },
    testOnly: ['testing'],
    external: { yaml: ['libs/api/src/manifest.ts'] },
  }

  test.each([
    ['libs/pki/src/a.ts', '@ambient-lab/std', undefined],
    ['libs/std/src/a.ts', '@ambient-lab/pki', 'libs/std may not import pki (import-table.json)'],
    ['apps/tui/src/main.ts', '@ambient-lab/pki', 'apps/tui may not import pki (import-table.json)'],
    ['libs/pki/src/a.ts', '@ambient-lab/pki', 'pki imports itself: use a relative path'],
    ['libs/pki/src/a.ts', '@ambient-lab/testing', 'testing is for tests only'],
    ['libs/pki/src/a.test.ts', '@ambient-lab/testing', undefined],
    [
      'libs/pki/src/a.ts',
      '../../std/src/clock.ts',
      '../../std/src/clock.ts leaves the package: import it by its package name',
    ],
    ['libs/pki/src/a.ts', './b', './b has no file extension'],
    ['libs/api/src/manifest.ts', 'yaml', undefined],
    ['libs/api/src/kind.ts', 'yaml', 'yaml lives in libs/api/src/manifest.ts only'],
    ['libs/api/src/kind.ts', 'lodash/fp', 'lodash is not in the import table: a new dependency brings a decision note'],
    ['libs/api/src/kind.ts', 'node:fs', undefined],
  ])('%s importing %s', (path, specifier, expected) => {
    expect(judge(path, specifier, table)).toBe(expected)
  })
})

test('imports are found in every form', () => {
  const source = `import a, { b } from 'one'\nimport type { C } from "two"\nexport * from './three.ts'\nconst d = await import('four')\nimport 'five'\nimport {\n  e,\n} from 'six'\n`
  expect(importsOf(source).map(({ specifier }) => specifier)).toEqual([
    'one',
    'two',
    './three.ts',
    'four',
    'five',
    'six',
  ])
})

test('a catalogue lists its files in order, with identifiers that JavaScript takes', () => {
  expect(renderCatalogue(['tcp-echo.ts', 'delete.ts'])).toContain(
    "import deleteEntry from './delete.ts'\nimport tcpEcho from './tcp-echo.ts'\n\nexport default [deleteEntry, tcpEcho] as const\n",
  )
})

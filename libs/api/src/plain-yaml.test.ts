import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { LineCounter, parseAllDocuments } from 'yaml'
import { NESTING_MAX } from './limits.ts'
import { loadManifest, stringifyYaml } from './manifest.ts'
import { readPlainYaml } from './plain-yaml.ts'

const values = (text: string) => readPlainYaml(text)?.map(({ value }) => value)

/** What the library makes of it, as manifest.ts asks it; undefined where it finds a mistake. */
function libraryDocuments(text: string) {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !/:(timestamp|binary)$/.test(tag.tag)),
  })
  const documents = 'empty' in parsed ? [] : parsed
  if (documents.some(({ errors }) => errors.length > 0)) return undefined
  return documents
    .filter(({ contents }) => contents !== null && !('value' in contents && contents.value === null))
    .map((document) => {
      const { line, col } = lines.linePos(document.contents!.range[0])
      return { value: document.toJS() as unknown, line, column: col }
    })
}

describe('what is plain', () => {
  it.each([
    ['a: b\n', [{ a: 'b' }]],
    ['a: 1\nb: -20\nc: 0', [{ a: 1, b: -20, c: 0 }]],
    ['a: "0"\nb: \'x y\'\nc: ""', [{ a: '0', b: 'x y', c: '' }]],
    ['a: true\nb: false\nc:\nd:\n', [{ a: true, b: false, c: null, d: null }]],
    ['a: {}\nb: []', [{ a: {}, b: [] }]],
    ['a:\n- b\n- c: 1\n  d: 2\ne: f', [{ a: ['b', { c: 1, d: 2 }], e: 'f' }]],
    ['a:\n    - b: 1\n    -   c: 2\n        d: 3', [{ a: [{ b: 1 }, { c: 2, d: 3 }] }]],
    ['a:\n  - b:\n    - 1\n    c: x', [{ a: [{ b: [1], c: 'x' }] }]],
    ['# head\n\na: b   \n  # between\nc: d\n', [{ a: 'b', c: 'd' }]],
    ['---\na: 1\n---   \n---\nb: 2\n---\n', [{ a: 1 }, { b: 2 }]],
    ['app.kubernetes.io/name: istio.io/x:y, z', [{ 'app.kubernetes.io/name': 'istio.io/x:y, z' }]],
    ['a: 10.0.0.1\nb: 10.0.0.0/8\nc: 5s\nd: 100m', [{ a: '10.0.0.1', b: '10.0.0.0/8', c: '5s', d: '100m' }]],
    ['', []],
    ['# nothing\n', []],
  ])('reads %j', (text, expected) => {
    expect(values(text)).toEqual(expected)
    expect(libraryDocuments(text)?.map(({ value }) => value)).toEqual(expected)
  })

  it.each([
    'a: &x 1',
    'a: *x',
    'a: !!str 1',
    'a: |\n  text',
    'a: >\n  text',
    'a: [1]',
    'a: {b: 1}',
    '{"a": 1}',
    '? a\n: b',
    'a: b # c',
    'a: b: c',
    'a: 1.5',
    'a: 1e3',
    'a: 0x10',
    'a: 010',
    'a: 1_000',
    'a: 12:30:45',
    'a: 2001-01-01',
    'a: yes',
    'a: No',
    'a: ON',
    'a: y',
    'a: NULL',
    'a: ~',
    'a: "\\n"',
    "a: 'it''s'",
    'y: 1',
    'true: 1',
    '1: a',
    '"a": b',
    '<<: {}',
    'a: 1\na: 2',
    '__proto__: 1',
    'a: b\n  c',
    'a: "b\n  c"',
    'a:\n  b: 1\n c: 2',
    'a: 1\n  b: 2',
    '- - a',
    '-',
    '-\n  a: 1',
    'a:\tb',
    'a: b\r\n',
    'a: ü',
    '%YAML 1.1\n---\na: b',
    'a: b\n...\n',
    '--- a\n',
    'word',
    'a: b\nword',
    'a: -',
    'a: ?',
    'a: b:',
    'a: @b',
    'a: `b',
    'a: .5',
    'a: +1',
    'a: 12345678901234567890',
  ])('leaves %j to the library', (text) => {
    expect(values(text)).toBeUndefined()
  })

  it('leaves to the library what is nested without end', () => {
    const text = Array.from({ length: NESTING_MAX + 1 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('')
    expect(values(text)).toBeUndefined()
  })

  it('knows where documents begin', () => {
    const text = '# one\n\na: 1\n---\n# two\n  b: 2\n'
    expect(readPlainYaml(text)).toMatchObject([
      { line: 3, column: 1, offset: 7 },
      { line: 6, column: 3 },
    ])
    expect(libraryDocuments(text)).toMatchObject([
      { line: 3, column: 1 },
      { line: 6, column: 3 },
    ])
  })
})

const random = new SeededRandom(7)
const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!

const PIECES = [
  ...[
    'a',
    'b.c/d',
    'kind',
    ': ',
    ':',
    '- ',
    '-',
    '\n',
    '\n',
    '\n  ',
    '\n    ',
    '\n- ',
    '\n  - ',
    '---\n',
    '\n---',
    ' ',
  ],
  ...[
    '1',
    '0',
    '-3',
    '1.5',
    '10.0.0.1',
    '5s',
    '"x"',
    "'y'",
    '"',
    'true',
    'no',
    '~',
    '{}',
    '[]',
    '{',
    '|',
    '>',
    '&a',
    '*a',
  ],
  ...[
    '#',
    ' # c',
    '\n# c',
    '!',
    '%',
    '_',
    '/',
    'x y',
    '=',
    ',',
    '?',
    '...',
    '0x1',
    'e',
    'k: v',
    '\nk: v',
    '\n  k: v',
    'z:\n',
  ],
]

it('reads what the library reads, or nothing: 20,000 texts of pieces', () => {
  let plain = 0
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: 1 + random.integer(14) }, () => pick(PIECES)).join('')
    const found = readPlainYaml(text)
    if (!found) continue
    plain += 1
    const expected = libraryDocuments(text)
    expect(found, JSON.stringify(text)).toMatchObject(expected ?? [{ value: 'an error' }])
    expect(found.length, JSON.stringify(text)).toBe(expected!.length)
  }
  expect(plain).toBeGreaterThan(1000)
})

const SCALARS = [
  'a',
  'x y',
  'istio.io/x',
  '10.0.0.1',
  '',
  0,
  8080,
  -1,
  true,
  false,
  null,
  'true',
  '0',
  'a:b',
  'ü',
  '1.5',
  1.5,
]

function randomValue(depth: number): unknown {
  const shape = depth > 4 ? 2 : random.integer(4)
  if (shape === 0) return Array.from({ length: random.integer(4) }, () => randomValue(depth + 1))
  if (shape === 1) {
    const keys = ['name', 'app.kubernetes.io/name', 'y', 'port', 'x-1', 'a']
    return Object.fromEntries(Array.from({ length: random.integer(4) }, () => [pick(keys), randomValue(depth + 1)]))
  }
  return pick(SCALARS)
}

it('takes back what is written, as the library does', async () => {
  let plain = 0
  for (let round = 0; round < 500; round += 1) {
    const objects = Array.from({ length: 3 }, () => ({ kind: 'X', spec: randomValue(0) }))
    const text = await stringifyYaml(objects)
    const found = values(text)
    if (!found) continue
    plain += 1
    expect(found).toEqual(objects)
  }
  expect(plain).toBeGreaterThan(50)
})

it('a mistake in a plain manifest is told with its line', async () => {
  const text = 'apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n    - port: 0\n'
  expect(readPlainYaml(text)).toBeDefined()
  const two = `# first\n---\n${text}---\n${text}`
  await expect(loadManifest(two, { file: 'x.yaml' })).rejects.toMatchObject({
    message: expect.stringMatching(/^x\.yaml:9:7: spec\.ports\[0\]\.port.*\nx\.yaml:17:7: /),
  })
})

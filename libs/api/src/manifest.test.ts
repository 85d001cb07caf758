import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { CodedError } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ALIASES_MAX, MANIFEST_CHARACTERS_MAX, NESTING_MAX } from './limits.ts'
import { formatFinding, formatPosition, loadManifest, parseManifest, parseYaml, stringifyYaml } from './manifest.ts'

const file = 'a.yaml'

const SERVICE = `# a comment
apiVersion: v1
kind: Service
metadata:
  name: web
  labels: {istio.io/rev: x}
spec:
  ports:
    - name: http
      port: 80
    - port: 99999
`

describe('resources', () => {
  test('several documents, with namespaces filled in where they belong', async () => {
    const text = `${SERVICE.replace('99999', '81').replace('- port', '- name: b\n      port')}---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n`
    const { resources } = await loadManifest(text, { file, defaultNamespace: 'shop' })
    expect(resources.map(({ object }) => object.metadata)).toEqual([
      { name: 'web', labels: { 'istio.io/rev': 'x' }, namespace: 'shop' },
      { name: 'shop' },
    ])
    expect(resources[0]!.position).toEqual({ file, line: 2, column: 1 })
  })

  test('JSON', async () => {
    const text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}'
    expect((await loadManifest(text)).resources[0]!.object).toEqual(JSON.parse(text))
  })

  test('items of a List stand for themselves', async () => {
    const text =
      'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec: {}\n'
    const { resources, problems } = await parseManifest(text, { file })
    expect(resources.map(({ definition }) => definition.kind)).toEqual(['Pod'])
    expect(problems.map(formatFinding)).toEqual(['a.yaml:7:3: spec.containers: Required value'])
  })

  test('unknown kinds are passed over, with their place', async () => {
    const text = `${SERVICE.replace('    - port: 99999\n', '')}---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n`
    const { resources, unknownKinds } = await loadManifest(text, { file })
    expect(resources).toHaveLength(1)
    expect(unknownKinds).toEqual([
      { apiVersion: 'batch/v1', kind: 'Job', name: 'a', position: { file, line: 12, column: 1 } },
    ])
  })

  test('fields of nobody are kept, and told', async () => {
    const text = 'apiVersion: ambient.lab/v1\nkind: Lab\nmetadata: {name: a}\nspec:\n  nodez: []\n'
    const { resources, warnings } = await loadManifest(text, { file })
    expect(resources[0]!.object.spec).toEqual({ nodez: [] })
    expect(warnings.map(formatFinding)).toEqual(['a.yaml:5:3: spec.nodez: unknown field (did you mean "nodes"?)'])
  })

  test('nothing at all', async () => {
    expect((await loadManifest('')).resources).toEqual([])
    expect((await loadManifest('# only a comment\n---\n')).resources).toEqual([])
  })
})

describe('problems', () => {
  test('carry the place of the field', async () => {
    const { problems } = await parseManifest(SERVICE, { file })
    expect(problems.map(formatFinding)).toEqual([
      'a.yaml:11:7: spec.ports[1].port: Invalid value: 99999: must be between 1 and 65535, inclusive',
    ])
    await expect(loadManifest(SERVICE, { file })).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: problems.map(formatFinding).join('\n'),
    })
  })

  test('any path is found, or what is around it', async () => {
    const { at } = (await parseManifest(SERVICE, { file })).resources[0]!
    const place = (path: string) => formatPosition(at(path))
    expect(place('metadata.labels[istio.io/rev]')).toBe('a.yaml:6:12')
    expect(place('spec.ports[1].missing')).toBe('a.yaml:11:7')
    expect(place('spec.ports[7]')).toBe('a.yaml:8:3')
    expect(place('nowhere')).toBe('a.yaml:2:1')
  })

  test('paths lead through aliases', async () => {
    const text = 'x: &ports [{port: 1}]\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: *ports}\n'
    expect(formatPosition((await parseManifest(text, { file })).resources[0]!.at('spec.ports[0].port'))).toBe(
      'a.yaml:1:13',
    )
  })

  test.each([
    ['kind: Pod\n', 'a.yaml:1:1: apiVersion: Required value'],
    ['apiVersion: v1\n', 'a.yaml:1:1: kind: Required value'],
    ['just text\n', 'a.yaml:1:1: Invalid value: want an object with apiVersion, kind and metadata'],
    ['apiVersion: v1\nkind: ConfigMap\n', 'a.yaml:1:1: metadata: Required value'],
  ])('%j', async (text, expected) => {
    expect((await parseManifest(text, { file })).problems.map(formatFinding)).toEqual([expected])
  })
})

describe('syntax', () => {
  test.each([
    ['a: [\n', 'a.yaml:2:1: '],
    ['a:\n\t- b\n', 'a.yaml:2:1: '],
    ['a: 1\nb: 2\na: 3\n', 'a.yaml:3:1: key "a" is here twice'],
    ['a: *nobody\n', 'a.yaml:1:4: '],
    ['a: &a [*a]\n', 'a.yaml:1:8: alias *a'],
    ['a: "x\n', 'a.yaml:'],
    ['<<: 1\n', 'a.yaml: '],
  ])('%j', async (text, expected) => {
    const error = await parseManifest(text, { file }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'MANIFEST_SYNTAX', message: expect.stringContaining(expected) })
  })

  test('the excerpt points', async () => {
    const error = await parseYaml('ok: 1\nb: 2\nok: 3\n', file).catch((reason: Error) => reason.message)
    expect(error).toBe('a.yaml:3:1: key "ok" is here twice\n2 | b: 2\n3 | ok: 3\n  | ^')
  })

  test('words and numbers are read as Kubernetes reads them', async () => {
    const text = 'a: yes\nb: 0644\nc: 12:30\nd: 2026-01-01\ne: off\nbase: &base {x: 1}\nf: {<<: *base, z: 2}\n'
    expect(await parseYaml(text)).toEqual({
      ...{ a: true, b: 420, c: '12:30', d: '2026-01-01', e: false },
      ...{ base: { x: 1 }, f: { x: 1, z: 2 } },
    })
  })
})

describe('bounds', () => {
  const doubling = 'bcdefghijk'
    .split('')
    .map((name, index) => `${name}: &${name} [${`*${'abcdefghij'[index]},`.repeat(9)}]`)

  test.each([
    ['a billion laughs', `a: &a [x]\n${doubling.join('\n')}`],
    ['too many aliases', `a: &a 1\nb:\n${'- *a\n'.repeat(ALIASES_MAX)}`],
    ['brackets', '['.repeat(NESTING_MAX + 1)],
    ['brackets of both kinds', '{a: ['.repeat(NESTING_MAX)],
    ['indentation', Array.from({ length: NESTING_MAX + 2 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['dashes', `${'- '.repeat(NESTING_MAX + 1)}a`],
    ['dashes of nothing', '- '.repeat(100_000)],
    ['documents', '---\n'.repeat(20_000)],
    ['length', `a: ${'x'.repeat(MANIFEST_CHARACTERS_MAX)}`],
  ])('%s', async (_, text) => {
    await expect(parseManifest(text)).rejects.toMatchObject({ code: 'MANIFEST_TOO_LARGE' })
  })

  test('brackets in text are no nesting', async () => {
    const script = '  printf "\\033[31m{"\n'.repeat(NESTING_MAX * 2)
    expect(await parseYaml(`a: |\n${script}`)).toHaveProperty('a')
  })

  test('a hundred thousand keys are read in a moment', async () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `key${index}: ${index}`).join('\n')
    expect(Object.keys((await parseYaml(text)) as object)).toHaveLength(20_000)
  })
})

test('what is written is read back', async () => {
  const objects = [
    { a: 'yes', b: '0644', c: '1e3', d: 'null', e: ['- x', 'k: v', ''], f: 'two\nlines\n', g: 'y', h: '~' },
  ]
  expect(await parseYaml(await stringifyYaml(objects))).toEqual(objects[0])
})

describe('whatever the text, only a coded error', () => {
  const fragment = fc.constantFrom(
    ...[
      'apiVersion: v1',
      'kind: List',
      'kind: Service',
      'items:',
      'metadata:',
      '  name: a',
      'spec:',
      '  ports:',
      '- ',
      '  ',
    ],
    ...[
      '\n',
      '\n',
      '\n',
      ': ',
      '&a ',
      '*a',
      '<<: *a',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '|',
      '>',
      '---',
      '...',
      '#',
      '!',
      '!!set',
      '? ',
      '%YAML 9',
    ],
    ...['null', '~', '0x', '.nan', '__proto__: x', '\t', '\u0000', '\ufeff', '\u2028', '😀', ',', '@', '`'],
  )

  test('made of pieces of YAML', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fragment, { maxLength: 30 }), async (pieces) => onlyCoded(pieces.join(''))),
      { numRuns: 3000, seed: 42 },
    )
  })

  test('made of a good manifest with holes', async () => {
    const good = readFileSync(
      fileURLToPath(new URL('../../../examples/tcp-echo/tcp-echo.yaml', import.meta.url)),
      'utf8',
    )
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length), fc.nat(40), fc.string({ maxLength: 5 }), async (start, length, insert) =>
        onlyCoded(good.slice(0, start) + insert + good.slice(start + length)),
      ),
      { numRuns: 300, seed: 42 },
    )
  })

  async function onlyCoded(text: string): Promise<void> {
    try {
      const { resources, problems, warnings } = await parseManifest(text, { defaultNamespace: 'default' })
      for (const { position } of [...resources, ...problems, ...warnings]) expect(position.line).toBeGreaterThan(0)
    } catch (error) {
      if (!CodedError.is(error)) throw error
    }
  }
})

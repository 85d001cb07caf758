import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyDefaults } from './apply-defaults.ts'
import { KINDS } from './registry.ts'
import type { Resource } from './resource.ts'
import { renderTable } from './table.ts'
import { validateResource } from './validate.ts'

const field = fc.constantFrom(
  ...['spec', 'metadata', 'name', 'labels', 'type', 'ports', 'port', 'from', 'to', 'params', 'duration', 'containers'],
  ...['selector', 'matchLabels', 'template', 'rules', 'when', 'url', 'rate', 'nodes', 'links', 'listeners', 'status'],
  ...['data', 'stringData', 'endpoints', 'conditions', 'portLevelMtls', '__proto__', 'toString'],
)

const word = fc.constantFrom(
  null,
  1,
  true,
  '',
  'a',
  '1s',
  'link.delay',
  'partition',
  'http://a/',
  '1/s',
  'n1',
  'ClusterIP',
)

/** Objects with the right words in the wrong places. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    word,
    fc.dictionary(field, tie('value')),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
}))

test('whatever is sent, every kind answers with findings', () => {
  fc.assert(
    fc.property(fc.dictionary(field, value), fc.boolean(), (fields, named) => {
      for (const definition of KINDS) {
        const metadata = named ? { metadata: { name: 'a' } } : {}
        const object = { apiVersion: 'v1', kind: definition.kind, ...fields, ...metadata } as unknown as Resource
        const filled = applyDefaults(definition, object)
        expect(Array.isArray(validateResource(definition, filled).errors)).toBe(true)
        if (named) renderTable(definition, [filled], 0)
      }
    }),
    { numRuns: 300, seed: 3 },
  )
})

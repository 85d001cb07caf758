import { describe, expect, it } from 'vitest'
import { HONOURED_BY, honourOf } from './honoured-by.ts'
import { findKindByName, KINDS } from './registry.ts'
import { schemaAt } from './schema-path.ts'

const nameOf = ({ group, kind }: { group: string; kind: string }) => `${group}/${kind}`

describe('what is known about layers', () => {
  it('is about every kind, and about no other', () => {
    expect(Object.keys(HONOURED_BY).sort()).toEqual(KINDS.map(nameOf).sort())
  })

  it.each(KINDS.map((definition) => [nameOf(definition), definition] as const))(
    'of %s names fields that it has',
    (name, definition) => {
      for (const path of Object.keys(HONOURED_BY[name]!.fields ?? {})) {
        // Fields that the schema leaves open are fields all the same.
        const words = path.split('.')
        const parent = schemaAt(definition.schema, words.slice(0, -1))
        const isOpen = parent?.['x-kubernetes-preserve-unknown-fields'] === true
        expect(schemaAt(definition.schema, words) !== undefined || isOpen, path).toBe(true)
      }
    },
  )

  it.each([
    ['l4trafficpolicies', [], 'lab'],
    ['l4trafficpolicies', ['spec', 'rateLimit', 'local'], 'lab'],
    ['authorizationpolicies', [], 'L4 and L7'],
    ['authorizationpolicies', ['spec', 'selector', 'matchLabels'], 'L4'],
    ['authorizationpolicies', ['spec', 'rules', 'to', 'operation', 'methods'], 'L7'],
    ['authorizationpolicies', ['spec', 'rules', 'to', 'operation', 'ports'], 'L4 and L7'],
    ['destinationrules', ['spec', 'trafficPolicy'], 'L7'],
    ['peerauthentications', ['spec', 'mtls', 'mode'], 'L4'],
    ['udproutes', [], 'none'],
  ])('says of %s %j: %s', (type, path, layer) => {
    expect(honourOf(findKindByName(type)!, path).layer).toBe(layer)
  })

  it('says plainly that Istio has no L4TrafficPolicy', () => {
    expect(honourOf(findKindByName('l4tp')!).says).toMatch(/Istio’s ztunnel has nothing of it/)
  })
})

import type { Resource } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { applyConfiguration } from './apply.ts'
import { fromFields, toFields } from './managed-fields.ts'

const config = (spec: object, labels?: Record<string, string>): Resource => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'default', ...(labels && { labels }) },
  spec,
})
const apply = (current: Resource | undefined, applied: Resource, manager = 'me', nowMs = 0) =>
  applyConfiguration(current, applied, { manager, nowMs })

describe('applyConfiguration', () => {
  it('takes back fields, labels and items that the manager no longer says, and no others', () => {
    const first = apply(
      undefined,
      config(
        { replicas: 1, paused: true, template: { spec: { containers: [{ name: 'a' }, { name: 'b' }] } } },
        { x: '1', y: '1' },
      ),
    )
    const touched = { ...first, metadata: { ...first.metadata, labels: { ...first.metadata.labels, foreign: '1' } } }
    const second = apply(
      touched,
      config({ replicas: 2, template: { spec: { containers: [{ name: 'b', image: 'i' }] } } }, { y: '2' }),
    )
    expect(second.spec).toEqual({ replicas: 2, template: { spec: { containers: [{ name: 'b', image: 'i' }] } } })
    expect(second.metadata.labels).toEqual({ y: '2', foreign: '1' })
  })

  it('keeps managers apart', () => {
    const mine = apply(undefined, config({ replicas: 1 }), 'me')
    const both = apply(mine, config({ paused: true }), 'you')
    expect(both.spec).toEqual({ replicas: 1, paused: true })
    expect(apply(both, config({}), 'you').spec).toEqual({ replicas: 1 })
  })

  it('changes nothing when nothing changed, not even the time', () => {
    const first = apply(undefined, config({ replicas: 1 }), 'me', 0)
    expect(apply(first, config({ replicas: 1 }), 'me', 60_000)).toEqual(first)
  })

  it('survives a note that somebody else wrote badly', () => {
    const first = apply(undefined, config({ replicas: 1 }))
    const entry = { manager: 'me', operation: 'Apply', fieldsV1: { 'f:spec': { 'k:{broken': {}, x: 1 } } }
    const odd = { ...first, metadata: { ...first.metadata, managedFields: [null, 7, entry] } }
    expect(apply(odd, config({ replicas: 2 })).spec).toEqual({ replicas: 2 })
  })
})

describe('FieldsV1', () => {
  it('keeps the shape of a configuration', () => {
    const shape = {
      spec: {
        replicas: 3,
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        args: ['a'],
        template: { labels: { a: 'b' } },
      },
    }
    const fields = toFields(shape)
    expect(fields).toEqual({
      'f:spec': {
        'f:replicas': {},
        'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { 'f:containerPort': {}, 'f:protocol': {} } },
        'f:args': {},
        'f:template': { 'f:labels': { 'f:a': {} } },
      },
    })
    expect(fromFields(fields)).toEqual({
      spec: {
        replicas: {},
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        args: {},
        template: { labels: { a: {} } },
      },
    })
  })
})

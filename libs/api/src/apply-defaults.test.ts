import { expect, test } from 'vitest'
import { applyDefaults } from './apply-defaults.ts'
import { resolvePercent, resolveTargetPort } from './int-or-string.ts'
import { findKindByName } from './registry.ts'
import type { Resource } from './resource.ts'

function defaulted(kind: string, fields: object): Resource {
  return applyDefaults(findKindByName(kind)!, {
    apiVersion: 'v1',
    kind,
    metadata: { name: 'a' },
    ...fields,
  } as Resource)
}

test('a Service gets its type, protocols and target ports', () => {
  expect(
    defaulted('service', { spec: { ports: [{ port: 80 }, { port: 81, targetPort: 'web', protocol: 'UDP' }] } }).spec,
  ).toEqual({
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    ports: [
      { port: 80, targetPort: 80, protocol: 'TCP' },
      { port: 81, targetPort: 'web', protocol: 'UDP' },
    ],
  })
})

test('a Deployment gets replicas, a strategy, and its template a restart policy', () => {
  const template = { spec: { containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] } }
  expect(defaulted('deployment', { spec: { selector: {}, template } }).spec).toMatchObject({
    replicas: 1,
    strategy: { type: 'RollingUpdate' },
    template: {
      spec: { restartPolicy: 'Always', containers: [{ name: 'a', ports: [{ containerPort: 80, protocol: 'TCP' }] }] },
    },
  })
})

test('a Pod gets the default service account', () => {
  expect(defaulted('pod', { spec: { containers: [{ name: 'a' }] } }).spec).toMatchObject({
    serviceAccountName: 'default',
  })
})

test('stringData moves into data', () => {
  const secret = defaulted('secret', { data: { a: 'eA==' }, stringData: { b: 'hello' } })
  expect(secret).toMatchObject({ type: 'Opaque', data: { a: 'eA==', b: 'aGVsbG8=' } })
  expect(secret).not.toHaveProperty('stringData')
})

test('nothing missing: the same object', () => {
  const service = defaulted('service', { spec: { ports: [{ port: 80 }] } })
  expect(applyDefaults(findKindByName('service')!, service)).toBe(service)
})

test.each([
  ['service', { spec: { ports: 'none' } }],
  ['service', { spec: { ports: [7, null] } }],
  ['secret', { stringData: { a: 1 } }],
  ['deployment', { spec: [] }],
  ['pod', { spec: null, metadata: null }],
])('a %s of the wrong shape is left for validation: %j', (kind, fields) => {
  expect(() => defaulted(kind, fields)).not.toThrow()
})

test('a namespace on an object of the whole cluster is dropped', () => {
  expect(defaulted('node', { metadata: { name: 'n1', namespace: 'x' } }).metadata).toEqual({ name: 'n1' })
})

test('shares of a whole', () => {
  expect(resolvePercent('25%', 10, 'up')).toBe(3)
  expect(resolvePercent('25%', 10, 'down')).toBe(2)
  expect(resolvePercent(4, 10, 'up')).toBe(4)
  expect(resolvePercent('some', 10, 'up')).toBeUndefined()
})

test('target ports by name', () => {
  const containers = [{ ports: [{ name: 'web', containerPort: 8080 }] }, {}]
  expect(resolveTargetPort(80, containers)).toBe(80)
  expect(resolveTargetPort('web', containers)).toBe(8080)
  expect(resolveTargetPort('web', containers, 'UDP')).toBeUndefined()
  expect(resolveTargetPort('other', containers)).toBeUndefined()
})

import { expect, test } from 'vitest'
import {
  controllerOf,
  controllerReference,
  describeReference,
  formatApiVersion,
  parseApiVersion,
  parseNamespacedName,
  parseTypedName,
} from './reference.ts'

test('names with and without a namespace', () => {
  expect(parseNamespacedName('shop/pay', 'default')).toEqual({ namespace: 'shop', name: 'pay' })
  expect(parseNamespacedName('pay', 'default')).toEqual({ namespace: 'default', name: 'pay' })
})

test.each([
  ['deploy/curl', { type: 'deploy', name: 'curl' }],
  ['curl', undefined],
  ['a/b/c', undefined],
  ['/b', undefined],
  ['a/', undefined],
])('%s', (text, expected) => {
  expect(parseTypedName(text)).toEqual(expected)
})

test.each(['v1', 'apps/v1', 'security.istio.io/v1beta1'])('%s is read and written', (text) => {
  const { group, version } = parseApiVersion(text)
  expect(formatApiVersion(group, version)).toBe(text)
})

test('an owner that controls', () => {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'web', namespace: 'shop', uid: 'u' } }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', ownerReferences: [controllerReference(owner)] },
  }
  expect(controllerOf(pod)).toMatchObject({ kind: 'ReplicaSet', uid: 'u', controller: true })
  expect(describeReference(owner)).toBe('ReplicaSet/web.shop')
})

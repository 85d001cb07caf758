import { expect, it } from 'vitest'
import type { Node } from './resources/index.ts'
import { NODE_TYPE } from './resources/index.ts'
import { contentVersion, VersionedResources } from './versioned-resources.ts'

const NODE: Node = { name: 'n1', podCidr: '10.244.1.0/24', status: 'HEALTHY' }

it('gives the same content the same version, whatever the order of its keys', () => {
  expect(contentVersion({ a: 1, b: { c: [1, 2], d: 3 } })).toBe(contentVersion({ b: { d: 3, c: [1, 2] }, a: 1 }))
  expect(contentVersion({ a: [1, 2] })).not.toBe(contentVersion({ a: [2, 1] }))
})

it('tells of changes and of nothing else', () => {
  const resources = new VersionedResources()
  const changes: string[] = []
  resources.onChange(({ name }) => changes.push(name))
  expect(resources.set(NODE_TYPE, 'n1', NODE)).toBe(true)
  expect(resources.set(NODE_TYPE, 'n1', { ...NODE })).toBe(false)
  expect(resources.set(NODE_TYPE, 'n1', { ...NODE, status: 'UNHEALTHY' })).toBe(true)
  expect(resources.delete(NODE_TYPE, 'n1')).toBe(true)
  expect(resources.delete(NODE_TYPE, 'n1')).toBe(false)
  expect(changes).toEqual(['n1', 'n1', 'n1'])
})

it('counts a change of the nodes that may see a resource', () => {
  const resources = new VersionedResources()
  resources.set(NODE_TYPE, 'n1', NODE, ['a', 'c'])
  expect(resources.set(NODE_TYPE, 'n1', NODE, ['c', 'a'])).toBe(false)
  expect(resources.set(NODE_TYPE, 'n1', NODE, ['a', 'b'])).toBe(true)
  expect(resources.set(NODE_TYPE, 'n1', NODE)).toBe(true)
})

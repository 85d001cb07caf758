import { describe, expect, test } from 'vitest'
import { findKind, findKindByName, findKindByResource, KINDS, kindsInCategory, qualifiedName } from './registry.ts'

describe('findKindByName', () => {
  test.each([
    ['pods', 'pods'],
    ['Pod', 'pods'],
    ['po', 'pods'],
    ['wl', 'pods'],
    ['workload', 'pods'],
    ['svc', 'services'],
    ['deploy', 'deployments.apps'],
    ['deployments.apps', 'deployments.apps'],
    ['deployment.v1.apps', 'deployments.apps'],
    ['pol', 'authorizationpolicies.security.istio.io'],
    ['hr', 'httproutes.gateway.networking.k8s.io'],
    ['wp', 'gateways.gateway.networking.k8s.io'],
    ['con', 'connections.ambient.lab'],
    ['flt', 'faults.ambient.lab'],
    ['gateways', 'gateways.gateway.networking.k8s.io'],
    ['gw', 'gateways.networking.istio.io'],
    ['gateways.networking.istio.io', 'gateways.networking.istio.io'],
    ['gateways.v1alpha3.networking.istio.io', 'gateways.networking.istio.io'],
  ])('%s is %s', (name, expected) => {
    expect(qualifiedName(findKindByName(name)!)).toBe(expected)
  })

  test.each(['', '.', 'podz', 'pods.apps', 'gateways.v9.networking.istio.io', '__proto__'])('%j is none', (name) => {
    expect(findKindByName(name)).toBeUndefined()
  })
})

test('a kind is found under each of its versions and under no other', () => {
  expect(findKind({ apiVersion: 'security.istio.io/v1beta1', kind: 'AuthorizationPolicy' })?.version).toBe('v1')
  expect(findKind({ apiVersion: 'security.istio.io/v2', kind: 'AuthorizationPolicy' })).toBeUndefined()
  expect(findKind({ apiVersion: 'apps/v1', kind: 'Pod' })).toBeUndefined()
  expect(findKindByResource({ group: '', version: 'v1', resource: 'pods' })?.kind).toBe('Pod')
  expect(findKindByResource({ group: 'apps', version: 'v1', resource: 'pods' })).toBeUndefined()
})

test('categories', () => {
  expect(kindsInCategory('all').map(({ plural }) => plural)).toEqual(['pods', 'services', 'deployments', 'replicasets'])
})

test('each short name belongs to one kind', () => {
  const names = KINDS.flatMap(({ shortNames = [] }) => shortNames)
  expect(names).toEqual([...new Set(names)])
})

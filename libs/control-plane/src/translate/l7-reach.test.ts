import type { Resource } from '@ambient-lab/api'
import { CLUSTER_TYPE, FILTER_CHAIN_TYPE, type FilterChain } from '@ambient-lab/xds'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  AUTHORIZATION_POLICIES,
  DESTINATION_RULES,
  HTTP_ROUTES,
  type KnownType,
  PODS,
  SERVICES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { L7Mesh, replica, route, service } from './l7-mesh.conformance.ts'
import type { Translator } from './translator.ts'

const SERVICES_COUNT = 50

describe('what a change reaches among many services', () => {
  const mesh = new L7Mesh()
  let translator: Translator

  beforeAll(async () => {
    await mesh.fill({ services: SERVICES_COUNT, routes: 100 })
    translator = mesh.translate()
  })

  async function reachOf(type: KnownType, object: Resource): Promise<{ translated: number; changed: string[] }> {
    const changed: string[] = []
    const stop = mesh.resources.onChange(({ name }) => changed.push(name))
    const before = translator.translationCount
    await mesh.put(type, object)
    stop()
    return { translated: translator.translationCount - before, changed }
  }

  it('is one chain for a route', async () => {
    const { translated, changed } = await reachOf(HTTP_ROUTES, route('r7', 's7', '/new'))
    expect(changed).toEqual(['default/waypoint|s7.default.svc.cluster.local|9080'])
    // The chain of its parent, and the clusters of what it sends to.
    expect(translated).toBe(2)
  })

  it('is both chains for a route that moves', async () => {
    const { changed } = await reachOf(HTTP_ROUTES, route('r8', 's9', '/v8'))
    expect(changed.sort()).toEqual([
      'default/waypoint|s8.default.svc.cluster.local|9080',
      'default/waypoint|s9.default.svc.cluster.local|9080',
    ])
  })

  it('is its own chain and clusters for a service, and those who send to it', async () => {
    const { changed } = await reachOf(SERVICES, {
      ...service('s3'),
      spec: {
        selector: { app: 's3' },
        ports: [
          { name: 'http', port: 9080 },
          { name: 'tcp', port: 90 },
        ],
      },
    })
    const host = 's3.default.svc.cluster.local'
    expect(changed.sort()).toEqual(
      [`default/${host}`, `default/waypoint|${host}|90`, `inbound-vip|90|tcp|${host}`].sort(),
    )
  })

  it('is one chain for a VirtualService, and one cluster for a DestinationRule', async () => {
    await mesh.cluster.remove(HTTP_ROUTES, 'default/r4')
    await mesh.cluster.remove(HTTP_ROUTES, 'default/r54')
    const metadata = { name: 's4', namespace: 'default' }
    const http = [{ route: [{ destination: { host: 's4', subset: 'v1' } }] }]
    const virtualService = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata }
    const first = await reachOf(VIRTUAL_SERVICES, { ...virtualService, spec: { hosts: ['s4'], http } })
    expect(first).toEqual({ translated: 2, changed: ['default/waypoint|s4.default.svc.cluster.local|9080'] })
    const subsets = [{ name: 'v1', labels: { version: 'v1' } }]
    const rule = { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata }
    const second = await reachOf(DESTINATION_RULES, { ...rule, spec: { host: 's4', subsets } })
    expect(second).toEqual({ translated: 1, changed: ['inbound-vip|9080|http/v1|s4.default.svc.cluster.local'] })
  })

  it('is one chain for a policy of a service', async () => {
    const { translated, changed } = await reachOf(AUTHORIZATION_POLICIES, {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'guard', namespace: 'default' },
      spec: { targetRefs: [{ kind: 'Service', name: 's5' }], rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
    })
    expect(changed).toEqual(['default/waypoint|s5.default.svc.cluster.local|9080'])
    expect(translated).toBe(2)
  })

  it('is nothing for a change of a replica that is not its place', async () => {
    const pod = replica('waypoint-1', 'n1')
    const { changed } = await reachOf(PODS, { ...pod, status: { ...(pod.status as object), startTime: 'x' } })
    expect(changed).toEqual([])
  })

  it('is everything for another node that runs the waypoint', async () => {
    await reachOf(PODS, replica('waypoint-2', 'n2'))
    const chain = mesh.resources.get(FILTER_CHAIN_TYPE, 'default/waypoint|s1.default.svc.cluster.local|9080')
    expect(chain?.nodes).toEqual(['n1', 'n2'])
    for (const type of [FILTER_CHAIN_TYPE, CLUSTER_TYPE] as const) {
      for (const name of mesh.resources.names(type)) expect(mesh.resources.get(type, name)?.nodes).toEqual(['n1', 'n2'])
    }
  })

  it('comes to what a fresh start would come to', () => {
    const fresh = new L7Mesh()
    Object.assign(fresh, { cluster: mesh.cluster })
    fresh.translate()
    for (const type of [FILTER_CHAIN_TYPE, CLUSTER_TYPE] as const) {
      expect([...mesh.resources.names(type)].sort()).toEqual([...fresh.resources.names(type)].sort())
      for (const name of fresh.resources.names(type)) {
        expect(mesh.resources.get(type, name)).toEqual(fresh.resources.get(type, name))
      }
    }
    const guarded = fresh.resources.get(FILTER_CHAIN_TYPE, 'default/waypoint|s5.default.svc.cluster.local|9080')!
    expect((guarded.resource as FilterChain).http?.authorization).toHaveLength(1)
  })
})

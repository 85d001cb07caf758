import {
  conditionsOf,
  type Gateway,
  type HttpRoute,
  type Resource,
  type Service,
  type VirtualService,
} from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from '../control-plane.conformance.ts'
import {
  DESTINATION_RULES,
  GATEWAYS,
  HTTP_ROUTES,
  type KnownType,
  NAMESPACES,
  PODS,
  REQUEST_AUTHENTICATIONS,
  SERVICES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { IN_EFFECT, LOST_EFFECTS, lostRouteEffect } from './waypoint-effect.ts'

function object(kind: string, name: string, spec: object, more: object = {}): Resource {
  return { apiVersion: 'x/v1', kind, metadata: { name, namespace: 'default', ...more }, spec }
}

const WAYPOINT = {
  ...object('Gateway', 'wp', {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  }),
  status: { addresses: [{ type: 'Hostname', value: 'wp.default.svc.cluster.local' }] },
} as Gateway
const SERVICE = { ports: [{ name: 'http', port: 80 }] }
const LABELLED = { labels: { 'istio.io/use-waypoint': 'wp' } }
const WORLD: readonly [KnownType, Resource][] = [
  [GATEWAYS, WAYPOINT],
  [SERVICES, object('Service', 'bound', SERVICE, LABELLED)],
  [SERVICES, object('Service', 'bare', SERVICE)],
  [SERVICES, object('Service', 'plain', SERVICE)],
]
const lack = (who: string, kind: string) =>
  `${who} no waypoint, and ztunnel does not look into connections, so that this ${kind} has no effect on callers in the mesh. Deploy a waypoint proxy and label the service with istio.io/use-waypoint.`

describe('who asks for what only a waypoint does', () => {
  it.each<[string, object, string | undefined]>([
    ['has one', { hosts: ['bound'] }, undefined],
    ['has none', { hosts: ['bare'] }, lack('Service default/bare has', 'VirtualService')],
    [
      'has none for some hosts',
      { hosts: ['bare', 'bound', 'plain.default.svc.cluster.local'] },
      lack('Service default/bare, Service default/plain have', 'VirtualService'),
    ],
    ['names nobody', { hosts: ['gone', '*.example.com'] }, undefined],
    ['means gateways only', { hosts: ['bare'], gateways: ['gw'] }, undefined],
    [
      'means gateways too',
      { hosts: ['bare'], gateways: ['gw', 'mesh'] },
      lack('Service default/bare has', 'VirtualService'),
    ],
  ])('by a VirtualService: %s', (_, spec, message) => {
    const found = LOST_EFFECTS[VIRTUAL_SERVICES](object('VirtualService', 'vs', spec), viewOf(WORLD))
    expect(found?.message).toBe(message)
  })

  const POD = { nodeName: 'n1', containers: [{ name: 'istio-proxy' }] }
  const sidecar = {
    ...object('Pod', 'a', POD, { annotations: { 'sidecar.istio.io/status': '{}' }, labels: { app: 'a' } }),
    status: { podIP: '10.244.1.5', phase: 'Running' },
  }
  const ambient = object('Pod', 'b', POD, { annotations: { 'ambient.istio.io/redirection': 'enabled' } })
  it.each<[string, readonly [KnownType, Resource][], RegExp | undefined]>([
    ['nobody but ztunnels', [[PODS, ambient]], /has no effect on callers in the mesh\./],
    ['sidecars alone', [[PODS, sidecar]], undefined],
    [
      'both',
      [
        [PODS, sidecar],
        [PODS, ambient],
      ],
      /has no effect on callers without a sidecar\./,
    ],
  ])('where there are %s', (_title, pods, message) => {
    const found = LOST_EFFECTS[VIRTUAL_SERVICES](
      object('VirtualService', 'vs', { hosts: ['bare'] }),
      viewOf([...WORLD, ...pods]),
    )
    if (message) expect(found?.message).toMatch(message)
    else expect(found).toBeUndefined()
  })

  it('by a RequestAuthentication, unless it selects a pod with a sidecar', () => {
    const select = (app: string): Resource =>
      object('RequestAuthentication', app, { selector: { matchLabels: { app } } })
    const of = (policy: Resource) =>
      LOST_EFFECTS[REQUEST_AUTHENTICATIONS](
        policy,
        viewOf([
          [PODS, sidecar],
          [REQUEST_AUTHENTICATIONS, policy],
        ]),
      )
    expect(of(select('a'))).toBeUndefined()
    expect(of(select('other'))).toMatchObject({ reason: 'NoTarget' })
  })

  it.each([
    ['bound', undefined],
    ['bare', lack('Service default/bare has', 'DestinationRule')],
    ['gone', undefined],
  ])('by a DestinationRule: %s', (host, message) => {
    const found = LOST_EFFECTS[DESTINATION_RULES](object('DestinationRule', 'dr', { host }), viewOf(WORLD))
    expect(found?.message).toBe(message)
  })

  it.each([
    [{ group: '', kind: 'Service', name: 'bound' }, undefined],
    [{ group: '', kind: 'Service', name: 'bare' }, lack('Service default/bare has', 'HTTPRoute')],
    [{ group: '', kind: 'Service', name: 'gone' }, undefined],
    [{ name: 'wp' }, undefined],
  ])('by a route: %j', (parent, message) => {
    const route = object('HTTPRoute', 'route', { parentRefs: [parent] })
    expect(lostRouteEffect(route, parent, viewOf(WORLD))?.message).toBe(message)
  })

  it.each<[string, object, boolean]>([
    ['a waypoint', { targetRefs: [{ group: '', kind: 'Service', name: 'bare' }] }, true],
    ['workloads', { selector: { matchLabels: { app: 'httpbin' } } }, false],
    ['the namespace', {}, true],
    ['pods of a gateway', { selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'gw' } } }, true],
  ])('by a RequestAuthentication of %s', (_, spec, isFollowed) => {
    const labels = { 'gateway.networking.k8s.io/gateway-name': 'gw' }
    const policy = object('RequestAuthentication', 'jwt', spec)
    const view = viewOf([
      ...WORLD,
      [REQUEST_AUTHENTICATIONS, policy],
      [GATEWAYS, object('Gateway', 'gw', { gatewayClassName: 'istio', listeners: [] })],
      [PODS, { ...object('Pod', 'gw-1', { nodeName: 'n1' }, { labels }), status: { podIP: '10.244.1.9' } }],
    ])
    expect(LOST_EFFECTS[REQUEST_AUTHENTICATIONS](policy, view) === undefined).toBe(isFollowed)
  })
})

it('is told in the status, beside what Istio says, for as long as it is so', async () => {
  await using bench = await ControlPlaneBench.start()
  await bench.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  await bench.create(GATEWAYS, WAYPOINT)
  await bench.create(SERVICES, object('Service', 'bare', SERVICE) as Service)
  const parentRefs = [{ group: '', kind: 'Service', name: 'bare' }]
  await bench.create(HTTP_ROUTES, object('HTTPRoute', 'route', { parentRefs, rules: [] }) as HttpRoute)
  await bench.create(VIRTUAL_SERVICES, object('VirtualService', 'vs', { hosts: ['bare'] }) as VirtualService)
  const told = () => {
    const route = bench.get(HTTP_ROUTES, 'default/route').status?.parents?.[0]?.conditions ?? []
    const virtualService = conditionsOf(bench.get(VIRTUAL_SERVICES, 'default/vs'))
    return [route, virtualService].map((all) => all.map(({ type, status }) => `${type}=${status}`))
  }
  const accepted = ['Accepted=True', 'ResolvedRefs=True']
  expect(told()).toEqual([[...accepted, `${IN_EFFECT}=False`], [`${IN_EFFECT}=False`]])
  const label = (labels: Record<string, string>) =>
    bench.controlPlane.cluster.update(NAMESPACES, 'default', (current) => ({
      ...current,
      metadata: { ...current.metadata, labels },
    }))
  await label(LABELLED.labels)
  await bench.settle()
  expect(told()).toEqual([accepted, []])
  await label({})
  await bench.settle()
  expect(told()).toEqual([[...accepted, `${IN_EFFECT}=False`], [`${IN_EFFECT}=False`]])
})

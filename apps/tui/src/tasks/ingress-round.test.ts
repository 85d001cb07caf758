import type { AuthorizationPolicy, Gateway, HttpRoute, Service } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import type { EnforcementState } from './enforcement.ts'
import { ingressRound } from './ingress-round.ts'

const THERE = { state: 'ok', enforcedAt: ['shop/waypoint'] } as const
const policy = {
  ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'shop' } },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web' }] },
} as AuthorizationPolicy

function service(words: string): Service {
  const message = `Successfully attached to waypoint shop/waypoint${words}`
  const bound = { type: 'istio.io/WaypointBound', status: 'True', reason: 'WaypointAccepted', message }
  return {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' }, spec: {} },
    status: { conditions: [bound] },
  } as unknown as Service
}

const gateway = (name: string, gatewayClassName: string) =>
  ({ kind: 'Gateway', metadata: { name, namespace: 'shop' }, spec: { gatewayClassName } }) as unknown as Gateway

function route(parent: object, backend: object): HttpRoute {
  const spec = { parentRefs: [parent], rules: [{ backendRefs: [backend] }] }
  return { kind: 'HTTPRoute', metadata: { name: 'r', namespace: 'shop' }, spec } as unknown as HttpRoute
}

const DOOR = { name: 'door' }
const WEB = { name: 'web', port: 80 }
const USES = '. Ingress traffic will traverse the waypoint'

it.each<readonly [string, Partial<EnforcementState>, readonly string[]]>([
  ['a route from a gateway leads to it', { routes: [route(DOOR, WEB)] }, ['shop/door']],
  ['no route does', {}, []],
  ['the service asks for its waypoint there too', { services: [service(USES)], routes: [route(DOOR, WEB)] }, []],
  ['the route is a waypoint’s', { routes: [route({ name: 'waypoint' }, WEB)] }, []],
  ['the route is a service’s', { routes: [route({ kind: 'Service', group: '', name: 'web' }, WEB)] }, []],
  ['the route leads to a service of that name elsewhere', { routes: [route(DOOR, { ...WEB, namespace: 'x' })] }, []],
  ['the gateway is not there', { routes: [route({ ...DOOR, namespace: 'x' }, WEB)] }, []],
])('ingress goes round the waypoint: %s', (_, some, gateways) => {
  const state: EnforcementState = {
    ...{ policies: [], pods: [], services: [service('')], serviceEntries: [], routes: [] },
    gateways: [gateway('door', 'istio'), gateway('waypoint', 'istio-waypoint')],
    ...some,
  }
  expect(ingressRound(policy, THERE, state)).toEqual(gateways)
  expect(ingressRound(policy, { state: 'NOT ENFORCED', enforcedAt: [] }, state)).toEqual([])
})

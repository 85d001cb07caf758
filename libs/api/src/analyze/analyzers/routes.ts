import { GATEWAY_GROUP, type ParentReference } from '../../gateway-api.ts'
import destinationRuleKind from '../../kinds/destination-rule.ts'
import gatewayKind from '../../kinds/gateway.ts'
import grpcRouteKind from '../../kinds/grpc-route.ts'
import httpRouteKind from '../../kinds/http-route.ts'
import listenerSetKind from '../../kinds/listener-set.ts'
import serviceKind from '../../kinds/service.ts'
import serviceEntryKind from '../../kinds/service-entry.ts'
import tcpRouteKind from '../../kinds/tcp-route.ts'
import tlsRouteKind from '../../kinds/tls-route.ts'
import virtualServiceKind from '../../kinds/virtual-service.ts'
import { objectKey, type Resource } from '../../resource.ts'
import { hasAmbient, injects, waypointState } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'
import { findHost } from '../hosts.ts'

interface RouteSpec {
  readonly parentRefs?: readonly ParentReference[]
  readonly rules?: readonly {
    readonly backendRefs?: readonly {
      readonly group?: string
      readonly kind?: string
      readonly name: string
      readonly namespace?: string
    }[]
  }[]
}

const ROUTES = [httpRouteKind, grpcRouteKind, tcpRouteKind, tlsRouteKind] as const

/** What routes of the Gateway API name, and who follows routes in ambient mode. */
export default defineAnalyzer({
  name: 'routes',
  codes: ['AM1001', 'IST0101'],
  *find(world) {
    for (const kind of ROUTES) {
      for (const route of world.list<Resource<RouteSpec>>(kind as never)) {
        yield* findParents(world, route)
        yield* findBackends(world, route)
      }
    }
    if (hasAmbient(world)) yield* findIstioRules(world)
  },
})

function* findParents(world: AnalysisWorld, route: Resource<RouteSpec>): Iterable<Finding> {
  const own = route.metadata.namespace
  for (const [index, { group = GATEWAY_GROUP, kind = 'Gateway', name, namespace = own }] of (
    route.spec?.parentRefs ?? []
  ).entries()) {
    const path = `spec.parentRefs[${index}]`
    const parent = objectOf(world, `${group}/${kind}`, namespace, name)
    if (parent === 'unknown kind') continue
    if (!parent) yield finding('IST0101', route, [kind, `${namespace ?? ''}/${name}`], `${path}.name`)
    else if ((kind === 'Service' || kind === 'ServiceEntry') && waypointState(world, parent).state === 'none') {
      yield finding('AM1001', route, [objectKey(parent.metadata)], path)
    }
  }
}

function* findBackends(world: AnalysisWorld, route: Resource<RouteSpec>): Iterable<Finding> {
  const own = route.metadata.namespace
  for (const [rule, { backendRefs = [] }] of (route.spec?.rules ?? []).entries()) {
    for (const [index, { group = '', kind = 'Service', name, namespace = own }] of backendRefs.entries()) {
      if (objectOf(world, `${group}/${kind}`, namespace, name) !== undefined) continue
      yield finding(
        'IST0101',
        route,
        [kind, `${namespace ?? ''}/${name}`],
        `spec.rules[${rule}].backendRefs[${index}].name`,
      )
    }
  }
}

function objectOf(
  world: AnalysisWorld,
  kind: string,
  namespace: string | undefined,
  name: string,
): Resource | 'unknown kind' | undefined {
  switch (kind) {
    case `${GATEWAY_GROUP}/Gateway`:
      return world.get(gatewayKind, namespace, name)
    case `${GATEWAY_GROUP}/ListenerSet`:
      return world.get(listenerSetKind, namespace, name)
    case '/Service':
      return world.get(serviceKind, namespace, name)
    case 'networking.istio.io/ServiceEntry':
      return world.get(serviceEntryKind, namespace, name)
    default:
      return 'unknown kind'
  }
}

/** VirtualServices and DestinationRules about a service of ambient namespaces without a waypoint. */
function* findIstioRules(world: AnalysisWorld): Iterable<Finding> {
  for (const virtualService of world.list(virtualServiceKind)) {
    const { hosts = [], gateways = ['mesh'] } = virtualService.spec ?? {}
    if (!gateways.includes('mesh')) continue
    for (const [index, host] of hosts.entries()) yield* unfollowed(world, virtualService, host, `spec.hosts[${index}]`)
  }
  for (const rule of world.list(destinationRuleKind)) {
    if (rule.spec?.host !== undefined) yield* unfollowed(world, rule, rule.spec.host, 'spec.host')
  }
}

function* unfollowed(world: AnalysisWorld, rule: Resource, host: string, path: string): Iterable<Finding> {
  if (host.startsWith('*')) return
  const known = findHost(world, host, rule.metadata.namespace ?? '')?.object
  // Sidecars and gateways follow it all the same.
  if (known?.kind !== 'Service' || injects(world, known.metadata.namespace ?? '')) return
  if (waypointState(world, known).state !== 'none') return
  yield finding('AM1001', rule, [objectKey(known.metadata)], path)
}

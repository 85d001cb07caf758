import type { GrpcRoute, HttpRoute, ParentReference, TcpRoute, TlsRoute } from '@ambient-lab/api'
import type { FilterChain, HttpConnectionManager, TcpRoute as L4Route, Route, ServicePort } from '@ambient-lab/xds'
import { GRPC_ROUTES, HTTP_ROUTES, TCP_ROUTES, TLS_ROUTES } from '../stored-kinds.ts'
import { type ReferenceId, type RouteKind, referenceId } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { type ClusterNamer, gatewayClusterNamer, waypointClusterNamer } from './cluster-names.ts'
import { grpcRoutes, httpRoutes } from './http-route.ts'
import { l4Routes } from './l4-routes.ts'
import { inPrecedence } from './ranked-route.ts'
import { type Limits, waypointRateLimits, withRateLimits } from './rate-limits.ts'
import { DEFAULT_RETRY } from './retry-policy.ts'
import { type ChainSecurity, httpSecurity, securityOf, tcpSecurity } from './security.ts'
import { portTraffic, type RouteTarget, targetKey, targetReference } from './targets.ts'
import { appliesTo, virtualServiceRoutes } from './virtual-service.ts'
import { virtualServiceL4Routes } from './virtual-service-l4.ts'
import { isExportedTo } from './visibility.ts'

/** A waypoint by its Gateway. */
export interface WaypointRef {
  readonly namespace: string
  readonly name: string
}

const MESH = 'mesh'

/** Which proxies look at the traffic of a service: all that follows for its routes. */
export interface ChainSide {
  /** Of the proxies: routes of this namespace hold besides those of the service's own. */
  readonly namespace: string
  readonly clusterOf: (traffic: 'http' | 'tcp') => ClusterNamer
  /** Whether several share the routes, see RouteScope. */
  readonly isShared: boolean
}

/** The service's waypoint, which stands for every caller. */
export function waypointSide({ namespace }: Pick<WaypointRef, 'namespace'>): ChainSide {
  return { namespace, clusterOf: waypointClusterNamer, isShared: false }
}

/** The sidecars of the callers of one namespace. */
export function sidecarSide(namespace: string): ChainSide {
  return { namespace, clusterOf: () => gatewayClusterNamer, isShared: true }
}

/** What a waypoint does with the traffic of a service: one chain for each port. */
export function serviceChains(target: RouteTarget, waypoint: WaypointRef, view: TranslationView): FilterChain[] {
  const id = targetReference(target)
  const place = { security: securityOf(waypoint, id, view), limits: waypointRateLimits(waypoint, id, view) }
  return target.ports.map((port) => serviceChain(target, port, waypoint, place, view))
}

function serviceChain(
  target: RouteTarget,
  port: ServicePort,
  waypoint: WaypointRef,
  { security, limits }: { readonly security: ChainSecurity; readonly limits: Limits },
  view: TranslationView,
): FilterChain {
  const proxy = `${waypoint.namespace}/${waypoint.name}`
  const { servicePort } = port
  const traffic = portTraffic(port)
  const side = waypointSide(waypoint)
  return {
    name: `${proxy}|${target.hostname}|${servicePort}`,
    proxy,
    match: { kind: 'service', service: targetKey(target), port: servicePort },
    ...(traffic !== 'tcp' && {
      http: withRateLimits({ ...connectionManager(target, port, side, view), ...httpSecurity(security, view) }, limits),
    }),
    ...(traffic !== 'http' && {
      tcp: { routes: serviceL4Routes(target, port, side, view), ...tcpSecurity(security, view) },
    }),
    ...(traffic === 'sniff' && { sniff: true }),
  }
}

/** One virtual host takes every authority: the address that was dialled has said which service is meant. */
function connectionManager(
  target: RouteTarget,
  port: ServicePort,
  side: ChainSide,
  view: TranslationView,
): HttpConnectionManager {
  const routes = serviceRoutes(target, port, side, view)
  return {
    statPrefix: `inbound-vip|${port.servicePort}|http|${target.hostname}`,
    virtualHosts: [{ name: `inbound|http|${port.servicePort}`, domains: ['*'], routes }],
  }
}

/**
 * The HTTP routes of a port of a service, in the order in which they are tried: those of the Gateway API, else those of
 * VirtualServices, else the one that sends everything to the service itself.
 */
export function serviceRoutes(target: RouteTarget, port: ServicePort, side: ChainSide, view: TranslationView): Route[] {
  const context = { view, clusterOf: side.clusterOf('http'), enforceGrants: false }
  const ranked = [
    ...attached<HttpRoute>(HTTP_ROUTES, target, port, side, view).flatMap((route) => httpRoutes(route, context)),
    ...attached<GrpcRoute>(GRPC_ROUTES, target, port, side, view).flatMap((route) => grpcRoutes(route, context)),
  ]
  if (ranked.length > 0) return inPrecedence(ranked)
  const virtualServices = meshVirtualServices(target, side, view).filter(({ spec }) => spec?.http?.length)
  if (virtualServices.length === 0) return [defaultRoute(context.clusterOf(target, port.servicePort))]
  return virtualServiceRoutes(virtualServices, scopeOf(port, side), context)
}

/** Everything to one cluster, with the retries that are always there. */
export function defaultRoute(cluster: string): Route {
  return {
    name: 'default',
    match: {},
    action: { kind: 'forward', forward: { backends: [{ cluster, weight: 1 }], retry: DEFAULT_RETRY } },
  }
}

/** The same for connections: by server name first. */
export function serviceL4Routes(
  target: RouteTarget,
  port: ServicePort,
  side: ChainSide,
  view: TranslationView,
): L4Route[] {
  const context = { view, clusterOf: side.clusterOf('tcp'), enforceGrants: false }
  const routes = [
    ...attached<TlsRoute>(TLS_ROUTES, target, port, side, view)
      .filter(({ spec }) => spec?.hostnames?.includes(target.hostname))
      .flatMap((route) => l4Routes(route, [target.hostname], context)),
    ...attached<TcpRoute>(TCP_ROUTES, target, port, side, view).flatMap((route) => l4Routes(route, [], context)),
  ]
  const virtualServices = routes.length > 0 ? [] : meshVirtualServices(target, side, view)
  routes.push(...virtualServiceL4Routes(virtualServices, scopeOf(port, side), context, target.hostname))
  // What only names servers leaves all other connections to the service itself.
  if (routes.some(takesAll)) {
    return routes
  }
  const backends = [{ cluster: context.clusterOf(target, port.servicePort), weight: 1 }]
  return [...routes, { name: 'default', serverNames: [], destinationCidrs: [], backends }]
}

function takesAll({ serverNames, destinationCidrs, sourceLabels }: L4Route): boolean {
  return serverNames.length + destinationCidrs.length === 0 && sourceLabels === undefined
}

function scopeOf({ servicePort }: ServicePort, { namespace, isShared }: ChainSide) {
  return { port: servicePort, namespace, gateway: MESH, keepsSourceLabels: isShared }
}

function meshVirtualServices({ hostname }: RouteTarget, { namespace }: ChainSide, view: TranslationView) {
  return view.routes
    .virtualServicesOf(hostname)
    .filter((virtualService) => appliesTo(virtualService, { gateway: MESH }) && isExportedTo(virtualService, namespace))
}

/** Routes of a kind that are the producer's: of the service's namespace, or of the proxies'. Oldest first. */
function attached<R extends HttpRoute | GrpcRoute | TcpRoute | TlsRoute>(
  kind: RouteKind,
  target: RouteTarget,
  port: ServicePort,
  side: ChainSide,
  view: TranslationView,
): R[] {
  const id = targetReference(target)
  return view.routes.attachedTo(id).flatMap(({ type, key }) => {
    const route = type === kind ? (view.get(type, key) as R | undefined) : undefined
    const namespace = route?.metadata.namespace
    if (!route || (namespace !== target.namespace && namespace !== side.namespace)) return []
    return (route.spec?.parentRefs ?? []).some((parent) => isParent(parent, id, port, namespace)) ? route : []
  })
}

function isParent(parent: ParentReference, id: ReferenceId, port: ServicePort, home: string): boolean {
  if (referenceId(parent, home) !== id) return false
  if (parent.port !== undefined && parent.port !== port.servicePort) return false
  return parent.sectionName === undefined || parent.sectionName === port.name
}

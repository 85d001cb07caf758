import {
  type Gateway,
  type GrpcRoute,
  type HttpRoute,
  objectKey,
  type Resource,
  type TcpRoute,
  type TlsRoute,
} from '@ambient-lab/api'
import type { FilterChain, VirtualHost } from '@ambient-lab/xds'
import { type RouteRef, referenceId } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { gatewayClusterNamer } from './cluster-names.ts'
import { type EffectiveListener, gatewayListeners, listenerProtocol } from './gateway-listeners.ts'
import { bySpecificity, covers } from './hostnames.ts'
import { grpcRoutes, httpRoutes } from './http-route.ts'
import { istioGatewayChainsOf } from './istio-gateway-chains.ts'
import { l4Routes } from './l4-routes.ts'
import { inPrecedence, type RankedRoute } from './ranked-route.ts'
import { gatewayRateLimits, withRateLimits } from './rate-limits.ts'
import { type AttachableRoute, attachToParent } from './route-attachment.ts'
import type { RouteContext } from './route-context.ts'
import { gatewaySecurity, httpSecurity, tcpSecurity } from './security.ts'

/** A route on a listener, for the hosts that both of them mean. */
interface AttachedRoute {
  readonly route: AttachableRoute
  readonly hostnames: readonly string[]
}

type Attachments = ReadonlyMap<string, readonly AttachedRoute[]>

/** What an ingress gateway does with what comes in on its ports. */
export function gatewayChains(gateway: Gateway, view: TranslationView): FilterChain[] {
  const security = gatewaySecurity(gateway, view)
  const limits = gatewayRateLimits(gateway, view)
  return allChains(gateway, view).map((chain) => ({
    ...chain,
    ...(chain.http && { http: withRateLimits({ ...chain.http, ...httpSecurity(security, view) }, limits) }),
    ...(chain.tcp && { tcp: { ...chain.tcp, ...tcpSecurity(security, view) } }),
  }))
}

/** Listeners' own, then those of Istio's Gateways that select the pods, on ports that no listener has. */
function allChains(gateway: Gateway, view: TranslationView): FilterChain[] {
  const own = listenerChains(gateway, view)
  const taken = new Set(own.map(portOf))
  return [...own, ...istioGatewayChainsOf(gateway, view).filter((chain) => !taken.has(portOf(chain)))]
}

/** The port of a gateway's chain. */
export function portOf({ match }: FilterChain): number {
  return match.kind === 'workload' ? 0 : match.port
}

function listenerChains(gateway: Gateway, view: TranslationView): FilterChain[] {
  const proxy = objectKey(gateway.metadata)
  const listeners = gatewayListeners(gateway, view).filter(({ isValid }) => isValid)
  const attachments = attachmentsOf(gateway, listeners, view)
  const context = { view, clusterOf: gatewayClusterNamer, enforceGrants: true }
  const plainPorts = new Set(listeners.flatMap(({ listener }) => (listener.protocol === 'HTTP' ? listener.port : [])))
  return [
    ...[...plainPorts].map((port) => {
      const sharing = listeners.filter(({ listener }) => listener.protocol === 'HTTP' && listener.port === port)
      return httpChain(proxy, `http.${port}`, port, sharing, attachments, context)
    }),
    ...listeners
      .filter(({ listener }) => listener.protocol === 'HTTPS')
      .map((effective) => httpsChain(proxy, effective, attachments, context)),
    ...listeners
      .filter(({ listener }) => listener.protocol === 'TLS' || listener.protocol === 'TCP')
      .map((effective) => l4Chain(proxy, effective, attachments, context)),
  ]
}

/** Every route that a Gateway's listeners have taken, by listener. Also tells how many each has. */
export function attachmentsOf(
  gateway: Gateway,
  listeners: readonly EffectiveListener[],
  view: TranslationView,
): Attachments {
  const found = new Map<string, AttachedRoute[]>()
  const refs = new Map<string, RouteRef>()
  for (const parent of parentsOf(gateway, listeners)) {
    for (const ref of view.routes.attachedTo(parent)) refs.set(`${ref.type} ${ref.key}`, ref)
  }
  for (const { type, key } of refs.values()) {
    const route = view.get(type, key) as AttachableRoute | undefined
    for (const [listener, hostnames] of route ? hostnamesByListener(route, view) : []) {
      const list = found.get(listener) ?? []
      found.set(listener, [...list, { route: route!, hostnames: [...hostnames] }])
    }
  }
  return found
}

function parentsOf(gateway: Gateway, listeners: readonly EffectiveListener[]): Set<string> {
  const { name, namespace = '' } = gateway.metadata
  const sets = listeners.filter(({ parent }) => parent.kind === 'ListenerSet').map(({ parent }) => parent)
  return new Set([referenceId({ name }, namespace), ...sets.map((set) => referenceId(set, set.namespace))])
}

/** Several parentRefs of a route may lead to one listener. */
function hostnamesByListener(route: AttachableRoute, view: TranslationView): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const parent of route.spec?.parentRefs ?? []) {
    const outcome = attachToParent(route, parent, view)
    if (outcome?.kind !== 'accepted') continue
    for (const { listener, hostnames } of outcome.attachments) {
      const known = found.get(listenerId(listener)) ?? new Set()
      for (const hostname of hostnames) known.add(hostname)
      found.set(listenerId(listener), known)
    }
  }
  return found
}

/** Names a listener among all. */
export function listenerId({ parent, listener }: EffectiveListener): string {
  return `${parent.kind} ${parent.namespace}/${parent.name} ${listener.name}`
}

function httpChain(
  proxy: string,
  destination: string,
  port: number,
  listeners: readonly EffectiveListener[],
  attachments: Attachments,
  context: RouteContext,
): FilterChain {
  return {
    name: `${proxy}|${destination}|${port}`,
    proxy,
    match: { kind: 'listener', port, serverNames: [] },
    http: {
      statPrefix: `outbound_0.0.0.0_${port}`,
      virtualHosts: virtualHosts(port, listeners, attachments, context),
    },
  }
}

function httpsChain(
  proxy: string,
  effective: EffectiveListener,
  attachments: Attachments,
  context: RouteContext,
): FilterChain {
  const { listener, parent, tls } = effective
  const destination = `https.${listener.port}.${listener.name}.${parent.name}.${parent.namespace}`
  return {
    ...httpChain(proxy, destination, listener.port, [effective], attachments, context),
    match: { kind: 'listener', port: listener.port, serverNames: serverNames(listener.hostname) },
    ...(tls && { tls }),
  }
}

function serverNames(hostname: string | undefined): string[] {
  return hostname === undefined || hostname === '*' ? [] : [hostname]
}

/**
 * One for each host name. A host belongs to the listener that names it most closely, and only routes of that listener
 * are tried for it; one that no route names answers 404, not what a wider listener would say.
 */
function virtualHosts(
  port: number,
  listeners: readonly EffectiveListener[],
  attachments: Attachments,
  context: RouteContext,
): VirtualHost[] {
  const byHost = new Map<string, RankedRoute[]>()
  for (const effective of listeners) {
    const own = effective.listener.hostname ?? '*'
    if (!byHost.has(own)) byHost.set(own, [])
    for (const { route, hostnames } of attachments.get(listenerId(effective)) ?? []) {
      const ranked = rankedRoutes(route, context)
      for (const hostname of hostnames) {
        if (ownerOf(hostname, listeners) !== own) continue
        byHost.set(hostname, [...(byHost.get(hostname) ?? []), ...ranked])
      }
    }
  }
  return [...byHost]
    .sort(([a], [b]) => bySpecificity(a, b))
    .map(([hostname, ranked]) => ({ name: `${hostname}:${port}`, domains: [hostname], routes: inPrecedence(ranked) }))
}

/** The host name of the listener that a host belongs to. */
function ownerOf(hostname: string, listeners: readonly EffectiveListener[]): string | undefined {
  const names = listeners.map(({ listener }) => listener.hostname ?? '*').filter((name) => covers(name, hostname))
  return names.sort(bySpecificity)[0]
}

function rankedRoutes(route: Resource, context: RouteContext): RankedRoute[] {
  return route.kind === 'GRPCRoute' ? grpcRoutes(route as GrpcRoute, context) : httpRoutes(route as HttpRoute, context)
}

/** By server name where TLS goes through or ends here, else everything to the first route. */
function l4Chain(
  proxy: string,
  effective: EffectiveListener,
  attachments: Attachments,
  context: RouteContext,
): FilterChain {
  const { listener, parent, tls } = effective
  const attached = attachments.get(listenerId(effective)) ?? []
  const routes = attached.flatMap(({ route, hostnames }) =>
    l4Routes(route as TcpRoute | TlsRoute, route.kind === 'TLSRoute' ? hostnames.flatMap(serverNames) : [], context),
  )
  const sorted = routes.toSorted((a, b) => compareServerNames(a.serverNames, b.serverNames))
  const traffic = listenerProtocol(listener) === 'TLS' ? 'tls' : 'tcp'
  return {
    name: `${proxy}|${traffic}.${listener.port}.${listener.name}.${parent.name}.${parent.namespace}|${listener.port}`,
    proxy,
    match: { kind: 'listener', port: listener.port, serverNames: serverNames(listener.hostname) },
    ...(tls && { tls }),
    tcp: { routes: sorted },
  }
}

/** Routes without names come last: they take what is left. */
function compareServerNames(a: readonly string[], b: readonly string[]): number {
  const closest = (names: readonly string[]) => names.toSorted(bySpecificity)[0] ?? '*'
  return closest(a) === closest(b) ? 0 : bySpecificity(closest(a), closest(b))
}

import type { HttpMatchRequest, VirtualService, VirtualServiceHttpRoute } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type {
  ForwardAction,
  Mirror,
  RedirectAction,
  Route,
  RouteAction,
  RouteFilters,
  WeightedBackend,
} from '@ambient-lab/xds'
import { VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { wholeHost } from '../translate/route-index.ts'
import { authorityOf, istioMutation } from './header-mutations.ts'
import { istioRetry } from './retry-policy.ts'
import type { RouteContext } from './route-context.ts'
import { targetOfHost } from './targets.ts'
import { istioCors, istioFault } from './virtual-service-filters.ts'
import { isCatchAll, istioMatch } from './virtual-service-match.ts'

/** Where the routes are used. */
export interface RouteScope {
  /** Port of the service or listener. */
  readonly port: number
  /** Of the proxy: what `sourceNamespace` is compared with. */
  readonly namespace: string
  /** Names a VirtualService has to be meant for: `mesh`, or `namespace/name` of a gateway. */
  readonly gateway: string
  /**
   * Whether routes are for several proxies, of which each takes those with its own labels. Else a match by
   * `sourceLabels` is dropped: a waypoint serves every source and cannot tell.
   */
  readonly keepsSourceLabels?: boolean
}

const SERVER_ERROR = 500
const MOVED_PERMANENTLY = 301
const HUNDRED_PERCENT = 100
const MILLIONTHS_PER_PERCENT = 10_000

/** Whether a VirtualService has anything to say in a scope. */
export function appliesTo({ metadata, spec }: VirtualService, { gateway }: Pick<RouteScope, 'gateway'>): boolean {
  const gateways = spec?.gateways?.length ? spec.gateways : ['mesh']
  return gateways.some((name) => name === gateway || `${metadata.namespace}/${name}` === gateway)
}

/**
 * HTTP routes of the VirtualServices of one host, the oldest first, in the order that they were written in. A route
 * that catches all ends the list.
 */
export function virtualServiceRoutes(
  virtualServices: readonly VirtualService[],
  scope: RouteScope,
  context: RouteContext,
): Route[] {
  const routes: Route[] = []
  for (const virtualService of virtualServices) {
    for (const http of delegatedRoutes(virtualService, context)) {
      for (const route of routesOf(http.route, http.namespace, scope, context)) {
        routes.push(route)
        if (isCatchAll(route.match)) return routes
      }
    }
  }
  return routes
}

interface OwnedRoute {
  readonly route: VirtualServiceHttpRoute
  /** Whose short names it uses. */
  readonly namespace: string
}

/** With the routes of the VirtualServices that are delegated to, one level deep, in their place. */
function delegatedRoutes({ metadata, spec }: VirtualService, { view }: RouteContext): OwnedRoute[] {
  const namespace = metadata.namespace ?? ''
  return (spec?.http ?? []).flatMap((route): OwnedRoute[] => {
    const { delegate } = route
    if (!delegate?.name) return [{ route, namespace }]
    const home = delegate.namespace || namespace
    const found = view.get(VIRTUAL_SERVICES, `${home}/${delegate.name}`)
    return (found?.spec?.http ?? []).flatMap((child) => {
      const merged = mergeDelegate(route, child)
      return merged ? { route: merged, namespace: home } : []
    })
  })
}

/** What the root says counts, else the delegate's; matches must agree. Undefined: they cannot both hold. */
function mergeDelegate(
  root: VirtualServiceHttpRoute,
  child: VirtualServiceHttpRoute,
): VirtualServiceHttpRoute | undefined {
  const match = mergeMatches(root.match ?? [], child.match ?? [])
  if (!match) return undefined
  const { delegate: _, name, headers, ...own } = root
  const joined = { ...child.headers, ...headers }
  return {
    ...child,
    ...own,
    ...(name && child.name
      ? { name: `${name}-${child.name}` }
      : { ...((name ?? child.name) && { name: name ?? child.name! }) }),
    ...(Object.keys(joined).length > 0 && { headers: joined }),
    ...(match.length > 0 && { match }),
  }
}

function mergeMatches(
  roots: readonly HttpMatchRequest[],
  children: readonly HttpMatchRequest[],
): readonly HttpMatchRequest[] | undefined {
  if (roots.length === 0) return children
  if (children.length === 0) return roots
  const merged = roots.flatMap((root) =>
    children.flatMap((child) =>
      conflicts(root, child) ? [] : { ...child, ...root, ...mergedMaps(root, child), ...mergedUri(root, child) },
    ),
  )
  return merged.length > 0 ? merged : undefined
}

function mergedMaps(root: HttpMatchRequest, child: HttpMatchRequest): HttpMatchRequest {
  const join = <T>(a: Readonly<Record<string, T>> | undefined, b: Readonly<Record<string, T>> | undefined) =>
    a || b ? { ...b, ...a } : undefined
  const headers = join(root.headers, child.headers)
  const withoutHeaders = join(root.withoutHeaders, child.withoutHeaders)
  const queryParams = join(root.queryParams, child.queryParams)
  return { ...(headers && { headers }), ...(withoutHeaders && { withoutHeaders }), ...(queryParams && { queryParams }) }
}

/** The narrower of two prefixes. */
function mergedUri({ uri: root }: HttpMatchRequest, { uri: child }: HttpMatchRequest): HttpMatchRequest {
  return child ? { uri: child } : root ? { uri: root } : {}
}

/** A delegate may narrow a prefix, and may not say again what the root said. */
function conflicts(root: HttpMatchRequest, child: HttpMatchRequest): boolean {
  if (root.uri && child.uri) {
    const prefix = root.uri.prefix
    const narrower = child.uri.prefix ?? child.uri.exact
    if (prefix === undefined || narrower === undefined || !narrower.startsWith(prefix)) return true
  }
  const both = (['scheme', 'method', 'authority'] as const).some((field) => root[field] && child[field])
  return both || (root.port !== undefined && child.port !== undefined && root.port !== child.port)
}

function routesOf(http: VirtualServiceHttpRoute, namespace: string, scope: RouteScope, context: RouteContext): Route[] {
  const matches = (http.match?.length ? http.match : [{}]).filter((match) => isInScope(match, scope))
  if (matches.length === 0) return []
  const action = actionOf(http, namespace, scope, context)
  const filters = filtersOf(http)
  const requestHeaders = istioMutation(http.headers?.request)
  const responseHeaders = istioMutation(http.headers?.response)
  return matches.map((match) => ({
    name: routeName(http, match),
    match: { ...istioMatch(match), ...sourceLabelsOf(match) },
    action,
    ...(requestHeaders && { requestHeaders }),
    ...(responseHeaders && { responseHeaders }),
    ...(filters && { filters }),
  }))
}

/** As Envoy logs it: the route's name, then the match's. */
function routeName({ name }: VirtualServiceHttpRoute, match: HttpMatchRequest): string {
  return [name, match.name].filter((part) => part).join('.') || 'default'
}

/** What a match says about where it holds. */
type ScopedMatch = Pick<HttpMatchRequest, 'port' | 'gateways' | 'sourceLabels' | 'sourceNamespace'>

export function isInScope({ port, gateways, sourceLabels, sourceNamespace }: ScopedMatch, scope: RouteScope): boolean {
  if (!scope.keepsSourceLabels && Object.keys(sourceLabels ?? {}).length > 0) return false
  if (port !== undefined && port !== 0 && port !== scope.port) return false
  if (sourceNamespace && sourceNamespace !== scope.namespace) return false
  return !gateways?.length || gateways.includes(scope.gateway)
}

export function sourceLabelsOf({ sourceLabels = {} }: ScopedMatch): {
  sourceLabels?: Readonly<Record<string, string>>
} {
  return Object.keys(sourceLabels).length > 0 ? { sourceLabels } : {}
}

function filtersOf({ corsPolicy, fault }: VirtualServiceHttpRoute): RouteFilters | undefined {
  const faultPolicy = fault && istioFault(fault)
  if (!corsPolicy && !faultPolicy) return undefined
  return { ...(corsPolicy && { cors: istioCors(corsPolicy) }), ...(faultPolicy && { fault: faultPolicy }) }
}

function actionOf(
  http: VirtualServiceHttpRoute,
  namespace: string,
  scope: RouteScope,
  context: RouteContext,
): RouteAction {
  if (http.redirect) return redirectOf(http.redirect, scope)
  if (http.directResponse) return directResponse(http.directResponse)
  if (!http.route?.length) return { kind: 'direct-response', status: SERVER_ERROR }
  return { kind: 'forward', forward: forwardOf(http, http.route, namespace, scope, context) }
}

/** Envoy has five redirects; a route with any other code it could not take. */
function isRedirectStatus(code: number): code is RedirectAction['status'] {
  return [301, 302, 303, 307, 308].includes(code)
}

function redirectOf(
  redirect: NonNullable<VirtualServiceHttpRoute['redirect']>,
  { port: own }: RouteScope,
): RouteAction {
  const { uri, prefixRewrite, authority, port, derivePort, scheme, redirectCode } = redirect
  const status = redirectCode || MOVED_PERMANENTLY
  if (!isRedirectStatus(status)) return { kind: 'direct-response', status: SERVER_ERROR }
  const chosen = port || (derivePort && (derivePort === 'FROM_REQUEST_PORT' ? own : defaultPort(scheme)))
  return {
    kind: 'redirect',
    redirect: {
      status,
      ...(scheme && { scheme }),
      ...(authority && { authority }),
      ...(chosen && { port: chosen }),
      ...(uri ? { path: { full: uri } } : prefixRewrite ? { path: { prefix: prefixRewrite } } : {}),
    },
  }
}

function defaultPort(scheme: string | undefined): number {
  return scheme === 'https' ? 443 : 80
}

function directResponse({ status, body }: NonNullable<VirtualServiceHttpRoute['directResponse']>): RouteAction {
  const text = body?.string ?? (body?.bytes === undefined ? undefined : Buffer.from(body.bytes, 'base64').toString())
  return { kind: 'direct-response', status, ...(text !== undefined && { body: text }) }
}

function forwardOf(
  http: VirtualServiceHttpRoute,
  destinations: NonNullable<VirtualServiceHttpRoute['route']>,
  namespace: string,
  scope: RouteScope,
  context: RouteContext,
): ForwardAction {
  const timeoutMs = parseDuration(http.timeout ?? '')
  const retry = istioRetry(http.retries)
  const rewrite = rewriteOf(http)
  const mirrors = mirrorsOf(http, namespace, scope, context)
  const single = destinations.length === 1
  return {
    backends: destinations.flatMap(({ destination, weight = 0, headers }): WeightedBackend[] => {
      if (!single && weight === 0) return []
      const cluster = destinationCluster(destination, namespace, scope, context)
      const requestHeaders = istioMutation(headers?.request)
      const responseHeaders = istioMutation(headers?.response)
      return [
        {
          cluster,
          weight: single ? 1 : weight,
          ...(requestHeaders && { requestHeaders }),
          ...(responseHeaders && { responseHeaders }),
        },
      ]
    }),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(retry && { retry }),
    ...(rewrite && { rewrite }),
    ...(mirrors.length > 0 && { mirrors }),
  }
}

function rewriteOf({ rewrite, headers, route }: VirtualServiceHttpRoute): ForwardAction['rewrite'] {
  const single = route?.length === 1 ? route[0]?.headers?.request : undefined
  const authority = rewrite?.authority || authorityOf(headers?.request) || authorityOf(single)
  const regex = rewrite?.uriRegexRewrite
  const path = regex?.match
    ? { regex: { pattern: regex.match, substitution: regex.rewrite ?? '' } }
    : rewrite?.uri
      ? { prefix: rewrite.uri }
      : undefined
  return authority || path ? { ...(authority && { authority }), ...(path && { path }) } : undefined
}

/** An explicit 0 mirrors nothing; unset means all. */
function mirrorsOf(
  http: VirtualServiceHttpRoute,
  namespace: string,
  scope: RouteScope,
  context: RouteContext,
): Mirror[] {
  const legacy = http.mirror
    ? [
        {
          destination: http.mirror,
          percentage: http.mirrorPercentage ?? {
            value: http.mirrorPercent ?? http.mirror_percent ?? HUNDRED_PERCENT,
          },
        },
      ]
    : []
  return [...legacy, ...(http.mirrors ?? [])].flatMap(({ destination, percentage }) => {
    const cluster = destinationCluster(destination, namespace, scope, context)
    const millionths = percentMillionths(percentage ? (percentage.value ?? 0) : HUNDRED_PERCENT)
    return millionths === 0 ? [] : { cluster, millionths }
  })
}

export function percentMillionths(percent: number): number {
  return Math.round(percent * MILLIONTHS_PER_PERCENT)
}

/**
 * The cluster that a destination means. Without a port it is the service's only one, else that of the scope. A host
 * that nobody knows gets the name that it would have: the proxy answers 503, as Envoy does without the cluster.
 */
export function destinationCluster(
  {
    host,
    subset,
    port,
  }: { readonly host: string; readonly subset?: string; readonly port?: { readonly number?: number } },
  namespace: string,
  scope: Pick<RouteScope, 'port'>,
  { view, clusterOf }: RouteContext,
): string {
  const hostname = wholeHost(host, namespace, view.mesh.clusterDomain)
  const target = targetOfHost(view, hostname, namespace) ?? { hostname, ports: [] }
  const number = port?.number ?? (target.ports.length === 1 ? target.ports[0]!.servicePort : scope.port)
  return clusterOf(target, number, subset || undefined)
}

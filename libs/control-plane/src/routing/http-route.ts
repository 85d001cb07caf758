import type {
  BackendRef,
  GrpcRoute,
  GrpcRouteRule,
  HttpBackendRef,
  HttpRoute,
  HttpRouteFilter,
  HttpRouteRule,
  Resource,
} from '@ambient-lab/api'
import type { Route, RouteAction, WeightedBackend } from '@ambient-lab/xds'
import { type Referrer, type RouteFinding, resolveBackend } from './backends.ts'
import { type RuleFilters, ruleFilters, unsupportedFilter } from './http-filters.ts'
import { grpcMatch, httpMatch, type RankedMatch } from './http-matches.ts'
import type { RankedRoute } from './ranked-route.ts'
import { DEFAULT_RETRY, routeResilience } from './retry-policy.ts'
import type { RouteContext } from './route-context.ts'

/** A rule of either kind, its matches worked out. */
interface CommonRule {
  readonly matches: readonly RankedMatch[]
  readonly filters: readonly HttpRouteFilter[]
  readonly backendRefs: readonly HttpBackendRef[]
  readonly resilience: ReturnType<typeof routeResilience>
}

const SERVER_ERROR = 500
/** Filters that a single backend may have. */
const BACKEND_FILTERS = new Set(['RequestHeaderModifier', 'ResponseHeaderModifier'])

/** Every match of every rule of an HTTPRoute, as routes that wait to be put in order. */
export function httpRoutes(route: HttpRoute, context: RouteContext): RankedRoute[] {
  const from = { kind: 'HTTPRoute', namespace: route.metadata.namespace ?? '' }
  return rulesOf(route, (route.spec?.rules ?? [{}]).map(httpRule), from, context)
}

export function grpcRoutes(route: GrpcRoute, context: RouteContext): RankedRoute[] {
  const from = { kind: 'GRPCRoute', namespace: route.metadata.namespace ?? '' }
  return rulesOf(route, (route.spec?.rules ?? [{}]).map(grpcRule), from, context)
}

/** What of the rules cannot be done as asked: one finding for each rule at most, the last of its backends'. */
export function httpRouteFindings(route: HttpRoute, context: RouteContext): RouteFinding[] {
  const from = { kind: 'HTTPRoute', namespace: route.metadata.namespace ?? '' }
  return (route.spec?.rules ?? []).flatMap((rule) => ruleFindings(httpRule(rule), from, context))
}

export function grpcRouteFindings(route: GrpcRoute, context: RouteContext): RouteFinding[] {
  const from = { kind: 'GRPCRoute', namespace: route.metadata.namespace ?? '' }
  return (route.spec?.rules ?? []).flatMap((rule) => ruleFindings(grpcRule(rule), from, context))
}

function httpRule({ matches = [{}], filters = [], backendRefs = [], timeouts, retry }: HttpRouteRule): CommonRule {
  return { matches: matches.map(httpMatch), filters, backendRefs, resilience: routeResilience(timeouts, retry) }
}

function grpcRule({ matches = [], filters = [], backendRefs = [] }: GrpcRouteRule): CommonRule {
  const resilience = { retry: DEFAULT_RETRY }
  return { matches: (matches.length > 0 ? matches : [{}]).map(grpcMatch), filters, backendRefs, resilience }
}

function rulesOf(source: Resource, rules: readonly CommonRule[], from: Referrer, context: RouteContext): RankedRoute[] {
  const { namespace, name } = source.metadata
  return rules.flatMap((rule, index) => {
    const filters = ruleFilters(rule.filters, from, context)
    const { requestHeaders, responseHeaders, cors } = filters
    const action = actionOf(rule, filters, from, context)
    return rule.matches.map(({ match, rank }): RankedRoute => {
      const route: Route = {
        name: `${namespace}.${name}.${index}`,
        match,
        action,
        ...(requestHeaders && { requestHeaders }),
        ...(responseHeaders && { responseHeaders }),
        ...(cors && { filters: { cors } }),
      }
      return { route, rank, source }
    })
  })
}

function actionOf(rule: CommonRule, filters: RuleFilters, from: Referrer, context: RouteContext): RouteAction {
  const { unsupported, redirect, rewrite, mirrors } = filters
  if (unsupported) return { kind: 'direct-response', status: SERVER_ERROR }
  if (redirect) return { kind: 'redirect', redirect }
  return {
    kind: 'forward',
    forward: {
      backends: rule.backendRefs.map((backend) => weightedBackend(backend, from, context)),
      ...rule.resilience,
      ...(rewrite && { rewrite }),
      ...(mirrors.length > 0 && { mirrors }),
    },
  }
}

function weightedBackend(backend: HttpBackendRef, from: Referrer, context: RouteContext): WeightedBackend {
  const { weight = 1, filters = [] } = backend
  const cluster = backendCluster(backend, from, context)
  if (cluster === undefined || filters.some(({ type }) => !BACKEND_FILTERS.has(type))) return { weight }
  const { requestHeaders, responseHeaders } = ruleFilters(filters, from, context)
  return {
    cluster,
    weight,
    ...(requestHeaders && { requestHeaders }),
    ...(responseHeaders && { responseHeaders }),
  }
}

/** Undefined for a backend that is invalid. */
export function backendCluster(
  backend: BackendRef,
  from: Referrer,
  { view, clusterOf, enforceGrants }: RouteContext,
): string | undefined {
  const resolved = resolveBackend(view, backend, from, enforceGrants)
  return 'reason' in resolved ? undefined : clusterOf(resolved.target, resolved.port)
}

function ruleFindings(rule: CommonRule, from: Referrer, context: RouteContext): RouteFinding[] {
  const { unsupported, findings } = ruleFilters(rule.filters, from, context)
  const backends = rule.backendRefs.flatMap((backend) => {
    const resolved = resolveBackend(context.view, backend, from, context.enforceGrants)
    const refused = (backend.filters ?? []).find(({ type }) => !BACKEND_FILTERS.has(type))
    return [...('reason' in resolved ? [resolved] : []), ...(refused ? [unsupportedFilter(refused.type)] : [])]
  })
  return [...(unsupported ? [unsupported] : []), ...backends, ...findings].slice(-1)
}

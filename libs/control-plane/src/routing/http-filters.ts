import type { Cors, HttpRouteFilter, PathModifier, RequestMirror, RequestRedirect, UrlRewrite } from '@ambient-lab/api'
import type { CorsPolicy, HeaderMutation, Mirror, PathRewrite, RedirectAction, Rewrite } from '@ambient-lab/xds'
import { type Referrer, type RouteFinding, resolveBackend } from './backends.ts'
import { wildcardOrigin } from './cors.ts'
import { modifierMutation } from './header-mutations.ts'
import type { RouteContext } from './route-context.ts'

/** What the filters of a rule come to. */
export interface RuleFilters {
  readonly requestHeaders?: HeaderMutation
  readonly responseHeaders?: HeaderMutation
  readonly redirect?: RedirectAction
  readonly rewrite?: Rewrite
  readonly mirrors: readonly Mirror[]
  readonly cors?: CorsPolicy
  /** One that the lab does not have: the rule answers 500. */
  readonly unsupported?: RouteFinding
  /** Mirrors that lead nowhere: left out, and told in the status. */
  readonly findings: readonly RouteFinding[]
}

const MILLION = 1_000_000
const PERCENT = 100

export function ruleFilters(filters: readonly HttpRouteFilter[], from: Referrer, context: RouteContext): RuleFilters {
  const of = <T>(pick: (filter: HttpRouteFilter) => T | undefined) => filters.flatMap((filter) => pick(filter) ?? [])
  const requestHeaders = modifierMutation(of(({ requestHeaderModifier }) => requestHeaderModifier))
  const responseHeaders = modifierMutation(of(({ responseHeaderModifier }) => responseHeaderModifier))
  const redirect = of(({ requestRedirect }) => requestRedirect).at(-1)
  const rewrite = of(({ urlRewrite }) => urlRewrite).at(-1)
  const cors = of((filter) => filter.cors).at(-1)
  const unsupported = filters.find(({ type }) => type === 'ExtensionRef' || type === 'ExternalAuth')
  const mirrors = of(({ requestMirror }) => requestMirror).map((mirror) => mirrorOf(mirror, from, context))
  return {
    ...(requestHeaders && { requestHeaders }),
    ...(responseHeaders && { responseHeaders }),
    ...(redirect && { redirect: redirectAction(redirect) }),
    ...(rewrite && { rewrite: rewriteOf(rewrite) }),
    ...(cors && { cors: corsPolicy(cors) }),
    mirrors: mirrors.flatMap((mirror) => ('reason' in mirror ? [] : mirror)),
    findings: mirrors.flatMap((mirror) => ('reason' in mirror ? mirror : [])),
    ...(unsupported && { unsupported: unsupportedFilter(unsupported.type) }),
  }
}

export function unsupportedFilter(type: string): RouteFinding {
  return { reason: 'InvalidFilter', message: `unsupported filter type "${type}"` }
}

/** 302 where no status is given; a scheme that is given brings its own port. */
function redirectAction({ scheme, hostname, port, path, statusCode = 302 }: RequestRedirect): RedirectAction {
  return {
    status: statusCode as RedirectAction['status'],
    ...(scheme && { scheme }),
    ...(hostname && { authority: hostname }),
    ...(port !== undefined && { port }),
    ...(path && { path: pathRewrite(path) }),
  }
}

function rewriteOf({ hostname, path }: UrlRewrite): Rewrite {
  return { ...(hostname && { authority: hostname }), ...(path && { path: pathRewrite(path) }) }
}

function pathRewrite({ type, replaceFullPath = '/', replacePrefixMatch = '/' }: PathModifier): PathRewrite {
  return type === 'ReplaceFullPath' ? { full: replaceFullPath } : { prefix: replacePrefixMatch }
}

function mirrorOf(
  { backendRef, percent, fraction }: RequestMirror,
  from: Referrer,
  { view, clusterOf, enforceGrants }: RouteContext,
): Mirror | RouteFinding {
  const resolved = resolveBackend(view, backendRef, from, enforceGrants)
  if ('reason' in resolved) return resolved
  const share = fraction ? fraction.numerator / (fraction.denominator ?? PERCENT) : (percent ?? PERCENT) / PERCENT
  return { cluster: clusterOf(resolved.target, resolved.port), millionths: Math.round(share * MILLION) }
}

/** A preflight that no origin allows is not for the backend. */
function corsPolicy(cors: Cors): CorsPolicy {
  return {
    allowOrigins: (cors.allowOrigins ?? []).map(wildcardOrigin),
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(cors.maxAge !== undefined && { maxAgeSeconds: cors.maxAge }),
    allowCredentials: cors.allowCredentials ?? false,
    forwardUnmatchedPreflights: false,
  }
}

import type { NamedMatcher, StringMatcher } from './string-matcher.ts'

/** Some of a range of hosts, and the routes that are tried for them, in order. First virtual host by most specific domain. */
export interface VirtualHost {
  /** `namespace/name` of what it came from, or `*`-like words; shown, never decided on. */
  readonly name: string
  /** `*`, `*.example.com`, `example.com`, each without port. */
  readonly domains: readonly string[]
  /** The first that matches is taken: precedence was worked out by the translation. */
  readonly routes: readonly Route[]
}

export interface Route {
  /** As Envoy logs it: `<ns>.<name>.<rule>`, or `default`. */
  readonly name: string
  readonly match: RouteMatch
  readonly action: RouteAction
  readonly requestHeaders?: HeaderMutation
  readonly responseHeaders?: HeaderMutation
  /** What filters read of their route; a filter without an entry does nothing, or what its chain says. */
  readonly filters?: RouteFilters
}

/** All fields hold; an empty match matches everything. */
export interface RouteMatch {
  readonly path?: PathMatcher
  readonly method?: StringMatcher
  readonly scheme?: StringMatcher
  readonly authority?: StringMatcher
  readonly headers?: readonly NamedMatcher[]
  readonly queryParams?: readonly NamedMatcher[]
  /** Only requests whose content type is gRPC's. */
  readonly grpc?: boolean
  /** Of a route for sidecars: only at those of workloads with these labels. */
  readonly sourceLabels?: Readonly<Record<string, string>>
}

/** Of the path without its query. `pathSegments` is Gateway API's PathPrefix: whole segments, a trailing slash ignored. */
export type PathMatcher = StringMatcher | { readonly pathSegments: string; readonly ignoreCase?: boolean }

export type RouteAction =
  | { readonly kind: 'forward'; readonly forward: ForwardAction }
  | { readonly kind: 'redirect'; readonly redirect: RedirectAction }
  | { readonly kind: 'direct-response'; readonly status: number; readonly body?: string }

export interface ForwardAction {
  /** Weights are relative. One without cluster name answers 500; no backend at all, or weight 0 of all, as well. */
  readonly backends: readonly WeightedBackend[]
  /** The whole exchange with all its tries; 0 or absent: none. */
  readonly timeoutMs?: number
  readonly retry?: RetryPolicy
  readonly rewrite?: Rewrite
  readonly mirrors?: readonly Mirror[]
  /** Upgrade tokens that are let through. @default ['websocket'] */
  readonly upgrades?: readonly string[]
}

export interface WeightedBackend {
  /** Name of a Cluster; absent: a backend that is invalid, whose share is answered 500. */
  readonly cluster?: string
  readonly weight: number
  readonly requestHeaders?: HeaderMutation
  readonly responseHeaders?: HeaderMutation
}

export interface RetryPolicy {
  /** Tries after the first; 0: none. */
  readonly attempts: number
  /** Envoy's words: `connect-failure`, `refused-stream`, `5xx`, … */
  readonly on: readonly string[]
  /** For `retriable-status-codes`. */
  readonly statusCodes: readonly number[]
  /** Absent: the route's timeout. */
  readonly perTryTimeoutMs?: number
  /** Backoff doubles from base to max, with full jitter. */
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Hosts that were tried are avoided, with so many draws at most. 0: not avoided. */
  readonly avoidPreviousHostsDraws: number
  /** With every so many tries the priority levels of the hosts that were tried until then are left out. @default never */
  readonly avoidPreviousLevelsEvery?: number
}

export interface Rewrite {
  readonly authority?: string
  readonly path?: PathRewrite
}

/**
 * `prefix` replaces what the route's prefix (plain or by segments) matched, without doubling slashes; `full` replaces
 * the whole path; the query stays. `regex` replaces every match, `\1` being the first group.
 */
export type PathRewrite =
  | { readonly prefix: string }
  | { readonly full: string }
  | { readonly regex: { readonly pattern: string; readonly substitution: string } }

export interface RedirectAction {
  readonly status: 301 | 302 | 303 | 307 | 308
  readonly scheme?: string
  readonly authority?: string
  /** Absent: the default of a scheme that is given, else the request's own. */
  readonly port?: number
  readonly path?: PathRewrite
}

export interface Mirror {
  readonly cluster: string
  /** Of requests, in millionths. */
  readonly millionths: number
}

export interface HeaderMutation {
  /** Names are lower case. Order: remove, set, add; a value may hold Envoy's `%…%` commands. */
  readonly remove?: readonly string[]
  readonly set?: readonly HeaderValue[]
  readonly add?: readonly HeaderValue[]
}

export interface HeaderValue {
  readonly name: string
  readonly value: string
}

/** Per route, by the filter's name. */
export interface RouteFilters {
  readonly cors?: CorsPolicy
  readonly fault?: FaultPolicy
  readonly 'local-rate-limit'?: LocalRateLimit
  readonly 'rate-limit'?: RateLimitActions
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatcher[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeSeconds?: number
  readonly allowCredentials: boolean
  /** A preflight whose origin is not allowed goes on to the backend. */
  readonly forwardUnmatchedPreflights: boolean
}

/** Shares are in millionths of requests; each is drawn alone. */
export interface FaultPolicy {
  readonly delay?: { readonly millionths: number; readonly fixedMs: number }
  readonly abort?: { readonly millionths: number; readonly httpStatus?: number; readonly grpcStatus?: number }
}

/** A token bucket in this proxy alone. */
export interface LocalRateLimit {
  readonly statPrefix: string
  readonly bucket: TokenBucket
  /** Shares of requests, in millionths, that are counted at all, and that are refused when the bucket is empty. */
  readonly enabledMillionths: number
  readonly enforcedMillionths: number
  readonly responseHeaders?: HeaderMutation
  /** Buckets of their own for requests whose descriptor entries are these. */
  readonly descriptors: readonly { readonly entries: readonly DescriptorEntry[]; readonly bucket: TokenBucket }[]
  readonly actions: readonly RateLimitAction[]
  /** `DRAFT_VERSION_03`: x-ratelimit-limit, -remaining, -reset. */
  readonly rateLimitHeaders: boolean
  readonly perDownstreamConnection: boolean
  /** @default 429 */
  readonly status?: number
}

export interface TokenBucket {
  readonly maxTokens: number
  readonly tokensPerFill: number
  readonly fillIntervalMs: number
}

export interface DescriptorEntry {
  readonly key: string
  /** Absent: any value. */
  readonly value?: string
}

/** Each list of actions makes one descriptor; one action that yields nothing leaves its descriptor out. */
export interface RateLimitActions {
  readonly rateLimits: readonly { readonly actions: readonly RateLimitAction[] }[]
}

export type RateLimitAction =
  | {
      readonly kind: 'request-headers'
      readonly headerName: string
      readonly descriptorKey: string
      readonly skipIfAbsent: boolean
    }
  | { readonly kind: 'remote-address' }
  | { readonly kind: 'generic-key'; readonly descriptorKey: string; readonly descriptorValue: string }
  | {
      readonly kind: 'header-value-match'
      readonly descriptorKey: string
      readonly descriptorValue: string
      readonly expectMatch: boolean
      readonly headers: readonly NamedMatcher[]
    }
  | { readonly kind: 'destination-cluster' }
  | { readonly kind: 'source-cluster' }

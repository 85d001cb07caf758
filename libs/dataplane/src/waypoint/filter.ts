import type { DryRunResult, HttpPolicies, JwtAuthenticator } from '@ambient-lab/policy'
import type { Clock, Random } from '@ambient-lab/std'
import type { ExtAuthz, RateLimitService, Route } from '@ambient-lab/xds'
import type { HeaderMap } from '../http1/index.ts'
import type { HttpResponse, HttpStream } from './http-stream.ts'
import type { CompilePattern } from './router/matchers.ts'

/**
 * In the order in which a request meets them, each by name within; a response meets them in reverse. CUSTOM policies
 * come before the token is looked at, DENY and ALLOW behind it, as Istio orders them.
 */
export const FILTER_PHASES = ['custom', 'authn', 'authz', 'limit', 'fault', 'route'] as const

export type FilterPhase = (typeof FILTER_PHASES)[number]

/** Where a filter stands in the chain. */
export interface FilterPlace {
  /** Envoy's short name: `cors`, `fault`, `router`. */
  readonly name: string
  readonly phase: FilterPhase
}

/** Orders filters as requests meet them. */
export function comparePlaces(one: FilterPlace, other: FilterPlace): number {
  const phases = FILTER_PHASES.indexOf(one.phase) - FILTER_PHASES.indexOf(other.phase)
  if (phases !== 0) return phases
  return one.name < other.name ? -1 : Number(one.name > other.name)
}

/**
 * `stop` holds the message where it is: nothing more of it is delivered, and whoever sends is held back, until
 * `continueDecoding` (or `continueEncoding`) of the stream. A filter that replied by itself says `stop` as well.
 */
export type FilterStatus = 'continue' | 'stop'

/**
 * `buffer` holds the head, and gives the body to this filter alone as it comes, until `continueDecoding` sends head and
 * body down the chain. One filter of a chain may say so, before any that says `stop`; only where a body is to come.
 */
export type HeadStatus = FilterStatus | 'buffer'

/** What one filter does with one request. Parts that it leaves out let the message pass. */
export interface HttpFilter {
  /** @param endStream there will be no body and no trailers */
  decodeHeaders?(stream: HttpStream, endStream: boolean): HeadStatus
  decodeData?(stream: HttpStream, piece: Uint8Array): FilterStatus
  /** The request is complete; not called when its head was all of it. */
  decodeEnd?(stream: HttpStream, trailers: HeaderMap | undefined): void
  /** Also for replies of this proxy itself. */
  encodeHeaders?(stream: HttpStream, response: HttpResponse, endStream: boolean): FilterStatus
  encodeData?(stream: HttpStream, piece: Uint8Array): void
  encodeEnd?(stream: HttpStream, trailers: HeaderMap | undefined): void
  /** The request is over, one way or another: timers go. Called once. */
  onDestroy?(): void
}

/** Makes the filter of one request; undefined: this one does not concern it. */
export type HttpFilterFactory = (stream: HttpStream) => HttpFilter | undefined

/** A filter that has something to do on a route. */
export interface RouteFilter {
  readonly place: FilterPlace
  readonly create: HttpFilterFactory
}

/** What guards a destination, compiled once for all of its routes. */
export interface Guard {
  readonly policies: HttpPolicies | undefined
  readonly authenticator: JwtAuthenticator | undefined
  /** By name. */
  readonly extAuthz: ReadonlyMap<string, ExtAuthz>
  readonly rateLimitService: RateLimitService | undefined
}

export interface FilterContext {
  readonly guard: Guard
  /** Undefined for requests that no route matches: filters that guard the whole chain see them too. */
  readonly route: Route | undefined
  readonly clock: Clock
  readonly random: Random
  readonly compilePattern: CompilePattern
  /** Told what DENY and ALLOW said about a request; absent where nobody keeps that. */
  readonly onDecision?: (stream: HttpStream, allowed: boolean) => void
  /** Told what policies in dry run would have said; absent where nobody counts that. */
  readonly onDryRun?: (results: DryRunResult) => void
}

/** A filter of the chain; its place in it follows from the phase, and then from the name. */
export interface HttpFilterDefinition extends FilterPlace {
  /**
   * Asked once for each route, so that a filter which has nothing to do there costs its requests nothing.
   * @returns undefined when the route does not concern this filter
   * @throws CodedError for a configuration that cannot be compiled
   */
  create(context: FilterContext): HttpFilterFactory | undefined
}

/** Identity, typed: what the catalogue expects of its files. */
export function defineHttpFilter(definition: HttpFilterDefinition): HttpFilterDefinition {
  return definition
}

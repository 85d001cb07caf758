import { listCell } from '../cells.ts'
import type { Percent } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { object, STATUS } from '../schema.ts'
import { VIRTUAL_SERVICE_SPEC } from '../virtual-service-schema.ts'

/** One of the three is set; none: any value, but there must be one. */
export interface StringMatch {
  readonly exact?: string
  readonly prefix?: string
  /** RE2, matched against the whole text. */
  readonly regex?: string
}

export interface VirtualServiceDestination {
  /** A service's name, relative to the virtual service's namespace. */
  readonly host: string
  /** Of a DestinationRule. */
  readonly subset?: string
  /** Needed when the service has several ports. */
  readonly port?: { readonly number?: number }
}

export interface HeaderOperations {
  readonly set?: Readonly<Record<string, string>>
  readonly add?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

export interface VirtualServiceHeaders {
  readonly request?: HeaderOperations
  readonly response?: HeaderOperations
}

/** All that is set must match. */
export interface HttpMatchRequest {
  readonly name?: string
  readonly uri?: StringMatch
  readonly ignoreUriCase?: boolean
  readonly scheme?: StringMatch
  readonly method?: StringMatch
  readonly authority?: StringMatch
  readonly headers?: Readonly<Record<string, StringMatch>>
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>>
  readonly queryParams?: Readonly<Record<string, StringMatch>>
  readonly port?: number
  readonly gateways?: readonly string[]
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly statPrefix?: string
}

export interface HttpRouteDestination {
  readonly destination: VirtualServiceDestination
  /** Share of this among its neighbours. @default 0, or 100 when it is alone */
  readonly weight?: number
  readonly headers?: VirtualServiceHeaders
}

export interface HttpRedirect {
  readonly uri?: string
  readonly prefixRewrite?: string
  readonly authority?: string
  readonly port?: number
  readonly derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT'
  readonly scheme?: string
  /** @default 301 */
  readonly redirectCode?: number
}

export interface HttpDirectResponse {
  readonly status: number
  readonly body?: { readonly string?: string /** Base64. */; readonly bytes?: string }
}

export interface HttpRewrite {
  readonly uri?: string
  readonly authority?: string
  readonly uriRegexRewrite?: { readonly match?: string; readonly rewrite?: string }
}

export interface HttpRetry {
  /** Tries after the first. */
  readonly attempts?: number
  readonly perTryTimeout?: string
  /** Envoy's conditions with commas between; status codes among them. @default Istio's standard set */
  readonly retryOn?: string
  readonly retryRemoteLocalities?: boolean
  readonly retryIgnorePreviousHosts?: boolean
  /** The least wait between tries. @default '25ms' */
  readonly backoff?: string
}

export interface HttpFaultInjection {
  readonly delay?: {
    readonly fixedDelay?: string
    readonly exponentialDelay?: string
    readonly percentage?: Percent
    readonly percent?: number
  }
  readonly abort?: {
    readonly httpStatus?: number
    readonly grpcStatus?: string
    readonly http2Error?: string
    readonly percentage?: Percent
  }
}

export interface CorsPolicy {
  readonly allowOrigins?: readonly StringMatch[]
  readonly allowOrigin?: readonly string[]
  readonly allowMethods?: readonly string[]
  readonly allowHeaders?: readonly string[]
  readonly exposeHeaders?: readonly string[]
  readonly maxAge?: string
  readonly allowCredentials?: boolean
  readonly unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE'
}

/** One of route, redirect, directResponse and delegate is set. */
export interface VirtualServiceHttpRoute {
  readonly name?: string
  /** One of them must match; none: every request. */
  readonly match?: readonly HttpMatchRequest[]
  readonly route?: readonly HttpRouteDestination[]
  readonly redirect?: HttpRedirect
  readonly directResponse?: HttpDirectResponse
  readonly delegate?: { readonly name?: string; readonly namespace?: string }
  readonly rewrite?: HttpRewrite
  readonly timeout?: string
  readonly retries?: HttpRetry
  readonly fault?: HttpFaultInjection
  readonly mirror?: VirtualServiceDestination
  readonly mirrors?: readonly { readonly destination: VirtualServiceDestination; readonly percentage?: Percent }[]
  readonly mirrorPercentage?: Percent
  readonly mirrorPercent?: number
  readonly mirror_percent?: number
  readonly corsPolicy?: CorsPolicy
  readonly headers?: VirtualServiceHeaders
}

export interface L4RouteDestination {
  readonly destination: VirtualServiceDestination
  readonly weight?: number
}

export interface L4MatchAttributes {
  readonly destinationSubnets?: readonly string[]
  readonly port?: number
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly gateways?: readonly string[]
}

export interface VirtualServiceTcpRoute {
  readonly match?: readonly (L4MatchAttributes & { readonly sourceSubnet?: string })[]
  readonly route?: readonly L4RouteDestination[]
}

export interface VirtualServiceTlsRoute {
  readonly match: readonly (L4MatchAttributes & { readonly sniHosts: readonly string[] })[]
  readonly route?: readonly L4RouteDestination[]
}

export interface VirtualServiceSpec {
  readonly hosts?: readonly string[]
  /** @default ['mesh'] */
  readonly gateways?: readonly string[]
  /** The first that matches is taken. */
  readonly http?: readonly VirtualServiceHttpRoute[]
  readonly tls?: readonly VirtualServiceTlsRoute[]
  readonly tcp?: readonly VirtualServiceTcpRoute[]
  readonly exportTo?: readonly string[]
}

export type VirtualService = Resource<VirtualServiceSpec>

export default defineKind<VirtualService>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'VirtualService',
  plural: 'virtualservices',
  shortNames: ['vs'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: VIRTUAL_SERVICE_SPEC,
    status: STATUS,
  }),
  columns: [
    { title: 'GATEWAYS', value: ({ spec }) => listCell(spec, 'gateways') },
    { title: 'HOSTS', value: ({ spec }) => listCell(spec, 'hosts') },
  ],
})

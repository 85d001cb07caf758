import { listCell } from '../cells.ts'
import { INT32, ISTIO_DURATION, PERCENT, type Percent, UINT32 } from '../istio-fields.ts'
import { isFqdn, isNamespaceName, isWildcardDomain, overlap } from '../istio-names.ts'
import { defineKind, type JsonSchema } from '../kind.ts'
import type { Resource } from '../resource.ts'
import {
  array,
  atMostOneOf,
  boolean,
  map,
  object,
  oneOf,
  STATUS,
  STRING_MAP,
  STRINGS,
  string,
  withRules,
} from '../schema.ts'

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

/** `name`, `name.namespace.svc.cluster.local` or `namespace/name`; `mesh` is every sidecar and waypoint. */
const GATEWAY_REF = withRules<string>(string(), {
  'must be NAME, a full host name or NAMESPACE/NAME': (text) => {
    const [namespace, name, ...more] = text.split('/')
    if (name === undefined) return isFqdn(text)
    return more.length === 0 && (namespace === '.' || isNamespaceName(namespace!)) && isFqdn(name)
  },
})
const GATEWAYS = array(GATEWAY_REF)
const WILDCARD_HOST = withRules<string>(string(), { 'must be a host name, which may begin with "*"': isWildcardDomain })

const HOSTS = withRules<readonly string[]>(array(WILDCARD_HOST), {
  'hosts must not mean the same host twice': (hosts) =>
    hosts.every((host, index) => hosts.every((other, at) => at <= index || !overlap(host, other))),
})

const MATCH = atMostOneOf(object({ exact: string(), prefix: string(), regex: string() }), 'exact', 'prefix', 'regex')

const DESTINATION = object(
  { host: string(), port: object({ number: UINT32 }), subset: string() },
  { required: ['host'] },
)

const HEADER_OPERATIONS = object({ add: STRING_MAP, remove: STRINGS, set: STRING_MAP })
const HEADERS = object({ request: HEADER_OPERATIONS, response: HEADER_OPERATIONS })
const OPTIONAL_BOOLEAN = boolean({ nullable: true })
const OPTIONAL_UINT32: JsonSchema = { ...UINT32, nullable: true }

const CORS_POLICY = object({
  allowCredentials: OPTIONAL_BOOLEAN,
  allowHeaders: STRINGS,
  allowMethods: STRINGS,
  allowOrigin: STRINGS,
  allowOrigins: array(MATCH),
  exposeHeaders: STRINGS,
  maxAge: ISTIO_DURATION,
  unmatchedPreflights: oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE'),
})

const DIRECT_RESPONSE = object(
  {
    body: atMostOneOf(object({ bytes: string({ format: 'byte' }), string: string() }), 'string', 'bytes'),
    status: UINT32,
  },
  { required: ['status'] },
)

const FAULT = object({
  abort: atMostOneOf(
    object({ grpcStatus: string(), http2Error: string(), httpStatus: INT32, percentage: PERCENT }),
    'httpStatus',
    'grpcStatus',
    'http2Error',
  ),
  delay: atMostOneOf(
    object({ exponentialDelay: ISTIO_DURATION, fixedDelay: ISTIO_DURATION, percent: INT32, percentage: PERCENT }),
    'fixedDelay',
    'exponentialDelay',
  ),
})

const HTTP_MATCH = object({
  authority: MATCH,
  gateways: STRINGS,
  headers: map(MATCH),
  ignoreUriCase: boolean(),
  method: MATCH,
  name: string(),
  port: UINT32,
  queryParams: map(MATCH),
  scheme: MATCH,
  sourceLabels: STRING_MAP,
  sourceNamespace: string(),
  statPrefix: string(),
  uri: MATCH,
  withoutHeaders: map(MATCH),
})

const REDIRECT = atMostOneOf(
  object({
    authority: string(),
    derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
    port: UINT32,
    prefixRewrite: string(),
    redirectCode: UINT32,
    scheme: string(),
    uri: string(),
  }),
  'port',
  'derivePort',
)

const RETRIES = object({
  attempts: INT32,
  backoff: ISTIO_DURATION,
  perTryTimeout: ISTIO_DURATION,
  retryIgnorePreviousHosts: OPTIONAL_BOOLEAN,
  retryOn: string(),
  retryRemoteLocalities: OPTIONAL_BOOLEAN,
})

const AUTHORITY_HEADERS = [':authority', 'host']

function setsAuthority({ request }: VirtualServiceHeaders = {}): boolean {
  return Object.keys(request?.set ?? {}).some((name) => AUTHORITY_HEADERS.includes(name.toLowerCase()))
}

const HTTP_ROUTE = withRules<VirtualServiceHttpRoute>(
  object({
    corsPolicy: CORS_POLICY,
    delegate: object({ name: string(), namespace: string() }),
    directResponse: DIRECT_RESPONSE,
    fault: FAULT,
    headers: HEADERS,
    match: array(HTTP_MATCH),
    mirror: DESTINATION,
    mirror_percent: OPTIONAL_UINT32,
    mirrorPercent: OPTIONAL_UINT32,
    mirrorPercentage: PERCENT,
    mirrors: array(object({ destination: DESTINATION, percentage: PERCENT }, { required: ['destination'] })),
    name: string(),
    redirect: REDIRECT,
    retries: RETRIES,
    rewrite: object({
      authority: string(),
      uri: string(),
      uriRegexRewrite: object({ match: string(), rewrite: string() }),
    }),
    route: array(object({ destination: DESTINATION, headers: HEADERS, weight: INT32 }, { required: ['destination'] })),
    timeout: ISTIO_DURATION,
  }),
  {
    'exactly one of route, redirect, directResponse and delegate must be set': (http) =>
      [http.route?.length, http.redirect, http.directResponse, http.delegate].filter(Boolean).length === 1,
    'the authority is set by a rewrite or by a header, not by both': ({ rewrite, headers, route = [] }) =>
      !rewrite?.authority ||
      (!setsAuthority(headers) && route.every((destination) => !setsAuthority(destination.headers))),
  },
)

const L4_MATCH = {
  destinationSubnets: STRINGS,
  gateways: STRINGS,
  port: UINT32,
  sourceLabels: STRING_MAP,
  sourceNamespace: string(),
}

const L4_ROUTE = array(object({ destination: DESTINATION, weight: INT32 }, { required: ['destination'] }), {
  minItems: 1,
})

const SPEC_RULES: Readonly<Record<string, (spec: VirtualServiceSpec) => boolean>> = {
  'wildcard host * is not allowed for virtual services bound to the mesh gateway': ({
    hosts = [],
    gateways = ['mesh'],
  }) => !hosts.includes('*') || !gateways.includes('mesh'),
  'a delegate (no hosts) has HTTP routes only, no gateways and no delegate of its own': ({ hosts = [], ...spec }) =>
    hosts.length > 0 ||
    (!spec.gateways?.length &&
      !spec.tcp?.length &&
      !spec.tls?.length &&
      (spec.http ?? []).every(({ delegate }) => !delegate)),
}

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
    spec: withRules<VirtualServiceSpec>(
      object({
        exportTo: STRINGS,
        gateways: GATEWAYS,
        hosts: HOSTS,
        http: array(HTTP_ROUTE),
        tcp: array(
          object(
            { match: array(object({ ...L4_MATCH, sourceSubnet: string() })), route: L4_ROUTE },
            { required: ['route'] },
          ),
        ),
        tls: array(
          object(
            {
              match: array(object({ ...L4_MATCH, sniHosts: array(WILDCARD_HOST) }, { required: ['sniHosts'] })),
              route: L4_ROUTE,
            },
            { required: ['match', 'route'] },
          ),
        ),
      }),
      SPEC_RULES,
    ),
    status: STATUS,
  }),
  columns: [
    { title: 'GATEWAYS', value: ({ spec }) => listCell(spec, 'gateways') },
    { title: 'HOSTS', value: ({ spec }) => listCell(spec, 'hosts') },
  ],
})

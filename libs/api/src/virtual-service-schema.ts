import { COUNT, INT32, ISTIO_DURATION, PERCENT, PORT_NUMBER, UINT32 } from './istio-fields.ts'
import { isFqdn, isNamespaceName, isRegex, isWildcardDomain, overlap } from './istio-names.ts'
import type { JsonSchema } from './kind.ts'
import type {
  HttpRedirect,
  HttpRetry,
  HttpRouteDestination,
  StringMatch,
  VirtualServiceHeaders,
  VirtualServiceHttpRoute,
  VirtualServiceSpec,
} from './kinds/virtual-service.ts'
import {
  array,
  atMostOneOf,
  boolean,
  integer,
  map,
  object,
  oneOf,
  STRING_MAP,
  STRINGS,
  string,
  withRules,
} from './schema.ts'

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

const REGEX = withRules<string>(string(), {
  // Istio takes a lone `*`, which is none, for "any value".
  'must be a regular expression': (text) => text === '*' || isRegex(text),
})
const MATCH = atMostOneOf(
  object({ exact: string(), prefix: string({ minLength: 1 }), regex: REGEX }),
  'exact',
  'prefix',
  'regex',
)

const DESTINATION = object(
  {
    host: withRules<string>(string(), { 'must be a host name': isWildcardDomain }),
    port: object({ number: PORT_NUMBER }, { required: ['number'] }),
    subset: string(),
  },
  { required: ['host'] },
)

/** Envoy puts values in place of `%COMMAND%`; a bare percent sign is written twice. */
const HEADER_VALUE = /^([^%]|%%|%[A-Z_0-9]+(\([^)]*\))?(:\d+)?%)*$/

const HEADER_VALUES = withRules<Readonly<Record<string, string>>>(STRING_MAP, {
  'a header needs a name': (headers) => Object.keys(headers).every((name) => name !== ''),
  'a "%" that starts no command is written twice': (headers) =>
    Object.values(headers).every((value) => HEADER_VALUE.test(value)),
})

const HEADER_OPERATIONS = object({ add: HEADER_VALUES, remove: array(string({ minLength: 1 })), set: HEADER_VALUES })
const HEADERS = object({ request: HEADER_OPERATIONS, response: HEADER_OPERATIONS })
const OPTIONAL_BOOLEAN = boolean({ nullable: true })
const OPTIONAL_UINT32: JsonSchema = { ...UINT32, nullable: true }

const HEADER_NAMES = array(string({ minLength: 1 }))

const CORS_POLICY = object({
  allowCredentials: OPTIONAL_BOOLEAN,
  allowHeaders: HEADER_NAMES,
  allowMethods: array(oneOf('*', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE')),
  allowOrigin: STRINGS,
  allowOrigins: array(withRules<StringMatch>(MATCH, { 'an origin must not be empty': ({ exact }) => exact !== '' })),
  exposeHeaders: HEADER_NAMES,
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

const GRPC_STATUS = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED'],
  ...['INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
]

const FAULT = object({
  abort: atMostOneOf(
    object({
      grpcStatus: oneOf(...GRPC_STATUS),
      http2Error: string(),
      httpStatus: integer({ minimum: 200, maximum: 600 }),
      percentage: PERCENT,
    }),
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

const REDIRECT = withRules<HttpRedirect>(
  atMostOneOf(
    object({
      authority: string(),
      derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
      port: UINT32,
      prefixRewrite: string(),
      redirectCode: withRules<number>(UINT32, {
        'must be 300 to 399': (code) => code === 0 || (code >= 300 && code < 400),
      }),
      scheme: string(),
      uri: string(),
    }),
    'port',
    'derivePort',
  ),
  {
    'a redirect must change something': ({ uri, prefixRewrite, authority, port, derivePort, scheme }) =>
      [uri, prefixRewrite, authority, port, derivePort, scheme].some(Boolean),
    'uri and prefixRewrite exclude each other': ({ uri, prefixRewrite }) => !uri || !prefixRewrite,
  },
)

/** Conditions under which Envoy retries; the same list takes status codes. */
const RETRY_ON = [
  ...['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'envoy-ratelimited', 'retriable-4xx'],
  ...['refused-stream', 'retriable-status-codes', 'retriable-headers', 'http3-post-connect-failure', 'cancelled'],
  ...['deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'],
]

const isRetryCondition = (word: string) => RETRY_ON.includes(word) || /^[1-5]\d\d$/.test(word)

const RETRIES = withRules<HttpRetry>(
  object({
    attempts: COUNT,
    backoff: ISTIO_DURATION,
    perTryTimeout: ISTIO_DURATION,
    retryIgnorePreviousHosts: OPTIONAL_BOOLEAN,
    retryOn: withRules<string>(string(), {
      'every word must be a retry condition or a status code': (text) =>
        text === '' || text.split(',').every((word) => isRetryCondition(word.trim())),
    }),
    retryRemoteLocalities: OPTIONAL_BOOLEAN,
  }),
  {
    'no attempts: nothing else may be set': ({ attempts, ...settings }) =>
      attempts !== 0 || Object.keys(settings).length === 0,
  },
)

const ROUTE = withRules<readonly HttpRouteDestination[]>(
  array(object({ destination: DESTINATION, headers: HEADERS, weight: COUNT }, { required: ['destination'] })),
  {
    'the weights must not all be 0': (route) => route.length < 2 || route.some(({ weight = 0 }) => weight > 0),
  },
)

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
      uriRegexRewrite: object({ match: REGEX, rewrite: string() }),
    }),
    route: ROUTE,
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

export const VIRTUAL_SERVICE_SPEC = withRules<VirtualServiceSpec>(
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
)

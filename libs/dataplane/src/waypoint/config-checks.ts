import { CodedError } from '@ambient-lab/std'
import {
  type Cluster,
  type FilterChain,
  HISTOGRAM_BUCKETS_MAX,
  HISTOGRAM_METRICS,
  type L7Proxy,
  type Shape,
  STANDARD_METRICS,
  shapes,
} from '@ambient-lab/xds'

const { boolean, isObject, list, number, object, oneOf, optional, port, record, string } = shapes

/** What a proxy believes of its configuration: the shape is checked here, patterns and formats when they are compiled. */

const DURATION_MS_MAX = 2 ** 31 - 1

const duration: Shape = within(0, DURATION_MS_MAX)
const weight: Shape = within(0, 2 ** 31 - 1)
const share: Shape = within(0, 1_000_000)
const status: Shape = within(200, 599)
/** 0: every one. */
const portOrAll: Shape = within(0, 65_535)

const headerValue = object({ name: headerName, value: fieldText })
const headerMutation = object({
  remove: optional(list(string)),
  set: optional(list(headerValue)),
  add: optional(list(headerValue)),
})
const textMatcher = anyOf(
  object({ exact: string }),
  object({ prefix: string }),
  object({ suffix: string }),
  object({ contains: string }),
  object({ regex: string }),
)
const namedMatcher = object({ name: string, value: optional(textMatcher), invert: optional(boolean) })
const pathMatcher = anyOf(textMatcher, object({ pathSegments: string }))
const pathRewrite = anyOf(
  object({ prefix: targetText }),
  object({ full: targetText }),
  object({ regex: object({ pattern: string, substitution: targetText }) }),
)
const retry = object({
  attempts: within(0, 1000),
  on: list(string),
  statusCodes: list(number),
  perTryTimeoutMs: optional(duration),
  backoffBaseMs: duration,
  backoffMaxMs: duration,
  avoidPreviousHostsDraws: within(0, 1000),
  avoidPreviousLevelsEvery: optional(within(1, 1000)),
})
const backend = object({
  cluster: optional(string),
  weight,
  requestHeaders: optional(headerMutation),
  responseHeaders: optional(headerMutation),
})
const forward = object({
  backends: list(backend),
  timeoutMs: optional(duration),
  retry: optional(retry),
  rewrite: optional(object({ authority: optional(targetText), path: optional(pathRewrite) })),
  mirrors: optional(list(object({ cluster: string, millionths: share }))),
  upgrades: optional(list(string)),
})
const redirect = object({
  status: within(301, 308),
  scheme: optional(targetText),
  authority: optional(targetText),
  port: optional(port),
  path: optional(pathRewrite),
})
const action = byKind({
  forward: object({ forward }),
  redirect: object({ redirect }),
  'direct-response': object({ status, body: optional(string) }),
})
const bucket = object({ maxTokens: weight, tokensPerFill: weight, fillIntervalMs: within(1, DURATION_MS_MAX) })
const rateLimitAction = byKind({
  'request-headers': object({ headerName: string, descriptorKey: string, skipIfAbsent: boolean }),
  'remote-address': object({}),
  'generic-key': object({ descriptorKey: string, descriptorValue: string }),
  'header-value-match': object({
    descriptorKey: string,
    descriptorValue: string,
    expectMatch: boolean,
    headers: list(namedMatcher),
  }),
  'destination-cluster': object({}),
  'source-cluster': object({}),
})
const filters = object({
  cors: optional(
    object({
      allowOrigins: list(textMatcher),
      allowMethods: list(headerText),
      allowHeaders: list(headerText),
      exposeHeaders: list(headerText),
      maxAgeSeconds: optional(weight),
      allowCredentials: boolean,
      forwardUnmatchedPreflights: boolean,
    }),
  ),
  fault: optional(
    object({
      delay: optional(object({ millionths: share, fixedMs: duration })),
      abort: optional(
        object({ millionths: share, httpStatus: optional(status), grpcStatus: optional(within(0, 1000)) }),
      ),
    }),
  ),
  'local-rate-limit': optional(
    object({
      statPrefix: string,
      bucket,
      enabledMillionths: share,
      enforcedMillionths: share,
      responseHeaders: optional(headerMutation),
      descriptors: list(object({ entries: list(object({ key: string, value: optional(string) })), bucket })),
      actions: list(rateLimitAction),
      rateLimitHeaders: boolean,
      perDownstreamConnection: boolean,
      status: optional(status),
    }),
  ),
  'rate-limit': optional(object({ rateLimits: list(object({ actions: list(rateLimitAction) })) })),
})
const route = object({
  name: string,
  match: object({
    path: optional(pathMatcher),
    method: optional(textMatcher),
    scheme: optional(textMatcher),
    authority: optional(textMatcher),
    headers: optional(list(namedMatcher)),
    queryParams: optional(list(namedMatcher)),
    grpc: optional(boolean),
    sourceLabels: optional(record(string)),
  }),
  action,
  requestHeaders: optional(headerMutation),
  responseHeaders: optional(headerMutation),
  filters: optional(filters),
})
/** The rest of a policy is checked where it is compiled. */
const authorization = object({
  name: string,
  namespace: string,
  action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
  rules: list(object({ clauses: list(object({ matches: list(object({})) })) })),
  dryRun: boolean,
})
const extAuthz = object({
  provider: string,
  protocol: oneOf('http', 'grpc'),
  cluster: string,
  authority: string,
  timeoutMs: duration,
  failOpen: boolean,
  statusOnError: within(200, 599),
  clearRouteCache: boolean,
  requestBody: optional(object({ maxBytes: weight, allowPartial: boolean, packAsBytes: boolean })),
  http: optional(
    object({
      pathPrefix: targetText,
      requestHeaders: list(string),
      additionalHeaders: list(headerValue),
      upstreamOnAllow: list(string),
      downstreamOnDeny: list(string),
      downstreamOnAllow: list(string),
    }),
  ),
})
const filterChain = object({
  name: string,
  proxy: string,
  match: byKind({
    service: object({ service: string, port }),
    workload: object({ uid: string, port }),
    listener: object({ port, serverNames: list(string) }),
    inbound: object({ port: portOrAll }),
  }),
  http: optional(
    object({
      statPrefix: string,
      virtualHosts: list(object({ name: string, domains: list(string), routes: list(route) })),
      jwt: optional(object({ providers: list(object({ name: string, issuer: string, audiences: list(string) })) })),
      authorization: optional(list(authorization)),
      extAuthz: optional(list(extAuthz)),
      rateLimit: optional(
        object({
          domain: string,
          cluster: string,
          authority: string,
          timeoutMs: duration,
          failureModeDeny: boolean,
          rateLimitHeaders: boolean,
        }),
      ),
    }),
  ),
  tcp: optional(
    object({
      routes: list(
        object({
          name: string,
          serverNames: list(string),
          destinationCidrs: list(string),
          sourceLabels: optional(record(string)),
          backends: list(object({ cluster: optional(string), weight })),
        }),
      ),
      authorization: optional(list(authorization)),
      extAuthz: optional(list(extAuthz)),
    }),
  ),
  sniff: optional(boolean),
  mutualTls: optional(oneOf('STRICT', 'PERMISSIVE', 'DISABLE')),
})

const hashPolicy = byKind({
  header: object({ name: string }),
  cookie: object({
    name: token,
    path: optional(cookiePath),
    ttlSeconds: optional(weight),
    attributes: optional(list(object({ name: token, value: cookiePath }))),
  }),
  'source-ip': object({}),
  'query-parameter': object({ name: string }),
})
const cluster = object({
  name: string,
  endpoints: byKind({
    service: object({ service: string, servicePort: port, subset: optional(list(string)) }),
    dns: object({ hosts: list(object({ host: string, port })), dnsTtlMs: within(1, DURATION_MS_MAX) }),
    'original-destination': object({}),
    local: object({ port: portOrAll }),
  }),
  protocol: oneOf('http1', 'http2', 'downstream', 'tcp'),
  loadBalancing: object({
    policy: oneOf('LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM', 'RING_HASH', 'MAGLEV', 'PASSTHROUGH'),
    hash: optional(hashPolicy),
    minimumRingSize: optional(within(1, 8 * 1024 * 1024)),
    maglevTableSize: optional(within(2, 5_000_011)),
    warmup: optional(object({ durationMs: duration, minimumPercent: within(0, 100), aggression: within(0.01, 100) })),
    locality: optional(
      object({
        distribute: optional(list(object({ from: string, to: record(weight) }))),
        failover: optional(list(object({ from: string, to: string }))),
        failoverPriority: optional(list(string)),
        isForced: optional(boolean),
      }),
    ),
    zoneAware: optional(
      object({
        minClusterSize: weight,
        failover: optional(list(object({ from: string, to: string }))),
        failoverPriority: optional(list(string)),
      }),
    ),
  }),
  connectTimeoutMs: duration,
  circuitBreakers: object({
    maxConnections: optional(weight),
    maxPendingRequests: optional(weight),
    maxRequests: optional(weight),
    maxRetries: optional(weight),
    retryBudget: optional(
      object({
        percent: within(0, 100),
        minRetryConcurrency: weight,
        intervalMs: optional(within(1, DURATION_MS_MAX)),
      }),
    ),
  }),
  maxRequestsPerConnection: weight,
  maxConnectionDurationMs: optional(duration),
  plaintext: optional(oneOf('sidecars', 'all')),
  idleTimeoutMs: duration,
  http2: optional(
    object({
      maxConcurrentStreams: optional(within(1, 2 ** 31 - 1)),
      keepalive: optional(object({ intervalMs: within(1, DURATION_MS_MAX), timeoutMs: within(1, DURATION_MS_MAX) })),
    }),
  ),
  tcpProxy: optional(object({ idleTimeoutMs: duration, maxConnectionDurationMs: duration })),
  tcpKeepalive: optional(
    object({ probes: optional(weight), timeSeconds: optional(weight), intervalSeconds: optional(weight) }),
  ),
  outlierDetection: optional(
    object({
      consecutive5xx: weight,
      consecutiveGatewayErrors: weight,
      splitExternalLocalOriginErrors: boolean,
      consecutiveLocalOriginFailures: weight,
      intervalMs: within(1, DURATION_MS_MAX),
      baseEjectionTimeMs: duration,
      maxEjectionPercent: within(0, 100),
      minHealthPercent: within(0, 100),
      errorCodes: optional(list(within(100, 599))),
    }),
  ),
  tls: optional(
    object({
      mode: oneOf('SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'),
      sni: optional(string),
      subjectAltNames: list(string),
      caPem: optional(string),
      certificatePem: optional(string),
      keyPem: optional(string),
      insecureSkipVerify: boolean,
    }),
  ),
  proxyProtocol: optional(oneOf('V1', 'V2')),
})

const proxyTelemetry = {
  accessLog: object({
    enabled: boolean,
    encoding: oneOf('TEXT', 'JSON'),
    format: optional(string),
    filter: optional(string),
  }),
  tracing: optional(
    object({
      endpoint: string,
      randomSamplingPercent: within(0, 100),
      customTags: record(anyOf(string, object({ header: string, defaultValue: optional(string) }))),
    }),
  ),
  disabledMetrics: optional(list(oneOf(...STANDARD_METRICS))),
  tagOverrides: optional(forEach(STANDARD_METRICS, record(anyOf(string, isNull)))),
}

const l7Proxy = object({
  name: string,
  namespace: string,
  kind: oneOf('waypoint', 'gateway', 'sidecar', 'east-west'),
  workloads: list(string),
  ports: list(object({ port, protocol: oneOf('HTTP', 'TLS', 'TCP') })),
  ...proxyTelemetry,
  outboundTelemetry: optional(object(proxyTelemetry)),
  outbound: optional(object({ mode: oneOf('ALLOW_ANY', 'REGISTRY_ONLY'), hosts: optional(list(string)) })),
  namesClients: optional(boolean),
  histogramBuckets: optional(forEach(HISTOGRAM_METRICS, rising)),
  pathNormalization: oneOf('NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
})

/** @throws CodedError INVALID_RESOURCE, naming the field */
export function checkFilterChain(name: string, resource: unknown): FilterChain {
  return check(filterChain, name, resource) as FilterChain
}

/** @throws CodedError INVALID_RESOURCE, naming the field */
export function checkCluster(name: string, resource: unknown): Cluster {
  return check(cluster, name, resource) as Cluster
}

/**
 * A proxy is named by its Gateway, whose namespace is a field of its own.
 * @throws CodedError INVALID_RESOURCE, naming the field
 */
export function checkL7Proxy(resource: unknown): L7Proxy {
  const fault = l7Proxy(resource, 'resource')
  if (fault) throw new CodedError('INVALID_RESOURCE', fault)
  return resource as L7Proxy
}

function check(shape: Shape, name: string, resource: unknown): unknown {
  const fault = shape(resource, 'resource')
  if (fault) throw new CodedError('INVALID_RESOURCE', fault)
  const own = (resource as { readonly name: string }).name
  if (own !== name) throw new CodedError('INVALID_RESOURCE', `name is ${own}, not ${name}`)
  return resource
}

function within(low: number, high: number): Shape {
  return (value, path) => {
    if (typeof value === 'number' && value >= low && value <= high) return undefined
    return `${path} is no number from ${low} to ${high}`
  }
}

function anyOf(...shapes: readonly Shape[]): Shape {
  return (value, path) => {
    if (shapes.some((shape) => shape(value, path) === undefined)) return undefined
    return `${path} has none of the forms that it may have`
  }
}

/** An object that may have each of the keys. */
function forEach(keys: readonly string[], shape: Shape): Shape {
  return object(Object.fromEntries(keys.map((key) => [key, optional(shape)])))
}

function isNull(value: unknown, path: string): string | undefined {
  return value === null ? undefined : `${path} is not null`
}

/** Bounds of buckets. */
function rising(value: unknown, path: string): string | undefined {
  const fault = list(number)(value, path)
  if (fault) return fault
  const bounds = value as readonly number[]
  if (bounds.length > HISTOGRAM_BUCKETS_MAX) return `${path} has more than ${HISTOGRAM_BUCKETS_MAX} bounds`
  return bounds.every((bound, index) => index === 0 || bound > bounds[index - 1]!) ? undefined : `${path} does not rise`
}

function byKind(shapes: Readonly<Record<string, Shape>>): Shape {
  return (value, path) => {
    const kind = isObject(value) ? value.kind : undefined
    if (typeof kind !== 'string' || !Object.hasOwn(shapes, kind)) return `${path}.kind is unknown`
    return shapes[kind]!(value, path)
  }
}

/** What becomes the value of a field: bytes of Latin-1 without controls (RFC 9110 §5.5); commands are filled in later. */
function fieldText(value: unknown, path: string): string | undefined {
  return typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? undefined : `${path} is no field value`
}

/** What becomes part of a request target, or of an authority: nothing that would end it. */
function targetText(value: unknown, path: string): string | undefined {
  return typeof value === 'string' && /^[\x21-\x7e]*$/.test(value) ? undefined : `${path} is no part of a target`
}

/** What stands in a field must not end its line. */
function headerText(value: unknown, path: string): string | undefined {
  return typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) ? undefined : `${path} is no header text`
}

function headerName(value: unknown, path: string): string | undefined {
  return value === ':authority' ? undefined : token(value, path)
}

/** What becomes part of a Set-Cookie field must not end it, or the attribute that it stands in. */
function token(value: unknown, path: string): string | undefined {
  return typeof value === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value) ? undefined : `${path} is no token`
}

function cookiePath(value: unknown, path: string): string | undefined {
  return typeof value === 'string' && /^[\x20-\x3a\x3c-\x7e]*$/.test(value) ? undefined : `${path} is no cookie path`
}

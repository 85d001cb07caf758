import type { Resource } from '@ambient-lab/api'
import type { FilterChain, L7Proxy } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import type { MeshConfig } from '../mesh-config.ts'
import {
  AUTHORIZATION_POLICIES,
  ENVOY_FILTERS,
  GATEWAYS,
  type KnownType,
  PODS,
  RATE_LIMIT_POLICIES,
  REQUEST_AUTHENTICATIONS,
  SERVICES,
  TELEMETRIES,
} from '../stored-kinds.ts'
import l7Proxy from '../translate/l7-proxy.ts'
import sidecarProxy from '../translate/sidecar-proxy.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { service, WAYPOINT } from './routing.conformance.ts'
import { serviceChains } from './service-chain.ts'
import { serviceTarget } from './targets.ts'
import { proxyTelemetry } from './telemetry.ts'

const GATEWAY: Resource = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: WAYPOINT,
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
}
const GATEWAY_GROUP = 'gateway.networking.k8s.io'

function chainsAmong(
  objects: readonly [KnownType, Resource][],
  ports = [{ name: 'http', port: 80 }],
  mesh: Partial<MeshConfig> = {},
): FilterChain[] {
  const reviews = service('reviews', ports)
  const view = viewOf([[SERVICES, reviews], [GATEWAYS, GATEWAY], ...objects], mesh)
  return serviceChains(serviceTarget(reviews as never, 'cluster.local')!, WAYPOINT, view)
}

function object(kind: string, spec: object, more: object = {}): Resource {
  return { apiVersion: 'x/v1', kind, metadata: { name: 'it', namespace: 'default', ...more }, spec }
}

describe('which policies hold at a waypoint', () => {
  const policy = (targets: object, more: object = {}): [KnownType, Resource] => [
    AUTHORIZATION_POLICIES,
    object('AuthorizationPolicy', { ...targets, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }, more),
  ]
  const ref = (kind: string, name: string, group = GATEWAY_GROUP) => ({ targetRefs: [{ group, kind, name }] })
  it.each<[string, [KnownType, Resource], boolean]>([
    ['its Gateway', policy(ref('Gateway', 'waypoint')), true],
    ['another Gateway', policy(ref('Gateway', 'other')), false],
    ['a Gateway of that name elsewhere', policy(ref('Gateway', 'waypoint'), { namespace: 'other' }), false],
    [
      'its class, from the root namespace',
      policy(ref('GatewayClass', 'istio-waypoint'), { namespace: 'istio-system' }),
      true,
    ],
    ['its class, from anywhere else', policy(ref('GatewayClass', 'istio-waypoint')), false],
    ['the service', policy(ref('Service', 'reviews', '')), true],
    ['the service, its group spelt out', policy(ref('Service', 'reviews', 'core')), true],
    ['the service, in the older form', policy({ targetRef: { kind: 'Service', name: 'reviews' } }), true],
    ['another service', policy(ref('Service', 'ratings', '')), false],
    ['workloads by a selector', policy({ selector: { matchLabels: { app: 'reviews' } } }), false],
    ['the whole namespace', policy({}), false],
    ['the whole mesh', policy({}, { namespace: 'istio-system' }), false],
  ])('%s', (_, object, holds) => {
    expect(chainsAmong([object])[0]?.http?.authorization?.length ?? 0).toBe(holds ? 1 : 0)
  })

  it('hold for connections without what needs HTTP', () => {
    const denied = object('AuthorizationPolicy', {
      ...ref('Service', 'reviews', ''),
      action: 'DENY',
      rules: [{ from: [{ source: { namespaces: ['a'] } }], to: [{ operation: { methods: ['GET'] } }] }],
    })
    const [chain] = chainsAmong([[AUTHORIZATION_POLICIES, denied]], [{ name: 'tcp', port: 90 }])
    expect(chain?.tcp?.authorization).toMatchObject([{ action: 'DENY', rules: [{ clauses: [{ part: 'from' }] }] }])
    expect(chain).not.toHaveProperty('http')
  })

  it('bring tokens and external authorization along', () => {
    const provider = {
      name: 'ext',
      envoyExtAuthzHttp: {
        service: 'foo/authz.foo.svc.cluster.local',
        port: 8000,
        includeRequestHeadersInCheck: ['X-A'],
      },
    }
    const custom = object('AuthorizationPolicy', {
      ...ref('Service', 'reviews', ''),
      action: 'CUSTOM',
      provider: { name: 'ext' },
      rules: [{}],
    })
    const tokens = object('RequestAuthentication', {
      ...ref('Service', 'reviews', ''),
      jwtRules: [{ issuer: 'i', jwks: '{}' }],
    })
    const [chain] = chainsAmong(
      [
        [AUTHORIZATION_POLICIES, custom],
        [REQUEST_AUTHENTICATIONS, tokens],
      ],
      undefined,
      { extensionProviders: [provider] },
    )
    expect(chain?.http?.jwt?.providers).toMatchObject([{ issuer: 'i' }])
    expect(chain?.http?.extAuthz).toEqual([
      {
        ...{ provider: 'ext', protocol: 'http', cluster: 'outbound|8000||authz.foo.svc.cluster.local' },
        ...{ authority: 'authz.foo.svc.cluster.local', timeoutMs: 600_000, failOpen: false, statusOnError: 403 },
        clearRouteCache: false,
        http: {
          ...{ pathPrefix: '', requestHeaders: ['x-a'], additionalHeaders: [] },
          ...{ upstreamOnAllow: [], downstreamOnDeny: [], downstreamOnAllow: [] },
        },
      },
    ])
  })
})

describe('rate limits', () => {
  const target = { targetRefs: [{ kind: 'Service', name: 'reviews' }] }
  const filtersOf = (objects: readonly [KnownType, Resource][]) => {
    const [chain] = chainsAmong(objects)
    return { filters: chain?.http?.virtualHosts[0]?.routes[0]?.filters, service: chain?.http?.rateLimit }
  }

  it.each<[string, object, object]>([
    [
      'of all requests',
      { limits: [{ requests: 5, per: '1m' }] },
      { bucket: { maxTokens: 5, tokensPerFill: 5, fillIntervalMs: 60_000 }, descriptors: [], actions: [] },
    ],
    [
      'of each value of a header, and one in particular',
      {
        by: { header: 'X-User' },
        limits: [
          { requests: 5, burst: 9 },
          { value: 'root', requests: 1 },
        ],
      },
      {
        bucket: { maxTokens: 9, tokensPerFill: 5, fillIntervalMs: 1000 },
        descriptors: [
          { entries: [{ key: 'header', value: 'root' }], bucket: { maxTokens: 1 } },
          { entries: [{ key: 'header' }], bucket: { maxTokens: 9 } },
        ],
        actions: [{ kind: 'request-headers', headerName: 'x-user', skipIfAbsent: false }],
      },
    ],
    [
      'of some values only',
      { by: { header: ':path' }, limits: [{ value: '/login', requests: 1 }] },
      { bucket: { maxTokens: 4_294_967_295 }, descriptors: [{ entries: [{ value: '/login' }] }] },
    ],
    [
      'by address',
      { by: { remoteAddress: true }, limits: [{ requests: 1 }], statusCode: 503 },
      { actions: [{ kind: 'remote-address' }], status: 503 },
    ],
  ])('%s', (_, local, expected) => {
    const policy = object('RateLimitPolicy', { ...target, local })
    expect(filtersOf([[RATE_LIMIT_POLICIES, policy]]).filters?.['local-rate-limit']).toMatchObject(expected)
  })

  it('of all replicas together', () => {
    const global = {
      domain: 'shop',
      service: { name: 'ratelimit', namespace: 'infra', port: 8081 },
      descriptors: [
        {
          entries: [
            { header: 'X-User', key: 'user' },
            { key: 'plan', value: 'free' },
          ],
        },
      ],
    }
    const { filters, service: asked } = filtersOf([
      [RATE_LIMIT_POLICIES, object('RateLimitPolicy', { ...target, global })],
    ])
    expect(filters?.['rate-limit']).toEqual({
      rateLimits: [
        {
          actions: [
            { kind: 'request-headers', headerName: 'x-user', descriptorKey: 'user', skipIfAbsent: false },
            { kind: 'generic-key', descriptorKey: 'plan', descriptorValue: 'free' },
          ],
        },
      ],
    })
    expect(asked).toMatchObject({
      domain: 'shop',
      cluster: 'outbound|8081||ratelimit.infra.svc.cluster.local',
      timeoutMs: 20,
      failureModeDeny: false,
      rateLimitHeaders: false,
    })
  })

  const half = { runtime_key: 'k', default_value: { numerator: 50, denominator: 'HUNDRED' } }
  const typed = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
    stat_prefix: 'http_local_rate_limiter',
    token_bucket: { max_tokens: 4, tokens_per_fill: 4, fill_interval: '60s' },
    filter_enabled: half,
    filter_enforced: { default_value: { numerator: 1, denominator: 'MILLION' } },
    response_headers_to_add: [{ append: false, header: { key: 'X-Local-Rate-Limit', value: 'true' } }],
  }
  const local = {
    statPrefix: 'http_local_rate_limiter',
    bucket: { maxTokens: 4, tokensPerFill: 4, fillIntervalMs: 60_000 },
    ...{ enabledMillionths: 500_000, enforcedMillionths: 1 },
    responseHeaders: { set: [{ name: 'x-local-rate-limit', value: 'true' }] },
  }
  const httpFilter = (value: object, context = 'SIDECAR_INBOUND') => ({
    applyTo: 'HTTP_FILTER',
    match: { context },
    patch: { operation: 'INSERT_BEFORE', value },
  })
  it.each<[string, readonly object[], object | undefined]>([
    ['in the filter', [httpFilter({ name: 'envoy.filters.http.local_ratelimit', typed_config: typed })], local],
    [
      'as a TypedStruct, in JSON’s spelling',
      [
        httpFilter({
          name: 'envoy.filters.http.local_ratelimit',
          typedConfig: {
            '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
            value: { statPrefix: 's', tokenBucket: { maxTokens: 1 } },
          },
        }),
      ],
      { statPrefix: 's', bucket: { maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 1000 }, enabledMillionths: 0 },
    ],
    [
      'in the virtual host',
      [
        httpFilter({ name: 'envoy.filters.http.local_ratelimit', typed_config: { stat_prefix: 's' } }),
        {
          applyTo: 'VIRTUAL_HOST',
          match: { context: 'ANY' },
          patch: {
            operation: 'MERGE',
            value: { typed_per_filter_config: { 'envoy.filters.http.local_ratelimit': typed } },
          },
        },
      ],
      local,
    ],
    [
      'of one route',
      [
        {
          applyTo: 'HTTP_ROUTE',
          match: { routeConfiguration: { vhost: { route: { name: 'default' } } } },
          patch: {
            operation: 'MERGE',
            value: { typed_per_filter_config: { 'envoy.filters.http.local_ratelimit': typed } },
          },
        },
      ],
      local,
    ],
    [
      'of another route',
      [
        {
          applyTo: 'HTTP_ROUTE',
          match: { routeConfiguration: { vhost: { route: { name: 'other' } } } },
          patch: {
            operation: 'MERGE',
            value: { typed_per_filter_config: { 'envoy.filters.http.local_ratelimit': typed } },
          },
        },
      ],
      undefined,
    ],
    [
      'for clients only',
      [httpFilter({ name: 'envoy.filters.http.local_ratelimit', typed_config: typed }, 'SIDECAR_OUTBOUND')],
      undefined,
    ],
    [
      'nonsense',
      [
        httpFilter({ name: 'envoy.filters.http.local_ratelimit', typed_config: 'x' }),
        { applyTo: 'VIRTUAL_HOST', patch: { value: { rate_limits: 7 } } },
      ],
      undefined,
    ],
  ])('of an EnvoyFilter: %s', (_, configPatches, expected) => {
    const filter = object('EnvoyFilter', { ...target, configPatches })
    const found = filtersOf([[ENVOY_FILTERS, filter]]).filters?.['local-rate-limit']
    if (expected) expect(found).toMatchObject(expected)
    else expect(found).toBeUndefined()
  })

  const address = (socket_address: object) => ({
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address } } }] }],
  })
  it.each<[string, object, string]>([
    [
      'stands for the service that it is about',
      { load_assignment: address({ address: 'ratelimit.default.svc.cluster.local', port_value: 8081 }) },
      'outbound|8081||ratelimit.default.svc.cluster.local',
    ],
    [
      'in camel case too',
      {
        loadAssignment: {
          endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: 'r', portValue: 1 } } } }] }],
        },
      },
      'outbound|1||r',
    ],
    ['without an address stands for nothing', { load_assignment: { endpoints: [] } }, 'rate_limit_cluster'],
    ['that is nonsense stands for nothing', { load_assignment: address({ address: 1 }) }, 'rate_limit_cluster'],
  ])('of an EnvoyFilter: a cluster that it adds %s', (_, fields, expected) => {
    const grpc_service = { envoy_grpc: { cluster_name: 'rate_limit_cluster' }, timeout: '10s' }
    const typed_config = { domain: 'd', rate_limit_service: { grpc_service, transport_api_version: 'V3' } }
    const configPatches = [
      httpFilter({ name: 'envoy.filters.http.ratelimit', typed_config }),
      { applyTo: 'CLUSTER', patch: { operation: 'ADD', value: { name: 'rate_limit_cluster', ...fields } } },
    ]
    const filter = object('EnvoyFilter', { ...target, configPatches })
    const { service: asked } = filtersOf([[ENVOY_FILTERS, filter]])
    // As in Envoy the filter's own timeout counts, and the one of the gRPC service does not.
    expect(asked).toMatchObject({ cluster: expected, authority: 'rate_limit_cluster', timeoutMs: 20 })
  })

  it('of an EnvoyFilter: asked of a service, by actions of the virtual host', () => {
    const rate_limits = [
      { actions: [{ request_headers: { header_name: ':path', descriptor_key: 'PATH' } }, { remote_address: {} }] },
      {
        actions: [
          { header_value_match: { descriptor_value: 'v', headers: [{ name: 'X-A', string_match: { prefix: 'p' } }] } },
        ],
      },
      { actions: [{ generic_key: { descriptor_value: 'g' } }, { destination_cluster: {} }, { nobody_knows: {} }] },
    ]
    const grpc_service = { envoy_grpc: { cluster_name: 'outbound|8081||ratelimit.default.svc.cluster.local' } }
    const typed_config = { domain: 'd', failure_mode_deny: true, timeout: '10s', rate_limit_service: { grpc_service } }
    const configPatches = [
      httpFilter({ name: 'envoy.filters.http.ratelimit', typed_config }),
      { applyTo: 'VIRTUAL_HOST', patch: { operation: 'MERGE', value: { rate_limits } } },
    ]
    const { filters, service: asked } = filtersOf([
      [ENVOY_FILTERS, object('EnvoyFilter', { ...target, configPatches })],
    ])
    expect(asked).toEqual({
      ...{ domain: 'd', cluster: 'outbound|8081||ratelimit.default.svc.cluster.local', timeoutMs: 10_000 },
      ...{ authority: 'ratelimit.default.svc.cluster.local', failureModeDeny: true, rateLimitHeaders: false },
    })
    expect(filters?.['rate-limit']?.rateLimits).toEqual([
      {
        actions: [
          { kind: 'request-headers', headerName: ':path', descriptorKey: 'PATH', skipIfAbsent: false },
          { kind: 'remote-address' },
        ],
      },
      {
        actions: [
          {
            ...{ kind: 'header-value-match', descriptorKey: 'header_match', descriptorValue: 'v', expectMatch: true },
            headers: [{ name: 'x-a', value: { prefix: 'p' } }],
          },
        ],
      },
      {
        actions: [
          { kind: 'generic-key', descriptorKey: 'generic_key', descriptorValue: 'g' },
          { kind: 'destination-cluster' },
        ],
      },
    ])
  })
})

describe('telemetry', () => {
  const otel = { name: 'otel', opentelemetry: { service: 'obs/collector.obs.svc.cluster.local', port: 4318 } }
  const named = (name: string, spec: object, namespace = 'default'): [KnownType, Resource] => [
    TELEMETRIES,
    object('Telemetry', spec, { name, namespace }),
  ]
  const own = { targetRefs: [{ group: GATEWAY_GROUP, kind: 'Gateway', name: 'waypoint' }] }
  it.each<[string, readonly [KnownType, Resource][], object]>([
    ['the mesh settings alone', [], { accessLog: { enabled: true, encoding: 'TEXT' } }],
    [
      'no log',
      [named('a', { accessLogging: [{ disabled: true }] }, 'istio-system')],
      { accessLog: { enabled: false } },
    ],
    [
      'the closest one counts',
      [
        named('a', { accessLogging: [{ disabled: true }] }, 'istio-system'),
        named('b', { ...own, accessLogging: [{ providers: [{ name: 'envoy' }] }] }),
      ],
      { accessLog: { enabled: true } },
    ],
    [
      'not for clients',
      [named('a', { accessLogging: [{ disabled: true, match: { mode: 'CLIENT' } }] })],
      { accessLog: { enabled: true } },
    ],
    [
      'spans',
      [
        named('a', { tracing: [{ providers: [{ name: 'otel' }] }] }, 'istio-system'),
        named('b', {
          ...own,
          tracing: [
            {
              randomSamplingPercentage: 50,
              customTags: { env: { literal: { value: 'lab' } }, x: { header: { name: 'h' } } },
            },
          ],
        }),
      ],
      {
        tracing: {
          endpoint: 'http://collector.obs.svc.cluster.local:4318/v1/traces',
          randomSamplingPercent: 50,
          customTags: { env: 'lab', x: { header: 'h' } },
        },
      },
    ],
  ])('%s', (_, objects, expected) => {
    const view = viewOf([[GATEWAYS, GATEWAY], ...objects], { extensionProviders: [otel] })
    expect(proxyTelemetry(GATEWAY as never, 'waypoint', view)).toMatchObject(expected)
  })

  const annotations = { 'sidecar.istio.io/statsHistogramBuckets': '{"istiocustom":[1,2]}' }
  it.each<[string, object, object | undefined]>([
    ['its annotations', { metadata: { ...WAYPOINT, annotations } }, annotations],
    [
      'those of its infrastructure alone, where it has some',
      {
        metadata: { ...WAYPOINT, annotations },
        spec: { ...(GATEWAY.spec as object), infrastructure: { annotations: {} } },
      },
      undefined,
    ],
  ])('has the buckets of a Gateway by %s', (_, overrides, found) => {
    const gateway = { ...GATEWAY, ...overrides } as never
    const [translated] = l7Proxy.translate(gateway, viewOf([[GATEWAYS, gateway]]))
    expect((translated!.resource as L7Proxy).histogramBuckets?.REQUEST_SIZE).toEqual(found && [1, 2])
  })

  it('of a sidecar has the buckets and the variables of its pod', () => {
    const container = { name: 'istio-proxy', env: [{ name: 'ZONE', value: 'z1' }, { name: 'POD_NAME' }] }
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...{ name: 'a', namespace: 'default', labels: { app: 'a' } },
        annotations: { ...annotations, 'sidecar.istio.io/status': '{}' },
      },
      spec: { nodeName: 'n', containers: [container] },
      status: { podIP: '10.244.1.4' },
    } as never
    const customTags = {
      zone: { environment: { name: 'ZONE' } },
      pod: { environment: { name: 'POD_NAME', defaultValue: 'none' } },
    }
    const tracing = [{ providers: [{ name: 'otel' }], customTags }]
    const view = viewOf([[PODS, pod], named('t', { tracing })], { extensionProviders: [otel] })
    const [translated] = sidecarProxy.translate(pod, view)
    expect(translated?.resource).toMatchObject({
      tracing: { customTags: { zone: 'z1', pod: 'none' } },
      histogramBuckets: { REQUEST_DURATION: [1, 2] },
    })
  })
})

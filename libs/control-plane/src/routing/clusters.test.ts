import type { Resource } from '@ambient-lab/api'
import type { Cluster } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import {
  BACKEND_TLS_POLICIES,
  CONFIG_MAPS,
  DESTINATION_RULES,
  type KnownType,
  PODS,
  SECRETS,
  SERVICE_ENTRIES,
  SERVICES,
  X_BACKEND_TRAFFIC_POLICIES,
} from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { serviceClusters } from './clusters.ts'
import { service } from './routing.conformance.ts'
import { entryTargets, serviceTarget } from './targets.ts'

const HOST = 'reviews.default.svc.cluster.local'

function rule(spec: object, more: object = {}): [KnownType, Resource] {
  const metadata = { name: 'rule', namespace: 'default', ...more }
  return [DESTINATION_RULES, { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata, spec }]
}

type Proxies = 'waypoint' | 'gateway'

function clustersOf(
  objects: readonly [KnownType, Resource][],
  ports?: readonly object[],
  proxies: Proxies = 'waypoint',
): Cluster[] {
  const reviews = service('reviews', ports)
  const target = serviceTarget(reviews as never, 'cluster.local')!
  return serviceClusters(target, proxies, viewOf([[SERVICES, reviews], ...objects]))
}

function withPolicy(trafficPolicy: object, ports?: readonly object[], proxies?: Proxies): Cluster {
  return clustersOf([rule({ host: 'reviews', trafficPolicy })], ports, proxies)[0]!
}

const GRPC = [{ name: 'grpc', port: 80 }]
const HTTP = [{ name: 'http', port: 80 }]

it('is one for each port and protocol, with Istio’s defaults', () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'grpc-api', port: 81 },
    { name: 'tcp', port: 82 },
    { name: 'what', port: 83 },
  ]
  expect(clustersOf([], ports).map(({ name, protocol }) => [name.split('|').slice(1, 3).join(' '), protocol])).toEqual([
    ['80 http', 'http1'],
    ['81 http', 'http2'],
    ['82 tcp', 'tcp'],
    ['83 http', 'downstream'],
    ['83 tcp', 'tcp'],
  ])
  expect(clustersOf([])[0]).toEqual({
    name: `inbound-vip|80|http|${HOST}`,
    endpoints: { kind: 'service', service: `default/${HOST}`, servicePort: 80 },
    protocol: 'http1',
    loadBalancing: { policy: 'LEAST_REQUEST' },
    connectTimeoutMs: 10_000,
    circuitBreakers: {},
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 3_600_000,
  })
})

describe('a traffic policy', () => {
  it.each<[object, object]>([
    [{ loadBalancer: { simple: 'ROUND_ROBIN' } }, { loadBalancing: { policy: 'ROUND_ROBIN' } }],
    [{ loadBalancer: { simple: 'LEAST_CONN' } }, { loadBalancing: { policy: 'LEAST_REQUEST' } }],
    [
      { loadBalancer: { consistentHash: { httpHeaderName: 'X-User' } } },
      { loadBalancing: { policy: 'RING_HASH', minimumRingSize: 1024, hash: { kind: 'header', name: 'x-user' } } },
    ],
    [
      { loadBalancer: { consistentHash: { httpCookie: { name: 'c', ttl: '0s' }, maglev: {} } } },
      {
        loadBalancing: {
          policy: 'MAGLEV',
          maglevTableSize: 65_537,
          hash: { kind: 'cookie', name: 'c', ttlSeconds: 0 },
        },
      },
    ],
    [{ loadBalancer: { consistentHash: { useSourceIp: true } } }, { loadBalancing: { hash: { kind: 'source-ip' } } }],
    [
      { loadBalancer: { simple: 'RANDOM', warmup: { duration: '30s' } } },
      { loadBalancing: { policy: 'RANDOM', warmup: { durationMs: 30_000, minimumPercent: 10, aggression: 1 } } },
    ],
    [
      { loadBalancer: { localityLbSetting: { failover: [{ from: 'a', to: 'b' }] } } },
      { loadBalancing: { locality: { failover: [{ from: 'a', to: 'b' }] } } },
    ],
    [{ loadBalancer: { localityLbSetting: { enabled: false } } }, { loadBalancing: { policy: 'LEAST_REQUEST' } }],
    [
      {
        connectionPool: {
          tcp: { maxConnections: 1, connectTimeout: '30ms' },
          http: { http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4 },
        },
      },
      {
        connectTimeoutMs: 30,
        circuitBreakers: { maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 },
      },
    ],
    [{ connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } }, { protocol: 'http2' }],
    [{ connectionPool: { http: { useClientProtocol: true } } }, { protocol: 'downstream' }],
    [
      { connectionPool: { http: { idleTimeout: '5s', maxRequestsPerConnection: 7 } } },
      { idleTimeoutMs: 5000, maxRequestsPerConnection: 7 },
    ],
    [
      { outlierDetection: { consecutiveGatewayErrors: 3, interval: '1s' } },
      {
        outlierDetection: {
          ...{ consecutive5xx: 5, consecutiveGatewayErrors: 3, intervalMs: 1000, baseEjectionTimeMs: 30_000 },
          ...{ maxEjectionPercent: 10, minHealthPercent: 0, splitExternalLocalOriginErrors: false },
        },
      },
    ],
    [{ retryBudget: { percent: 50 } }, { circuitBreakers: { retryBudget: { percent: 50, minRetryConcurrency: 3 } } }],
    [
      { retryBudget: { budgetInterval: '2s', minRetryConcurrency: 0 } },
      { circuitBreakers: { retryBudget: { percent: 20, minRetryConcurrency: 3, intervalMs: 2000 } } },
    ],
    [
      {
        loadBalancer: {
          consistentHash: {
            httpCookie: { name: 'c', ttl: '1m', attributes: [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }] },
          },
        },
      },
      {
        loadBalancing: {
          hash: {
            ...{ kind: 'cookie', name: 'c', ttlSeconds: 60 },
            attributes: [
              { name: 'SameSite', value: 'Lax' },
              { name: 'Secure', value: '' },
            ],
          },
        },
      },
    ],
    [
      { connectionPool: { tcp: { tcpKeepalive: { probes: 3, time: '7200s', interval: '1500ms' } } } },
      { tcpKeepalive: { probes: 3, timeSeconds: 7200, intervalSeconds: 1 } },
    ],
    [{ connectionPool: { tcp: { tcpKeepalive: {} } } }, { tcpKeepalive: {} }],
    [
      { connectionPool: { tcp: { idleTimeout: '0s', maxConnectionDuration: '5m' } } },
      {
        ...{ idleTimeoutMs: 0, maxConnectionDurationMs: 300_000 },
        tcpProxy: { idleTimeoutMs: 0, maxConnectionDurationMs: 300_000 },
      },
    ],
    [
      { connectionPool: { http: { idleTimeout: '1s' }, tcp: { idleTimeout: '5s' } } },
      { idleTimeoutMs: 1000, tcpProxy: { idleTimeoutMs: 5000, maxConnectionDurationMs: 0 } },
    ],
    [{ outlierDetection: {} }, { loadBalancing: { locality: {} }, outlierDetection: { consecutive5xx: 5 } }],
    [{ outlierDetection: { consecutiveErrors: 1 } }, { outlierDetection: { consecutive5xx: 5 } }],
    [{ proxyProtocol: { version: 'V2' } }, { proxyProtocol: 'V2' }],
    [{ tls: { mode: 'SIMPLE', sni: 's' } }, { tls: { mode: 'SIMPLE', sni: 's', insecureSkipVerify: false } }],
  ])('%j', (policy, expected) => {
    expect(withPolicy(policy)).toMatchObject(expected)
  })

  it.each([{ mode: 'ISTIO_MUTUAL' }, { mode: 'DISABLE' }, {}])('asks for no TLS of its own with %j', (tls) => {
    expect(withPolicy({ tls })).not.toHaveProperty('tls')
  })

  const KEEPALIVE = { http2KeepAlive: { interval: '30s', timeout: '5s' } }
  const OPTIONS = { maxConcurrentStreams: 4, keepalive: { intervalMs: 30_000, timeoutMs: 5000 } }
  it.each<[string, object, readonly object[], Proxies, object | undefined]>([
    ['a port that speaks HTTP/2, at a waypoint', {}, GRPC, 'waypoint', OPTIONS],
    ['a port that speaks HTTP/2, at a gateway', {}, GRPC, 'gateway', OPTIONS],
    ['an upgrade, at a gateway', { h2UpgradePolicy: 'UPGRADE' }, HTTP, 'gateway', OPTIONS],
    ['an upgrade, at a waypoint: istiod looks too early', { h2UpgradePolicy: 'UPGRADE' }, HTTP, 'waypoint', undefined],
    ['a port of HTTP/1.1', {}, HTTP, 'gateway', undefined],
    ['what the client speaks', { useClientProtocol: true }, GRPC, 'gateway', undefined],
  ])('has options of HTTP/2 for %s', (_, http, ports, proxies, expected) => {
    const connectionPool = { http: { maxConcurrentStreams: 4, ...KEEPALIVE, ...http } }
    expect(withPolicy({ connectionPool }, ports, proxies).http2).toEqual(expected)
  })

  it.each<[Proxies, object, object]>([
    ['gateway', {}, { zoneAware: { minClusterSize: 6 } }],
    [
      'gateway',
      { minClusterSize: 2, failover: [{ from: 'a', to: 'b' }], failoverPriority: ['x'] },
      { zoneAware: { minClusterSize: 2, failover: [{ from: 'a', to: 'b' }], failoverPriority: ['x'] } },
    ],
    ['gateway', { enabled: false }, {}],
    ['waypoint', {}, {}],
  ])('of a %s has zoneAwareLbSetting %j', (proxies, zoneAwareLbSetting, expected) => {
    const policy = { loadBalancer: { zoneAwareLbSetting }, outlierDetection: {} }
    expect(withPolicy(policy, HTTP, proxies).loadBalancing).toEqual({ policy: 'LEAST_REQUEST', ...expected })
  })

  it.each<[Proxies, readonly number[] | undefined]>([
    ['gateway', [429, 503]],
    ['waypoint', undefined],
  ])('of a %s has outlierDetectionHttpErrorCodes %j', (proxies, expected) => {
    const policy = { outlierDetection: { outlierDetectionHttpErrorCodes: [429, 503] } }
    expect(withPolicy(policy, HTTP, proxies).outlierDetection?.errorCodes).toEqual(expected)
  })

  it('of a port replaces that of all ports', () => {
    const portLevelSettings = [{ port: { number: 80 }, loadBalancer: { simple: 'RANDOM' } }]
    expect(withPolicy({ connectionPool: { tcp: { maxConnections: 1 } }, portLevelSettings })).toMatchObject({
      loadBalancing: { policy: 'RANDOM' },
      circuitBreakers: {},
    })
  })
})

describe('subsets', () => {
  const pod = (name: string, version: string): [KnownType, Resource] => [
    PODS,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { app: 'reviews', version } },
      status: { podIP: '10.0.0.1' },
    },
  ]
  const subsets = [
    { name: 'v1', labels: { version: 'v1' }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
    { name: 'none', labels: { app: 'other' } },
  ]

  it('are the workloads that their labels pick, with what they say themselves first', () => {
    const trafficPolicy = { loadBalancer: { simple: 'ROUND_ROBIN' } }
    const found = clustersOf([
      rule({ host: 'reviews', trafficPolicy, subsets }),
      pod('b', 'v1'),
      pod('a', 'v1'),
      pod('c', 'v2'),
    ])
    expect(found.map(({ name, endpoints, loadBalancing }) => [name, endpoints, loadBalancing.policy])).toEqual([
      [`inbound-vip|80|http|${HOST}`, expect.not.objectContaining({ subset: expect.anything() }), 'ROUND_ROBIN'],
      [
        `inbound-vip|80|http/v1|${HOST}`,
        expect.objectContaining({ subset: ['Kubernetes//Pod/default/a', 'Kubernetes//Pod/default/b'] }),
        'RANDOM',
      ],
      [`inbound-vip|80|http/none|${HOST}`, expect.objectContaining({ subset: [] }), 'ROUND_ROBIN'],
    ])
  })
})

describe('a service’s traffic distribution', () => {
  const ZONE = ['topology.istio.io/network', 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone']
  const NODE = [...ZONE, 'topology.istio.io/subzone', 'kubernetes.io/hostname']
  const OUTLIERS = { outlierDetection: {} }
  const OWN = { loadBalancer: { localityLbSetting: { failoverPriority: ['a'] } }, ...OUTLIERS }
  it.each<[string, string | undefined, object | undefined, object | undefined]>([
    ['nothing', undefined, undefined, undefined],
    ['its zone', 'PreferClose', undefined, { failoverPriority: ZONE, isForced: true }],
    ['its node', 'PreferSameNode', OUTLIERS, { failoverPriority: NODE, isForced: true }],
    ['what a DestinationRule says before that', 'PreferClose', OWN, { failoverPriority: ['a'] }],
    [
      'nothing where a DestinationRule wants that',
      'PreferClose',
      { loadBalancer: { localityLbSetting: { enabled: false } } },
      undefined,
    ],
    ['the mesh’s default where hosts can be ejected', undefined, OUTLIERS, {}],
  ])('prefers %s', (_, trafficDistribution, trafficPolicy, expected) => {
    const plain = service('reviews') as Resource & { spec: object }
    const reviews = { ...plain, spec: { ...plain.spec, ...(trafficDistribution && { trafficDistribution }) } }
    const target = serviceTarget(reviews as never, 'cluster.local')!
    const rules = trafficPolicy ? [rule({ host: 'reviews', trafficPolicy })] : []
    const [found] = serviceClusters(target, 'waypoint', viewOf([[SERVICES, reviews], ...rules]))
    expect(found?.loadBalancing.locality).toEqual(expected)
  })
})

describe('an XBackendTrafficPolicy', () => {
  const policy = (spec: object, metadata: object = {}): [KnownType, Resource] => [
    X_BACKEND_TRAFFIC_POLICIES,
    {
      ...{ apiVersion: 'gateway.networking.x-k8s.io/v1alpha1', kind: 'XBackendTrafficPolicy' },
      metadata: { name: 'p', namespace: 'default', ...metadata },
      spec: { targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }], ...spec },
    },
  ]
  const BUDGET = {
    retryConstraint: { budget: { percent: 50, interval: '5s' }, minRetryRate: { count: 4, interval: '1s' } },
  }
  const RULE = { host: 'reviews', trafficPolicy: { retryBudget: { percent: 1 } } }
  it.each<[string, readonly [KnownType, Resource][], object]>([
    [
      'sets the retry budget',
      [policy(BUDGET)],
      { retryBudget: { percent: 50, minRetryConcurrency: 4, intervalMs: 5000 } },
    ],
    [
      'has the Gateway API’s defaults',
      [policy({ retryConstraint: {} })],
      { retryBudget: { percent: 20, minRetryConcurrency: 10, intervalMs: 10_000 } },
    ],
    [
      'comes after a DestinationRule',
      [policy(BUDGET), rule(RULE)],
      { retryBudget: { percent: 1, minRetryConcurrency: 3 } },
    ],
    [
      'fills what a DestinationRule leaves open',
      [policy(BUDGET), rule({ host: 'reviews', trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } } })],
      { maxConnections: 1, retryBudget: { percent: 50, minRetryConcurrency: 4, intervalMs: 5000 } },
    ],
    ['may be passed over', [policy(BUDGET, { annotations: { 'istio.io/ignore-policy-attachment': 'true' } })], {}],
    ['is for its own namespace', [policy(BUDGET, { namespace: 'other' })], {}],
    [
      'is for the services it names',
      [policy({ ...BUDGET, targetRefs: [{ group: '', kind: 'Service', name: 'x' }] })],
      {},
    ],
  ])('%s', (_, objects, expected) => {
    expect(clustersOf(objects)[0]?.circuitBreakers).toEqual(expected)
  })
})

describe('a subset and a port', () => {
  const balancer = (simple: string) => ({ loadBalancer: { simple } })
  const limit = (maxConnections: number) => ({ connectionPool: { tcp: { maxConnections } } })
  const ofPort = (settings: object) => ({ portLevelSettings: [{ port: { number: 80 }, ...settings }] })
  it.each<[string, object, object | undefined, object]>([
    [
      'the subset overrides what the rule says of the port',
      { ...limit(1), ...ofPort({ ...balancer('RANDOM'), ...limit(2) }) },
      limit(3),
      { loadBalancing: { policy: 'RANDOM' }, circuitBreakers: { maxConnections: 3 } },
    ],
    [
      'the subset’s port overrides all but what no port has',
      { ...balancer('RANDOM'), ...limit(1), proxyProtocol: { version: 'V2' } },
      ofPort(limit(3)),
      { loadBalancing: { policy: 'LEAST_REQUEST' }, circuitBreakers: { maxConnections: 3 }, proxyProtocol: 'V2' },
    ],
    [
      'a subset that says nothing has the rule’s',
      ofPort(limit(2)),
      undefined,
      { circuitBreakers: { maxConnections: 2 } },
    ],
  ])('%s', (_, trafficPolicy, own, expected) => {
    const subsets = [{ name: 'v1', labels: { version: 'v1' }, ...(own && { trafficPolicy: own }) }]
    expect(clustersOf([rule({ host: 'reviews', trafficPolicy, subsets })])[1]).toMatchObject(expected)
  })
})

describe('which rule counts', () => {
  const balance = (simple: string) => ({ trafficPolicy: { loadBalancer: { simple } } })
  it.each<[string, readonly [KnownType, Resource][], string]>([
    [
      'the exact host before a wildcard',
      [
        rule({ host: '*.default.svc.cluster.local', ...balance('RANDOM') }, { name: 'a' }),
        rule({ host: HOST, ...balance('ROUND_ROBIN') }),
      ],
      'ROUND_ROBIN',
    ],
    ['a wildcard', [rule({ host: '*.cluster.local', ...balance('RANDOM') })], 'RANDOM'],
    [
      'of the service’s namespace before the root',
      [
        rule({ host: HOST, ...balance('RANDOM') }, { namespace: 'istio-system' }),
        rule({ host: HOST, ...balance('ROUND_ROBIN') }),
      ],
      'ROUND_ROBIN',
    ],
    ['of the root namespace', [rule({ host: HOST, ...balance('RANDOM') }, { namespace: 'istio-system' })], 'RANDOM'],
    [
      'not one that is for some clients only',
      [rule({ host: HOST, ...balance('RANDOM'), workloadSelector: { matchLabels: { app: 'web' } } })],
      'LEAST_REQUEST',
    ],
    ['not of a consumer', [rule({ host: HOST, ...balance('RANDOM') }, { namespace: 'other' })], 'LEAST_REQUEST'],
    [
      'not a short name of another namespace',
      [rule({ host: 'reviews', ...balance('RANDOM') }, { namespace: 'istio-system' })],
      'LEAST_REQUEST',
    ],
  ])('%s', (_, objects, policy) => {
    expect(clustersOf(objects)[0]?.loadBalancing.policy).toBe(policy)
  })
})

describe('TLS', () => {
  const secret: [KnownType, Resource] = [
    SECRETS,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'creds', namespace: 'default' },
      data: Object.fromEntries(
        ['tls.crt', 'tls.key', 'ca.crt'].map((key) => [key, Buffer.from(key).toString('base64')]),
      ),
    },
  ]
  it('takes its certificates from a Secret', () => {
    const tls = { mode: 'MUTUAL', credentialName: 'creds' }
    expect(clustersOf([rule({ host: 'reviews', trafficPolicy: { tls } }), secret])[0]?.tls).toEqual({
      ...{ mode: 'MUTUAL', sni: HOST, subjectAltNames: [], insecureSkipVerify: false },
      ...{ caPem: 'ca.crt', certificatePem: 'tls.crt', keyPem: 'tls.key' },
    })
  })

  it.each([
    [undefined, 'roots'],
    ['http', 'roots'],
    ['other', undefined],
  ])('comes from a BackendTLSPolicy of port %s', (sectionName, caPem) => {
    const policy: Resource = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'BackendTLSPolicy',
      metadata: { name: 'p', namespace: 'default' },
      spec: {
        targetRefs: [{ group: '', kind: 'Service', name: 'reviews', ...(sectionName && { sectionName }) }],
        validation: { hostname: 'h', caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }] },
      },
    }
    const map: Resource = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'ca', namespace: 'default' },
      data: { 'ca.crt': 'roots' },
    }
    const tls = clustersOf([
      [BACKEND_TLS_POLICIES, policy],
      [CONFIG_MAPS, map],
    ])[0]?.tls
    expect(tls?.caPem).toBe(caPem)
  })
})

describe('a ServiceEntry', () => {
  const entry = (spec: object): Resource => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'e', namespace: 'default' },
    spec: {
      hosts: ['api.example.com'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
      ...spec,
    },
  })
  it.each<[object, object]>([
    [{}, { kind: 'original-destination' }],
    [
      { resolution: 'STATIC', endpoints: [{ address: '1.1.1.1' }] },
      { kind: 'service', service: 'default/api.example.com' },
    ],
    [{ resolution: 'DNS' }, { kind: 'dns', hosts: [{ host: 'api.example.com', port: 8080 }], dnsTtlMs: 5000 }],
    [
      {
        resolution: 'DNS',
        endpoints: [{ address: 'a.example.com', ports: { http: 81 } }, { address: 'b.example.com' }],
      },
      {
        kind: 'dns',
        hosts: [
          { host: 'a.example.com', port: 81 },
          { host: 'b.example.com', port: 8080 },
        ],
      },
    ],
  ])('%j', (spec, endpoints) => {
    const object = entry(spec)
    const [target] = entryTargets(object as never)
    const found = serviceClusters(target!, 'waypoint', viewOf([[SERVICE_ENTRIES, object]]))
    expect(found.map((cluster) => cluster.name)).toEqual(['inbound-vip|80|http|api.example.com'])
    expect(found[0]?.endpoints).toMatchObject(endpoints)
  })
})

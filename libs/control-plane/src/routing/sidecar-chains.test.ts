import { hasSidecar, type Pod, type Resource } from '@ambient-lab/api'
import type { FilterChain, Route } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { injected } from '../sidecars/injection.ts'
import {
  AUTHORIZATION_POLICIES,
  ENVOY_FILTERS,
  type KnownType,
  PEER_AUTHENTICATIONS,
  REQUEST_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
  SIDECARS,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { podWorkload } from '../translate/pod-workload.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { httpRoute, service, virtualService } from './routing.conformance.ts'
import { inboundChains, inboundClusters } from './sidecar-inbound.ts'
import { aliasChains, domainsOf, outboundChains } from './sidecar-outbound.ts'
import { entryTargets, serviceTarget } from './targets.ts'

type Objects = readonly [KnownType, Resource][]

const REVIEWS = service('reviews', [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'tcp-db', port: 3306 },
  { name: 'plain', port: 9000 },
])

/** Of `reviews`, at the sidecars of callers in a namespace. */
function outbound(objects: Objects, namespace = 'default'): FilterChain[] {
  const view = viewOf([[SERVICES, REVIEWS], ...objects])
  return outboundChains(serviceTarget(REVIEWS as never, 'cluster.local')!, namespace, view)
}

function httpRoutes(objects: Objects, namespace?: string): readonly Route[] {
  return outbound(objects, namespace)[0]!.http!.virtualHosts[0]!.routes
}

function clustersOf(routes: readonly Route[]): unknown[] {
  return routes.map(({ action }) => action.kind === 'forward' && action.forward.backends.map(({ cluster }) => cluster))
}

describe('at the sidecars of callers', () => {
  it('a service has one chain for each port, by the protocol that is declared', () => {
    const chains = outbound([])
    expect(chains).toMatchObject([
      {
        name: 'sidecars//default|default/reviews.default.svc.cluster.local|80',
        proxy: 'sidecars//default',
        match: { kind: 'service', service: 'default/reviews.default.svc.cluster.local', port: 80 },
        http: {
          virtualHosts: [
            {
              domains: ['reviews.default.svc.cluster.local', 'reviews.default.svc', 'reviews.default', 'reviews'],
              routes: [{ name: 'default' }],
            },
          ],
        },
      },
      { tcp: { routes: [{ backends: [{ cluster: 'outbound|3306||reviews.default.svc.cluster.local', weight: 1 }] }] } },
      { sniff: true, http: { virtualHosts: [{ domains: ['*'] }] }, tcp: {} },
    ])
    expect(chains.map(({ http, tcp }) => [http !== undefined, tcp !== undefined])).toEqual([
      [true, false],
      [false, true],
      [true, true],
    ])
  })

  it('a service has its short name in its own namespace only', () => {
    const target = serviceTarget(REVIEWS as never, 'cluster.local')!
    expect(domainsOf(target, 'default')).toContain('reviews')
    expect(domainsOf(target, 'other')).not.toContain('reviews')
  })

  it('a service is known by its addresses', () => {
    const withAddress = { ...REVIEWS, spec: { ...REVIEWS.spec!, clusterIPs: ['10.96.0.9', 'fd00::9'] } }
    const target = serviceTarget(withAddress as never, 'cluster.local')!
    expect(domainsOf(target, 'other').slice(3)).toEqual(['10.96.0.9', '[fd00::9]'])
    const spec = { hosts: ['a.example.com'], addresses: ['240.240.0.1', '10.0.0.0/8'], ports: [] }
    const [entry] = entryTargets({ metadata: { name: 'a', namespace: 'default' }, spec } as never)
    expect(domainsOf(entry!, 'default')).toEqual(['a.example.com', '240.240.0.1'])
  })

  const TO = (host: string) => ({ route: [{ destination: { host, port: { number: 80 } } }] })
  const CANARY = virtualService('canary', {
    hosts: ['reviews'],
    http: [{ match: [{ sourceLabels: { app: 'curl' } }], ...TO('v2') }, TO('v1')],
  })

  it('routes for callers with certain labels stay for those who have them', () => {
    const routes = httpRoutes([[VIRTUAL_SERVICES, CANARY]])
    expect(routes.map(({ match }) => match)).toEqual([{ sourceLabels: { app: 'curl' } }, {}])
    expect(clustersOf(routes)).toEqual([
      ['outbound|80||v2.default.svc.cluster.local'],
      ['outbound|80||v1.default.svc.cluster.local'],
    ])
  })

  it('connections for callers with certain labels as well, and others go to the service', () => {
    const spec = { hosts: ['reviews'], tcp: [{ match: [{ port: 3306, sourceLabels: { app: 'curl' } }], ...TO('v2') }] }
    const tcp = outbound([[VIRTUAL_SERVICES, virtualService('db', spec)]])[1]!.tcp!
    expect(tcp.routes).toMatchObject([{ sourceLabels: { app: 'curl' } }, { name: 'default' }])
    expect(tcp.routes[1]).not.toHaveProperty('sourceLabels')
  })

  it.each<[string, object, string, string]>([
    ['everybody', {}, 'other', 'v1'],
    ['its own namespace, to it', { exportTo: ['.'] }, 'default', 'v1'],
    ['its own namespace, to others', { exportTo: ['.'] }, 'other', 'reviews'],
    ['a match by namespace, to it', { http: [{ match: [{ sourceNamespace: 'other' }], ...TO('v1') }] }, 'other', 'v1'],
  ])('a VirtualService is for %s', (_title, more, namespace, expected) => {
    const spec = { hosts: ['reviews'], http: [TO('v1')], ...more }
    const [route] = httpRoutes([[VIRTUAL_SERVICES, virtualService('v', spec)]], namespace)
    expect(clustersOf([route!])).toEqual([[`outbound|80||${expected}.default.svc.cluster.local`]])
  })

  it.each([
    ['the service, for everybody', 'default', 'other', true],
    ['the caller, for itself', 'other', 'other', true],
    ['a third, for nobody', 'third', 'other', false],
  ])('an HTTPRoute counts in the namespace of %s', (_title, home, namespace, counts) => {
    const route = httpRoute('r', [{ matches: [{ path: { value: '/x' } }], backendRefs: [] }], { namespace: home })
    const parentRefs = [{ group: '', kind: 'Service', name: 'reviews', namespace: 'default' }]
    const routes = httpRoutes(
      [['gateway.networking.k8s.io/httproutes', { ...route, spec: { ...route.spec!, parentRefs } }]],
      namespace,
    )
    expect(routes[0]!.name === 'default').toBe(!counts)
  })

  it('another name for a service is a host of its own, which leads to the service', () => {
    const metadata = { name: 'stars', namespace: 'other' }
    const spec = { type: 'ExternalName', externalName: 'reviews.default.svc.cluster.local' }
    const alias = { apiVersion: 'v1', kind: 'Service', metadata, spec }
    const view = viewOf([
      [SERVICES, REVIEWS],
      [SERVICES, alias],
    ])
    const chains = aliasChains(alias as never, 'other', view)
    expect(chains).toHaveLength(1)
    const [host] = chains[0]!.http!.virtualHosts
    expect(host!.domains).toEqual(['stars.other.svc.cluster.local', 'stars.other.svc', 'stars.other', 'stars'])
    expect(clustersOf(host!.routes)).toEqual([['outbound|80||reviews.default.svc.cluster.local']])
    expect(aliasChains({ ...alias, spec: { ...spec, externalName: 'example.com' } } as never, 'other', view)).toEqual(
      [],
    )
  })

  it.each([
    ['nobody', '~', 'other', 0],
    ['its own', '.', 'other', 0],
    ['two namespaces', 'a, other', 'other', 3],
    ['everybody', '*', 'other', 3],
  ])('a service that is exported to %s', (_title, exportTo, namespace, count) => {
    const metadata = { ...REVIEWS.metadata, annotations: { 'networking.istio.io/exportTo': exportTo } }
    const target = serviceTarget({ ...REVIEWS, metadata } as never, 'cluster.local')!
    expect(outboundChains(target, namespace, viewOf([]))).toHaveLength(count)
  })
})

const POD = injected(
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'reviews-1', namespace: 'default', labels: { app: 'reviews' } },
    spec: { nodeName: 'n1', containers: [{ name: 'app', ports: [{ name: 'admin', containerPort: 9999 }] }] },
    status: { podIP: '10.244.1.5', phase: 'Running' },
  },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { 'istio-injection': 'enabled' } } },
)
const UID = 'Kubernetes//Pod/default/reviews-1'

function inbound(objects: Objects, pod: Pod = POD): FilterChain[] {
  return inboundChains(pod, viewOf([[SERVICES, REVIEWS], ...objects]))
}

function peerAuthentication(spec: object, namespace = 'default'): Objects[number] {
  const metadata = { name: 'p', namespace }
  return [PEER_AUTHENTICATIONS, { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata, spec }]
}

describe('at the side of a workload', () => {
  it('each port that a service leads to has a chain, and one takes all others', () => {
    expect(hasSidecar(POD)).toBe(true)
    expect(inbound([])).toMatchObject([
      { name: `${UID}|inbound|8080`, proxy: UID, match: { kind: 'inbound', port: 8080 }, mutualTls: 'PERMISSIVE' },
      { match: { port: 3306 }, tcp: { routes: [{ backends: [{ cluster: 'inbound|3306||' }] }] } },
      { match: { port: 9000 }, sniff: true },
      { match: { port: 0 }, sniff: true, tcp: { routes: [{ backends: [{ cluster: 'InboundPassthroughCluster' }] }] } },
    ])
    expect(inbound([])[0]!.http!.virtualHosts).toMatchObject([
      { name: 'inbound|http|80', domains: ['*'], routes: [{ action: { forward: { retry: { attempts: 2 } } } }] },
    ])
  })

  it('sends to the ports of the workload, whoever it is', () => {
    const clusters = inboundClusters(POD, viewOf([[SERVICES, REVIEWS]]))
    expect(clusters.map(({ name, endpoints }) => [name, endpoints])).toEqual([
      ['inbound|8080||', { kind: 'local', port: 8080 }],
      ['inbound|3306||', { kind: 'local', port: 3306 }],
      ['inbound|9000||', { kind: 'local', port: 9000 }],
      ['InboundPassthroughCluster', { kind: 'local', port: 0 }],
    ])
  })

  it('takes what its Sidecar lists instead of what services say', () => {
    const spec = {
      ingress: [
        { port: { number: 80, name: 'http', protocol: 'HTTP' }, defaultEndpoint: '127.0.0.1:9999' },
        { port: { number: 81, name: 'tcp' } },
      ],
    }
    const metadata = { name: 's', namespace: 'default' }
    const sidecar = { apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata, spec }
    const chains = inbound([[SIDECARS, sidecar]])
    expect(chains.map(({ match }) => match)).toEqual([80, 81, 0].map((port) => ({ kind: 'inbound', port })))
    expect(chains[0]!.http!.virtualHosts[0]!.routes[0]).toMatchObject({
      action: { forward: { backends: [{ cluster: 'inbound|9999||' }] } },
    })
    expect(chains[1]).toMatchObject({ tcp: { routes: [{ backends: [{ cluster: 'inbound|81||' }] }] } })
  })

  const SELECTOR = { matchLabels: { app: 'reviews' } }
  it.each<[string, Objects, (string | undefined)[], object]>([
    ['nobody says', [], ['PERMISSIVE', 'PERMISSIVE', undefined], { plaintext: false, exceptPorts: [] }],
    [
      'the mesh says STRICT',
      [peerAuthentication({ mtls: { mode: 'STRICT' } }, 'istio-system')],
      ['STRICT', 'STRICT', undefined],
      { plaintext: false, exceptPorts: [] },
    ],
    [
      'a port is an exception',
      [
        peerAuthentication({
          selector: SELECTOR,
          mtls: { mode: 'STRICT' },
          portLevelMtls: { 8080: { mode: 'DISABLE' } },
        }),
      ],
      ['DISABLE', 'STRICT', undefined],
      { plaintext: false, exceptPorts: [8080] },
    ],
    [
      'a port that no service has is an exception',
      [
        peerAuthentication({
          selector: SELECTOR,
          mtls: { mode: 'DISABLE' },
          portLevelMtls: { 7000: { mode: 'STRICT' } },
        }),
      ],
      ['DISABLE', 'DISABLE', 'STRICT'],
      { plaintext: true, exceptPorts: [7000] },
    ],
    [
      'a port inherits',
      [peerAuthentication({ selector: SELECTOR, mtls: { mode: 'STRICT' }, portLevelMtls: { 8080: {} } })],
      ['STRICT', 'STRICT', undefined],
      { plaintext: false, exceptPorts: [] },
    ],
  ])('wants mutual TLS as PeerAuthentication says: %s', (_title, objects, modes, plaintext) => {
    const chains = inbound(objects)
    const modeOf = (port: number) =>
      chains.find(({ match }) => match.kind === 'inbound' && match.port === port)?.mutualTls
    expect([8080, 0, 7000].map(modeOf)).toEqual(modes)
    const workload = podWorkload(POD, viewOf([[SERVICES, REVIEWS], ...objects]))
    expect(workload).toMatchObject({ nativeTunnel: true, tunnelProtocol: 'HBONE', sidecar: plaintext })
  })

  it('is guarded by policies that select it, in full, and by none that are for a waypoint', () => {
    const policy = (name: string, spec: object): Objects[number] => [
      AUTHORIZATION_POLICIES,
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name, namespace: 'default' },
        spec,
      },
    ]
    const rules = [{ to: [{ operation: { methods: ['GET'] } }] }]
    const [chain] = inbound([
      policy('own', { selector: SELECTOR, rules }),
      policy('others', { selector: { matchLabels: { app: 'ratings' } }, rules }),
      policy('waypoints', { targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }], rules }),
    ])
    expect(chain!.http!.authorization?.map(({ name }) => name)).toEqual(['own'])
  })

  it('asks for tokens as RequestAuthentication says', () => {
    const metadata = { name: 'jwt', namespace: 'default' }
    const spec = { selector: SELECTOR, jwtRules: [{ issuer: 'me', jwks: '{"keys":[]}' }] }
    const chains = inbound([
      [REQUEST_AUTHENTICATIONS, { apiVersion: 'x/v1', kind: 'RequestAuthentication', metadata, spec }],
    ])
    expect(chains[0]!.http!.jwt?.providers).toMatchObject([{ issuer: 'me' }])
  })

  it.each([
    ['SIDECAR_INBOUND', true],
    ['ANY', true],
    ['SIDECAR_OUTBOUND', false],
    ['GATEWAY', false],
  ])('has the limits of an EnvoyFilter for %s: %s', (context, has) => {
    const metadata = { name: 'limit', namespace: 'default' }
    const value = {
      name: 'envoy.filters.http.local_ratelimit',
      typed_config: {
        stat_prefix: 'l',
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '60s' },
      },
    }
    const spec = {
      workloadSelector: { labels: { app: 'reviews' } },
      configPatches: [{ applyTo: 'HTTP_FILTER', match: { context }, patch: { operation: 'INSERT_BEFORE', value } }],
    }
    const [chain] = inbound([[ENVOY_FILTERS, { apiVersion: 'x/v1', kind: 'EnvoyFilter', metadata, spec }]])
    const route = chain!.http!.virtualHosts[0]!.routes[0]!
    expect(route.filters?.['local-rate-limit'] !== undefined).toBe(has)
  })

  it('reads the protocol of a ServiceEntry that selects it', () => {
    const spec = {
      hosts: ['reviews.example.com'],
      ports: [{ number: 443, name: 'grpc', protocol: 'GRPC', targetPort: 5000 }],
      resolution: 'STATIC',
      workloadSelector: { labels: { app: 'reviews' } },
    }
    const metadata = { name: 'e', namespace: 'default' }
    const entry = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec }
    const chains = inboundChains(POD, viewOf([[SERVICE_ENTRIES, entry]]))
    expect(chains[0]).toMatchObject({ match: { port: 5000 }, http: {} })
    expect(chains[0]).not.toHaveProperty('sniff')
  })
})

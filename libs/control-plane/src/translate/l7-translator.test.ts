import type { Resource } from '@ambient-lab/api'
import { CLUSTER_TYPE, FILTER_CHAIN_TYPE, L7_PROXY_TYPE, VersionedResources } from '@ambient-lab/xds'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import {
  AUTHORIZATION_POLICIES,
  BACKEND_TLS_POLICIES,
  DESTINATION_RULES,
  GATEWAYS,
  HTTP_ROUTES,
  ISTIO_GATEWAYS,
  type KnownType,
  LISTENER_SETS,
  NAMESPACES,
  PEER_AUTHENTICATIONS,
  PODS,
  RATE_LIMIT_POLICIES,
  REFERENCE_GRANTS,
  REQUEST_AUTHENTICATIONS,
  SECRETS,
  SERVICE_ENTRIES,
  SERVICES,
  SIDECARS,
  TELEMETRIES,
  TLS_ROUTES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { L7Mesh } from './l7-mesh.conformance.ts'
import { Translator } from './translator.ts'

/** Few names, so that objects meet. */
const name = fc.constantFrom('a', 'b')
const namespace = fc.constantFrom('default', 'other', 'istio-system')
const useWaypoint = fc.constantFrom<Record<string, string>>(
  {},
  { 'istio.io/use-waypoint': 'waypoint' },
  { 'istio.io/use-waypoint': 'none' },
)
const GATEWAY_GROUP = 'gateway.networking.k8s.io'
const HOSTS = ['a', 'b', 'a.default.svc.cluster.local', '*.default.svc.cluster.local', 'a.example.com', '*']
const host = fc.constantFrom(...HOSTS)

const backend = fc.record({ name, namespace, port: fc.constantFrom(80, 81) }, { requiredKeys: ['name', 'port'] })
const parent = fc.oneof(
  fc.record({ group: fc.constant(''), kind: fc.constant('Service'), name }),
  fc.record({ group: fc.constant('networking.istio.io'), kind: fc.constant('ServiceEntry'), name }),
  fc.record({ name: fc.constant('gw'), namespace: fc.constant('default') }),
  fc.record({ kind: fc.constant('ListenerSet'), name: fc.constant('set'), namespace: fc.constant('default') }),
)
const target = fc.constantFrom(
  { group: '', kind: 'Service', name: 'a' },
  { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'b' },
  { group: GATEWAY_GROUP, kind: 'Gateway', name: 'waypoint' },
  { group: GATEWAY_GROUP, kind: 'Gateway', name: 'gw' },
  { group: GATEWAY_GROUP, kind: 'GatewayClass', name: 'istio-waypoint' },
)
const destination = fc.record(
  { host, subset: fc.constantFrom('v1', 'v2'), port: fc.constantFrom({ number: 80 }, { number: 81 }) },
  { requiredKeys: ['host'] },
)
const listener = fc.constantFrom(
  { name: 'http', port: 80, protocol: 'HTTP' },
  {
    name: 'host',
    port: 80,
    protocol: 'HTTP',
    hostname: '*.example.com',
    allowedRoutes: { namespaces: { from: 'All' } },
  },
  {
    ...{ name: 'https', port: 443, protocol: 'HTTPS' },
    tls: { certificateRefs: [{ name: 'cert', namespace: 'other' }] },
    allowedRoutes: { namespaces: { from: 'Selector', selector: { matchLabels: { open: 'yes' } } } },
  },
)

interface Step {
  readonly type: KnownType
  readonly object: Resource
}

function of(
  type: KnownType,
  kind: string,
  spec: fc.Arbitrary<object>,
  named: fc.Arbitrary<string> = name,
): fc.Arbitrary<Step> {
  return fc.tuple(named, namespace, spec, useWaypoint).map(([own, home, body, labels]) => ({
    type,
    object: { apiVersion: 'x/v1', kind, metadata: { name: own, namespace: home, labels }, spec: body },
  }))
}

const step: fc.Arbitrary<Step> = fc.oneof(
  of(
    SERVICES,
    'Service',
    fc.oneof(
      fc.constantFrom(80, 81).map((port) => ({ selector: { app: 'a' }, ports: [{ name: 'http', port }] })),
      host.map((externalName) => ({ type: 'ExternalName', externalName })),
    ),
  ),
  of(
    SERVICE_ENTRIES,
    'ServiceEntry',
    fc
      .record({
        hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
        resolution: fc.constantFrom('DNS', 'STATIC'),
      })
      .map((spec) => ({
        ...spec,
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      })),
  ),
  of(
    HTTP_ROUTES,
    'HTTPRoute',
    fc
      .record({
        parentRefs: fc.array(parent, { minLength: 1, maxLength: 2 }),
        backends: fc.array(backend, { maxLength: 2 }),
      })
      .map(({ parentRefs, backends }) => ({ parentRefs, rules: [{ backendRefs: backends }] })),
  ),
  of(
    TLS_ROUTES,
    'TLSRoute',
    fc.record({ parentRefs: fc.array(parent, { maxLength: 1 }), backend }).map(({ parentRefs, backend: to }) => ({
      ...{ parentRefs, hostnames: ['a.default.svc.cluster.local'] },
      rules: [{ backendRefs: [to] }],
    })),
  ),
  of(
    ISTIO_GATEWAYS,
    'Gateway',
    host.map((hostname) => ({
      selector: { app: 'a' },
      servers: [
        { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [hostname] },
        { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { credentialName: 'cert' } },
      ],
    })),
  ),
  of(
    VIRTUAL_SERVICES,
    'VirtualService',
    fc
      .record({
        ...{ hosts: fc.array(host, { maxLength: 2 }), destination, delegate: fc.boolean() },
        gateways: fc.subarray(['mesh', 'a', 'default/b']),
      })
      .map(({ hosts, destination: to, delegate, gateways }) => ({
        ...{ hosts, gateways },
        http: [delegate ? { delegate: { name: 'b', namespace: 'other' } } : { route: [{ destination: to }] }],
      })),
  ),
  of(
    DESTINATION_RULES,
    'DestinationRule',
    fc.record({
      host,
      subsets: fc.subarray([
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: {} },
      ]),
    }),
  ),
  of(
    REFERENCE_GRANTS,
    'ReferenceGrant',
    fc.constantFrom('HTTPRoute', 'Gateway', 'ListenerSet').map((kind) => ({
      from: [{ group: GATEWAY_GROUP, kind, namespace: 'default' }],
      to: [{ group: '', kind: kind === 'HTTPRoute' ? 'Service' : 'Secret' }],
    })),
  ),
  of(
    AUTHORIZATION_POLICIES,
    'AuthorizationPolicy',
    fc.option(target).map((ref) => ({ ...(ref && { targetRefs: [ref] }), rules: [{}] })),
  ),
  of(
    RATE_LIMIT_POLICIES,
    'RateLimitPolicy',
    fc.tuple(target, backend).map(([ref, { port, ...service }]) => ({
      targetRefs: [ref],
      local: { limits: [{ requests: port }] },
      global: { domain: 'd', service: { ...service, port }, descriptors: [{ entries: [{ remoteAddress: true }] }] },
    })),
  ),
  of(
    TELEMETRIES,
    'Telemetry',
    fc.option(target).map((ref) => ({ ...(ref && { targetRefs: [ref] }), accessLogging: [{ disabled: true }] })),
  ),
  of(
    BACKEND_TLS_POLICIES,
    'BackendTLSPolicy',
    fc.constantFrom('Service', 'ServiceEntry').map((kind) => ({
      targetRefs: [{ group: kind === 'Service' ? '' : 'networking.istio.io', kind, name: 'a' }],
      validation: { hostname: 'a', wellKnownCACertificates: 'System' },
    })),
  ),
  of(
    LISTENER_SETS,
    'ListenerSet',
    listener.map((one) => ({ parentRef: { name: 'gw', namespace: 'default' }, listeners: [one] })),
    fc.constant('set'),
  ),
  of(
    SIDECARS,
    'Sidecar',
    fc.constantFrom(
      { egress: [{ hosts: ['./*'] }] },
      { workloadSelector: { labels: { version: 'v1' } }, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
      { ingress: [{ port: { number: 8080, name: 'http', protocol: 'HTTP' }, defaultEndpoint: '127.0.0.1:80' }] },
    ),
  ),
  of(
    PEER_AUTHENTICATIONS,
    'PeerAuthentication',
    fc.constantFrom(
      { mtls: { mode: 'STRICT' } },
      { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { 90: { mode: 'DISABLE' } } },
    ),
  ),
  of(
    REQUEST_AUTHENTICATIONS,
    'RequestAuthentication',
    fc.constant({ selector: { matchLabels: { version: 'v2' } }, jwtRules: [{ issuer: 'a', jwks: '{"keys":[]}' }] }),
  ),
  of(SECRETS, 'Secret', fc.constant({}), fc.constant('cert')),
  fc
    .tuple(
      fc.constantFrom('waypoint', 'gw'),
      fc.constantFrom('default', 'other'),
      fc.boolean(),
      fc.array(listener, { maxLength: 2 }),
    )
    .map(
      ([own, home, ready, listeners]): Step => ({
        type: GATEWAYS,
        object: {
          ...{
            apiVersion: 'x/v1',
            kind: 'Gateway',
            metadata: { name: own, namespace: home, labels: { 'istio.io/waypoint-for': 'all' } },
          },
          spec:
            own === 'gw'
              ? {
                  gatewayClassName: 'istio',
                  listeners,
                  allowedListeners: { namespaces: { from: ready ? 'All' : 'None' } },
                }
              : {
                  gatewayClassName: 'istio-waypoint',
                  listeners: [
                    { name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: { from: 'All' } } },
                  ],
                },
          ...(ready && { status: { addresses: [{ type: 'Hostname', value: `${own}.${home}.svc.cluster.local` }] } }),
        },
      }),
    ),
  fc
    .tuple(
      name,
      fc.constantFrom('waypoint', 'gw', 'sidecar', undefined),
      fc.constantFrom('n1', 'n2', ''),
      fc.constantFrom('v1', 'v2'),
      fc.constantFrom('default', 'other'),
    )
    .map(
      ([own, role, nodeName, version, home]): Step => ({
        type: PODS,
        object: {
          ...{ apiVersion: 'v1', kind: 'Pod' },
          metadata: {
            ...{ name: own, namespace: home },
            ...(role === 'sidecar' && { annotations: { 'sidecar.istio.io/status': '{}' } }),
            labels: {
              ...{ app: 'a', version },
              ...(role && role !== 'sidecar' && { [`${GATEWAY_GROUP}/gateway-name`]: role }),
            },
          },
          spec: {
            ...(nodeName && { nodeName }),
            containers: role === 'sidecar' ? [{ name: 'istio-proxy' }] : [],
          },
          status: { ...(nodeName && { podIP: '10.244.1.2' }), phase: 'Running' },
        },
      }),
    ),
  fc.tuple(namespace, useWaypoint, fc.constantFrom<Record<string, string>>({}, { open: 'yes' })).map(
    ([own, labels, open]): Step => ({
      type: NAMESPACES,
      object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: own, labels: { ...labels, ...open } } },
    }),
  ),
)

function snapshot(resources: VersionedResources): Record<string, unknown> {
  const entries = ([FILTER_CHAIN_TYPE, CLUSTER_TYPE, L7_PROXY_TYPE] as const).flatMap((type) =>
    [...resources.names(type)].map((own) => [`${type} ${own}`, resources.get(type, own)] as const),
  )
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

it('any changes of L7 objects lead where starting anew leads', async () => {
  const steps = fc.array(fc.tuple(step, fc.integer({ min: 0, max: 4 })), { minLength: 8, maxLength: 40 })
  let busy = 0
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const mesh = new L7Mesh()
      using _translator = mesh.translate()
      // A waypoint that somebody uses, so that the changes have something to meet.
      await mesh.fill({ services: 1, routes: 1 })
      for (const [{ type, object }, removes] of all) {
        const { name: own, namespace: home } = object.metadata
        if (removes === 0) await mesh.cluster.remove(type, home ? `${home}/${own}` : own)
        else await mesh.put(type, object)
        await Promise.resolve()
      }
      const fresh = new VersionedResources()
      using _fresh = new Translator({ cluster: mesh.cluster, resources: fresh, mesh: MESH_CONFIG_DEFAULT })
      expect(snapshot(mesh.resources)).toEqual(snapshot(fresh))
      if (fresh.count(FILTER_CHAIN_TYPE) > 0 && fresh.count(CLUSTER_TYPE) > 0) busy += 1
    }),
    { numRuns: 300, seed: 20_261_126 },
  )
  // Else the changes would meet too rarely to prove anything.
  expect(busy).toBeGreaterThan(100)
})

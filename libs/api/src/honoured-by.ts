import { HTTP_OPERATION_FIELDS, HTTP_SOURCE_FIELDS, L4_CONDITION_KEYS } from './authorization-layers.ts'
import type { KindDefinition } from './kind.ts'

/**
 * Where a field takes effect. `L4`: in a node's ztunnel, on connections. `L7`: in a waypoint, gateway or sidecar, on
 * requests. `lab`: in this lab's proxies alone, Istio has nothing of it. `none`: no proxy reads it.
 */
export type Layer = 'L4' | 'L7' | 'L4 and L7' | 'lab' | 'none'

export interface Honour {
  readonly layer: Layer
  /** One sentence: by whom, and under which condition. */
  readonly says: string
}

export interface KindHonour extends Honour {
  /** Fields that differ from their kind, by path without list indexes: `spec.rules.to.operation.methods`. */
  readonly fields?: Readonly<Record<string, Honour>>
}

const L7 = (says: string): Honour => ({ layer: 'L7', says })
const L4 = (says: string): Honour => ({ layer: 'L4', says })
const none = (says: string): Honour => ({ layer: 'none', says })

const ROUTE = L7('by the waypoint of the service or the gateway that it is attached to; ztunnel routes no requests')
const AT_WAYPOINT = L7('by waypoints and gateways that targetRefs name; ztunnel knows nothing of it')
const WORKLOADS = none('it makes pods; what these labels enrol is honoured at the pods')
const ANSWERED = none('it is computed or answered by the API, and steers nothing')
const HTTP_ONLY = L7('ztunnel reads no HTTP: of an ALLOW it leaves the whole rule out, of a DENY this condition')
const TRUST_DOMAINS = L7('ztunnel drops it without a word')

const under = (path: string, names: readonly string[], honour: Honour): Readonly<Record<string, Honour>> =>
  Object.fromEntries(names.map((name) => [`${path}.${name}`, honour]))

/**
 * Which layer of the mesh honours each kind (`group/Kind`), and each field that differs from its kind.
 * @see https://istio.io/latest/docs/ambient/usage/l7-features/ and the feature table of ambient's documents
 */
export const HONOURED_BY: Readonly<Record<string, KindHonour>> = {
  '/ConfigMap': {
    ...none('the control plane reads mesh settings from istio-system/istio; programs may mount others'),
  },
  '/Event': ANSWERED,
  '/Namespace': L4('its labels enrol pods (istio.io/dataplane-mode) and name a waypoint (istio.io/use-waypoint)'),
  '/Node': L4('one ztunnel each; its region and zone count where traffic is to stay near'),
  '/Pod': L4('its own labels enrol it and name its waypoint before those of its namespace'),
  '/Secret': L7('as a certificate that a gateway presents; cacerts in istio-system signs the mesh'),
  '/Service': {
    layer: 'L4 and L7',
    says: 'ztunnel balances connections to it; its waypoint, when it has one, requests',
    fields: {
      'spec.trafficDistribution': {
        layer: 'L4 and L7',
        says: 'by ztunnel, and by waypoints, gateways and sidecars unless a DestinationRule has locality settings',
      },
    },
  },
  '/ServiceAccount': L4('it is the identity in the certificates by which ztunnels know each other'),
  'apps/Deployment': WORKLOADS,
  'apps/ReplicaSet': WORKLOADS,
  'discovery.k8s.io/EndpointSlice': {
    layer: 'L4 and L7',
    says: 'the endpoints that ztunnel and waypoints balance over',
  },
  'security.istio.io/AuthorizationPolicy': {
    layer: 'L4 and L7',
    says: 'with targetRefs by that waypoint or gateway on requests, otherwise by the ztunnel of the destination on connections',
    fields: {
      'spec.selector': L4(
        'policies with a selector are for ztunnel: waypoints and gateways of the mesh pass them over',
      ),
      'spec.targetRef': L7('the older form of targetRefs'),
      'spec.targetRefs': L7('by the waypoint or gateway that is named; never sent to ztunnel'),
      'spec.action': {
        layer: 'L4 and L7',
        says: 'ALLOW and DENY by both; CUSTOM and AUDIT by waypoints and gateways only',
      },
      'spec.provider': L7('who is asked by a CUSTOM policy; ztunnel asks nobody'),
      ...under('spec.rules.from.source', HTTP_SOURCE_FIELDS, HTTP_ONLY),
      ...under('spec.rules.from.source', ['trustDomains', 'notTrustDomains'], TRUST_DOMAINS),
      ...under('spec.rules.to.operation', HTTP_OPERATION_FIELDS, HTTP_ONLY),
      'spec.rules.when': {
        layer: 'L4 and L7',
        says: `at ztunnel only ${L4_CONDITION_KEYS.join(', ')}; all of them at a waypoint`,
      },
    },
  },
  'security.istio.io/PeerAuthentication': {
    ...L4('by the ztunnel of the destination; a waypoint wants certificates whatever it says'),
    fields: { 'spec.mtls.mode': L4('STRICT refuses plaintext; DISABLE is taken for PERMISSIVE') },
  },
  'security.istio.io/RequestAuthentication': {
    ...AT_WAYPOINT,
    fields: { 'spec.selector': L7('by sidecars only: a waypoint wants targetRefs, and ztunnel reads no tokens') },
  },
  'telemetry.istio.io/Telemetry': {
    ...AT_WAYPOINT,
    fields: { 'spec.selector': L7('by sidecars only: a waypoint wants targetRefs, and ztunnel has its own settings') },
  },
  'extensions.istio.io/WasmPlugin': AT_WAYPOINT,
  'extensions.istio.io/TrafficExtension': AT_WAYPOINT,
  'gateway.networking.k8s.io/Gateway': {
    layer: 'L4 and L7',
    says: 'it is a waypoint (gatewayClassName istio-waypoint), which ztunnel sends connections to, or an entrance to the mesh',
  },
  'gateway.networking.k8s.io/GatewayClass': none('it tells a waypoint from a gateway; the control plane reads it'),
  'gateway.networking.k8s.io/ListenerSet': L7('as more listeners of its Gateway'),
  'gateway.networking.k8s.io/HTTPRoute': ROUTE,
  'gateway.networking.k8s.io/GRPCRoute': ROUTE,
  'gateway.networking.k8s.io/TCPRoute': L7('by the waypoint or gateway that it is attached to; ztunnel has no routes'),
  'gateway.networking.k8s.io/TLSRoute': L7('by the waypoint or gateway that it is attached to; ztunnel has no routes'),
  'gateway.networking.k8s.io/UDPRoute': none('nothing of UDP but DNS is in the mesh'),
  'gateway.networking.k8s.io/ReferenceGrant': none(
    'the control plane asks it whether routes may name objects elsewhere',
  ),
  'gateway.networking.k8s.io/BackendTLSPolicy': L7('by the proxy that connects to the backend; ztunnel ignores it'),
  'gateway.networking.x-k8s.io/XBackendTrafficPolicy': {
    ...L7('by waypoints, gateways and sidecars; ztunnel ignores it'),
    fields: { 'spec.sessionPersistence': none('Istio has not built it') },
  },
  'networking.istio.io/Gateway': {
    ...L7('by gateways whose pods its selector means; Istio’s older form of an entrance'),
  },
  'networking.istio.io/VirtualService': {
    ...L7('by waypoints, gateways and sidecars (Alpha in ambient); ztunnel ignores it, with its TCP routes'),
  },
  'networking.istio.io/DestinationRule': {
    ...L7('by waypoints, gateways and sidecars; ztunnel ignores all of it, connection pool and TLS too'),
    fields: {
      'spec.workloadSelector': none(
        'by nobody here, and not by Istio’s waypoints: a rule that names its clients is passed over',
      ),
      'spec.trafficPolicy.connectionPool.tcp.tcpKeepalive': L7(
        'on connections that lead to an endpoint without a tunnel',
      ),
      'spec.trafficPolicy.connectionPool.http.maxConcurrentStreams': L7(
        'where the port speaks HTTP/2, and at gateways and sidecars where it is upgraded to that',
      ),
      'spec.trafficPolicy.connectionPool.http.http2KeepAlive': L7(
        'where the port speaks HTTP/2, and at gateways and sidecars where it is upgraded to that',
      ),
      'spec.trafficPolicy.loadBalancer.backendUtilization': none('Istio’s proxies do not read it either'),
      'spec.trafficPolicy.loadBalancer.zoneAwareLbSetting': L7('by gateways and sidecars, not by waypoints'),
      'spec.trafficPolicy.outlierDetection.consecutiveErrors': none('Istio has given it up'),
      'spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes': L7(
        'by gateways and sidecars, not by waypoints',
      ),
      'spec.trafficPolicy.tunnel': none('by nobody here; Istio’s gateways and sidecars follow it'),
    },
  },
  'networking.istio.io/ServiceEntry': {
    layer: 'L4 and L7',
    says: 'ztunnel balances connections to its addresses; its waypoint, when it has one, requests',
    fields: {
      'spec.exportTo': L7('ztunnel takes the entry for everybody, whatever it says'),
      'spec.subjectAltNames': L7('checked by a proxy that begins TLS itself; ztunnel begins none to the outside'),
    },
  },
  'networking.istio.io/WorkloadEntry': L4('as an endpoint; its labels name its waypoint as a pod’s do'),
  'networking.istio.io/WorkloadGroup': none('a template of WorkloadEntries; the control plane reads it'),
  'networking.istio.io/EnvoyFilter': {
    ...L7(
      'by Istio’s waypoints (unsupported officially); the lab’s proxies are no Envoys and follow only its rate limits',
    ),
  },
  'networking.istio.io/Sidecar': L7('by sidecars only; it means nothing to clients in ambient mode'),
  'networking.istio.io/ProxyConfig': L7('by Istio’s Envoys when they start; ztunnel reads none'),
  'ambient.lab/L4TrafficPolicy': {
    layer: 'lab',
    says: 'Istio’s ztunnel has nothing of it: only the ztunnel of this lab follows it, and in a cluster it is without effect',
  },
  'ambient.lab/RateLimitPolicy': {
    layer: 'lab',
    says: 'by the lab’s waypoints and gateways; Istio has no such kind and needs an EnvoyFilter for the same',
  },
  'ambient.lab/Fault': {
    layer: 'lab',
    says: 'by the lab’s agents, on links, nodes and proxies; a cluster has no such kind',
  },
  'ambient.lab/Load': { layer: 'lab', says: 'by the lab’s agents, which send the traffic; a cluster has no such kind' },
  'ambient.lab/CertificateRevocation': {
    layer: 'lab',
    says: 'it changes ca-crl.pem of cacerts, which ztunnels then honour',
  },
  'ambient.lab/RootRotation': { layer: 'lab', says: 'it changes cacerts, whose roots ztunnels then honour' },
  'ambient.lab/TrustRoot': ANSWERED,
  'ambient.lab/Lab': none('what the lab is made of'),
  'ambient.lab/JoinToken': ANSWERED,
  'ambient.lab/Connection': ANSWERED,
  'ambient.lab/Edge': ANSWERED,
  'ambient.lab/Request': ANSWERED,
  'ambient.lab/PathReview': ANSWERED,
  'ambient.lab/PolicyReplay': ANSWERED,
  'ambient.lab/Analysis': ANSWERED,
  'ambient.lab/Batch': none('a way to apply several objects at once'),
}

/** Of a kind, or of the nearest field on the path (`spec.rules.when`) about which something of its own is known. */
export function honourOf(
  { group, kind }: Pick<KindDefinition, 'group' | 'kind'>,
  path: readonly string[] = [],
): Honour {
  const known: KindHonour = HONOURED_BY[`${group}/${kind}`] ?? none('nobody has said')
  const { fields = {}, ...own } = known
  for (let length = path.length; length > 0; length--) {
    const honour = fields[path.slice(0, length).join('.')]
    if (honour) return honour
  }
  return own
}

import type { Resource } from '@ambient-lab/api'
import type { ConnectionObject, EdgeObject, LabSnapshot } from './snapshot.ts'

/** A fixed instant, so that frames are the same every day. */
export const FIXTURE_NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0)

const iso = (agoMs: number) => new Date(FIXTURE_NOW_MS - agoMs).toISOString()

const PODS: readonly (readonly [deployment: string, account: string, node: string, address: string])[] = [
  ['curl', 'curl', 'n1', '10.244.1.2'],
  ['details-v1', 'bookinfo-details', 'n2', '10.244.2.2'],
  ['productpage-v1', 'bookinfo-productpage', 'n1', '10.244.1.3'],
  ['ratings-v1', 'bookinfo-ratings', 'n3', '10.244.3.2'],
  ['reviews-v1', 'bookinfo-reviews', 'n2', '10.244.2.3'],
  ['reviews-v2', 'bookinfo-reviews', 'n3', '10.244.3.3'],
  ['reviews-v3', 'bookinfo-reviews', 'n1', '10.244.1.4'],
]

const CALLS: readonly (readonly [source: string, destination: string, service: string])[] = [
  ['curl', 'productpage-v1', 'productpage'],
  ['productpage-v1', 'details-v1', 'details'],
  ['productpage-v1', 'reviews-v1', 'reviews'],
  ['productpage-v1', 'reviews-v2', 'reviews'],
  ['productpage-v1', 'reviews-v3', 'reviews'],
  ['reviews-v2', 'ratings-v1', 'ratings'],
  ['reviews-v3', 'ratings-v1', 'ratings'],
]

const podName = (deployment: string) => `${deployment}-6b7f8c9d5-x7k2p`
const podOf = (deployment: string) => PODS.find(([name]) => name === deployment)!
const spiffeId = (deployment: string) => `spiffe://cluster.local/ns/default/sa/${podOf(deployment)[1]}`
const hostname = (service: string) => `${service}.default.svc.cluster.local`

/** Bookinfo on three nodes, ten minutes old. `step` moves the counters, so that two of them make rates. */
export function bookinfoSnapshot(step = 0): LabSnapshot {
  const atMs = FIXTURE_NOW_MS + step * 1000
  return {
    lab: 'demo',
    atMs,
    contactAtMs: atMs,
    nodes: ['n1', 'n2', 'n3'].map(node),
    namespaces: ['default', 'istio-system'].map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    })),
    deployments: [],
    pods: PODS.map(pod),
    services: ['details', 'productpage', 'ratings', 'reviews'].map(service),
    faults: [fault()],
    loads: [load(step)],
    events: [
      event('Joined', 'Node', 'n2', 'agent of n2 joined', 600_000),
      event('FaultActive', 'Fault', 'f-1', 'link.delay n1 <> n2 120ms', 60_000, 'Warning'),
    ],
    connections: CALLS.flatMap((call, index) => connections(call, index, step)),
    edges: CALLS.map((call, index) => edge(call, index, step)),
    lost: 0,
    silentNodes: [],
  }
}

/** The same lab after the agent of n3 was killed. */
export function withDeadNode(snapshot: LabSnapshot): LabSnapshot {
  const gone = { type: 'Ready', status: 'False', reason: 'AgentGone', message: 'the link to its agent broke' }
  return {
    ...snapshot,
    nodes: snapshot.nodes.map((each) =>
      each.metadata.name === 'n3' ? { ...each, status: { ...(each.status as object), conditions: [gone] } } : each,
    ),
  }
}

function node(name: string, index: number): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: `10.244.${index + 1}.0/24` },
    status: {
      conditions: [{ type: 'Ready', status: 'True', reason: 'AgentReady' }],
      agent: {
        pid: 4101 + index,
        machine: 'laptop',
        startedAt: iso(600_000),
        hbone: { host: '127.0.0.1', port: 41_001 + index },
        ports: { admin: 42_001 + index, metrics: 43_001 + index, ready: 44_001 + index },
      },
    },
  }
}

function pod([deployment, , nodeName, podIP]: (typeof PODS)[number]): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(deployment),
      namespace: 'default',
      labels: { app: deployment.replace(/-v\d$/, '') },
      annotations: { 'ambient.istio.io/redirection': 'enabled' },
      creationTimestamp: iso(600_000),
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${deployment}-6b7f8c9d5`, uid: '1' }],
    },
    spec: { nodeName },
    status: {
      phase: 'Running',
      podIP,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ restartCount: 0 }],
      ambientLab: {
        certificate: { state: 'Available', notAfter: new Date(FIXTURE_NOW_MS + 86_000_000).toISOString() },
      },
    },
  }
}

function service(name: string, index: number): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { clusterIP: `10.96.0.${index + 10}`, ports: [{ port: 9080 }], selector: { app: name } },
  }
}

function fault(): Resource {
  return {
    apiVersion: 'ambient.lab/v1',
    kind: 'Fault',
    metadata: { name: 'f-1' },
    spec: {
      type: 'link.delay',
      from: ['n1'],
      to: ['n2'],
      params: { delay: '120ms', jitter: '20ms' },
      duration: '3m',
      owner: 'ana@laptop',
    },
    status: { phase: 'Active', endsAt: new Date(FIXTURE_NOW_MS + 108_000).toISOString() },
  }
}

function load(step: number): Resource {
  return {
    apiVersion: 'ambient.lab/v1',
    kind: 'Load',
    metadata: { name: 'bookinfo', namespace: 'default' },
    spec: { from: 'deploy/curl', url: 'http://productpage:9080/productpage', rate: '20/s' },
    status: { phase: 'Running', completed: 12_000 + step * 20, failed: 0, latencyMs: { p50: 4.2, p99: 18.6 } },
  }
}

function event(reason: string, kind: string, name: string, message: string, agoMs: number, type = 'Normal'): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${reason}`, namespace: 'default', uid: `${name}.${reason}` },
    involvedObject: { kind, name },
    reason,
    message,
    type,
    count: 1,
    lastTimestamp: iso(agoMs),
  }
}

function edge([source, destination, name]: (typeof CALLS)[number], index: number, step: number): EdgeObject {
  return {
    spec: {
      node: podOf(source)[2],
      reporter: 'source',
      sourceWorkload: source,
      sourceNamespace: 'default',
      sourcePrincipal: spiffeId(source),
      destinationWorkload: destination,
      destinationNamespace: 'default',
      destinationPrincipal: spiffeId(destination),
      destinationService: hostname(name),
      connectionSecurityPolicy: 'mutual_tls',
      opened: 100 + index + step * (index + 1),
      closed: 90,
      failed: index === 1 ? 2 : 0,
      denied: 0,
      bytesSent: 10_000 + step * 2000 * (index + 1),
      bytesReceived: 90_000 + step * 9000 * (index + 1),
    },
  }
}

function connections(
  [source, destination, name]: (typeof CALLS)[number],
  index: number,
  step: number,
): ConnectionObject[] {
  const [, , node, address] = podOf(source)
  const [, , , destinationAddress] = podOf(destination)
  const view: ConnectionObject['spec'] = {
    id: `${node}-${index + 1}`,
    traceId: `${index}`.padStart(32, '0'),
    node,
    direction: 'outbound',
    protocol: 'HBONE',
    source: {
      address: `${address}:4100${index}`,
      workload: podName(source),
      namespace: 'default',
      identity: spiffeId(source),
    },
    destination: {
      address: `${destinationAddress}:9080`,
      workload: podName(destination),
      namespace: 'default',
      identity: spiffeId(destination),
      hboneAddress: `${destinationAddress}:15008`,
      service: hostname(name),
    },
    state: 'open',
    responseFlags: '-',
    error: '',
    openedAtMs: FIXTURE_NOW_MS - 60_000 - index * 1000,
    durationMs: 60_000 + index * 1000,
    bytesSent: 10_000 + step * 2000,
    bytesReceived: 90_000 + step * 9000,
  }
  return [{ metadata: { name: view.id }, spec: view }]
}

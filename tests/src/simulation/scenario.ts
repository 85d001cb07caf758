import type { Deployment, Gateway, Namespace, Service } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'
import type { ClientPlan } from './client-program.ts'
import { drawPolicy, type PolicyIntent } from './policy.ts'

/** Container ports of every server. */
export const SERVER_PORTS = [9080, 9090] as const
/** Of every service: its port → the container's. */
export const SERVICE_PORTS: ReadonlyMap<number, number> = new Map([
  [80, 9080],
  [90, 9090],
])

export interface ServerApp {
  readonly name: string
  readonly namespace: string
  readonly replicas: number
}

export interface ClientApp {
  readonly name: string
  readonly namespace: string
}

/** What one seed stands for, before anything happens. */
export interface Scenario {
  readonly nodes: readonly string[]
  /** Of each node; empty: all are of one. */
  readonly networks: readonly string[]
  readonly servers: readonly ServerApp[]
  readonly clients: readonly ClientApp[]
  readonly policies: readonly PolicyIntent[]
  /** How long faults and traffic go on. */
  readonly chaosMs: number
  readonly connections: number
  readonly svidTtlSeconds: number
  /** Of the links at the start. */
  readonly latencyMs: number
  /** Kinds of faults that this seed knows. */
  readonly faults: readonly string[]
  /** How many faults; none: everything has to work. */
  readonly incidents: number
}

const NETWORKS = ['east', 'west']
/** What only a lab of several networks knows. */
const NETWORK_FAULTS = ['network-partition', 'network-partition', 'gateway-crash', 'gateway-crash']

/** Namespaces by whether the mesh captures their pods. */
const CAPTURED = 'default'
const UNCAPTURED = 'legacy'

export function drawScenario(random: Random, faultKinds: readonly string[]): Scenario {
  const isSplit = random.fork('networks').integer(5) === 0
  const nodes = Array.from({ length: 2 + random.integer(3) }, (_, index) => `node-${index + 1}`)
  const servers = Array.from({ length: 1 + random.integer(3) }, (_, index) => ({
    name: `echo-${'abc'[index]}`,
    namespace: CAPTURED,
    replicas: 1 + random.integer(2),
  }))
  const clients: ClientApp[] = Array.from({ length: 1 + random.integer(3) }, (_, index) => ({
    name: `caller-${'xyz'[index]}`,
    namespace: CAPTURED,
  }))
  if (random.integer(4) === 0 && !isSplit) clients.push({ name: 'outsider', namespace: UNCAPTURED })
  if (random.integer(4) === 0 && !isSplit) servers.push({ name: 'echo-plain', namespace: UNCAPTURED, replicas: 1 })
  const cast = castOf(servers, clients)
  const policies = Array.from({ length: random.integer(3) }, (_, index) =>
    drawPolicy(random, `rule-${index + 1}`, cast),
  )
  const isCalm = random.integer(8) === 0
  const drawn = isCalm ? [] : faultKinds.filter(() => random.integer(2) === 0)
  const faults = isSplit && !isCalm ? [...drawn, ...NETWORK_FAULTS] : drawn
  return {
    nodes,
    networks: isSplit ? nodes.map((_, index) => NETWORKS[index % NETWORKS.length]!) : [],
    servers,
    clients,
    policies,
    chaosMs: 4_000 + random.integer(12_000),
    connections: 12 + random.integer(30),
    svidTtlSeconds: random.integer(3) === 0 ? 20 + random.integer(40) : 86_400,
    latencyMs: random.integer(3) * random.integer(8),
    faults,
    incidents: faults.length === 0 ? 0 : 3 + random.integer(10),
  }
}

/** Whom policies can be about. */
export function castOf(servers: readonly ServerApp[], clients: readonly ClientApp[]) {
  return {
    apps: servers.map(({ name }) => name),
    accounts: clients.map(({ name }) => name),
    ports: SERVER_PORTS,
  }
}

export function drawClientPlan(random: Random, scenario: Scenario, addresses: Addresses): ClientPlan {
  const server = random.pick(scenario.servers)
  const [servicePort, containerPort] = random.pick([...SERVICE_PORTS])
  const bytes = drawBytes(random)
  const byPod = random.integer(6) === 0 ? addresses.podOf(server.name) : undefined
  const byVip = random.integer(2) === 0 ? addresses.vipOf(server) : undefined
  return {
    destination: byPod ?? byVip ?? `${server.name}.${server.namespace}`,
    port: byPod ? containerPort : servicePort,
    bytes,
    chunkBytesMax: 1 + Math.floor(bytes / 100) + random.integer(random.integer(2) === 0 ? 64 : 8 * 1024),
    pauseMaxMs: random.integer(2) === 0 ? 0 : random.integer(60),
    impatient: random.integer(4) === 0,
    serverEndsAfter: random.integer(6) === 0 ? 1 + random.integer(bytes + 1) : 0,
    resetAfter: random.integer(6) === 0 ? random.integer(bytes + 1) : undefined,
    slowReader: random.integer(5) === 0,
    lingerMs: random.integer(3) === 0 ? random.integer(8_000) : 0,
  }
}

/** What a program can look up before it dials. */
export interface Addresses {
  /** Some live pod of the app. */
  podOf(app: string): string | undefined
  vipOf(server: ServerApp): string | undefined
}

/** Mostly little; now and then more than every buffer on the way holds. */
function drawBytes(random: Random): number {
  const size = random.integer(40)
  if (size === 0) return 200_000 + random.integer(200_000)
  if (size < 4) return random.integer(60_000)
  return size < 8 ? 0 : random.integer(3_000)
}

export function namespaceManifests(): Namespace[] {
  return [CAPTURED, UNCAPTURED].map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, ...(name === CAPTURED && { labels: { 'istio.io/dataplane-mode': 'ambient' } }) },
  }))
}

export function deploymentManifest({ name, namespace }: ClientApp, replicas: number): Deployment {
  const labels = { app: name }
  const ports = SERVER_PORTS.map((containerPort) => ({ containerPort }))
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { serviceAccountName: name, containers: [{ name: 'main', image: 'simulated', ports }] },
      },
    },
  }
}

const NETWORK_LABEL = 'topology.istio.io/network'

export function networkLabels(network: string | undefined): { readonly labels?: Readonly<Record<string, string>> } {
  return network === undefined ? {} : { labels: { [NETWORK_LABEL]: network } }
}

/** One for each network. Its name is that of its Deployment, and so its label `app`. */
export function gatewayManifests({ networks }: Scenario): Gateway[] {
  return [...new Set(networks)].map((network) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: {
      name: gatewayName(network),
      namespace: CAPTURED,
      labels: { [NETWORK_LABEL]: network, app: gatewayName(network) },
    },
    spec: {
      gatewayClassName: 'istio-east-west',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
  }))
}

function gatewayName(network: string): string {
  return `gateway-${network}`
}

export function isGatewayPod(name: string | undefined): boolean {
  return name?.startsWith(gatewayName('')) ?? false
}

export function serviceManifest({ name, namespace }: ServerApp): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { 'istio.io/global': 'true' } },
    spec: {
      selector: { app: name },
      ports: [...SERVICE_PORTS].map(([port, targetPort]) => ({ name: `tcp-${port}`, port, targetPort })),
    },
  }
}

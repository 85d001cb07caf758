import { type SpiffeId, SvidSource } from '@ambient-lab/pki'
import { SeededRandom } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import {
  ADDRESS_TYPE,
  CLUSTER_TYPE,
  type Cluster,
  FILTER_CHAIN_TYPE,
  type FilterChain,
  type HttpConnectionManager,
  L7_PROXY_TYPE,
  type L7Proxy,
  NODE_TYPE,
  type Route,
} from '@ambient-lab/xds'
import { expect, test } from 'vitest'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { type Ground, type Program, serviceOf, TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { TestHttpServer } from './http-server.conformance.ts'
import { Waypoint } from './waypoint.ts'

const UID = 'Kubernetes//Pod/default/waypoint'
const PROXY = 'default/waypoint'
export const WEB = 'default/web.default.svc.cluster.local'

export function clusterOf(name: string, overrides: Partial<Cluster> = {}): Cluster {
  return {
    name,
    endpoints: { kind: 'service', service: WEB, servicePort: 80 },
    protocol: 'http1',
    loadBalancing: { policy: 'ROUND_ROBIN' },
    connectTimeoutMs: 1000,
    circuitBreakers: {},
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 60_000,
    ...overrides,
  }
}

/** A cluster of one of the pods of `web` alone. */
export function clusterOfPod(name: string, index: number): Cluster {
  const subset = [`Kubernetes//Pod/default/web-${index}`]
  return clusterOf(name, { endpoints: { kind: 'service', service: WEB, servicePort: 80, subset } })
}

export function forwardRoute(overrides: Partial<Route> = {}, cluster = 'web'): Route {
  return {
    name: 'default',
    match: {},
    action: { kind: 'forward', forward: { backends: [{ cluster, weight: 1 }] } },
    ...overrides,
  }
}

/** client `curl` on node a → waypoint on node b → `web` (two pods, one server each) on node b. */
export class MeshWithWaypoint {
  readonly ground: Ground
  readonly nodes: TwoNodes
  readonly servers = [new TestHttpServer(), new TestHttpServer()] as const
  /** Where a pod's port really leads, instead of its server. */
  readonly targets = new Map<string, { host: string; port: number }>()
  readonly lines: string[] = []
  readonly metrics = new MetricsRegistry()
  /** Of a gateway: where its ports really are. */
  gatewayPorts: Readonly<Record<string, { host: string; port: number }>> = {}
  waypoint!: Waypoint
  #svids!: SvidSource

  constructor(ground: Ground) {
    this.ground = ground
    this.nodes = new TwoNodes(ground)
  }

  async start(): Promise<void> {
    const { clock, network } = this.ground
    await this.nodes.start()
    for (const [index, server] of this.servers.entries()) {
      await server.listen(network)
      await this.#run(`web-${index}`, `10.244.2.${10 + index}`, server.address)
    }
    const random = new SeededRandom(11)
    const identity: SpiffeId = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'waypoint' }
    this.#svids = new SvidSource({ components: { clock, random, signer: this.nodes.certificates.signer() } })
    const svid = (signal?: AbortSignal) => this.#svids.fetch(identity, signal ? { signal } : {})
    this.waypoint = new Waypoint({
      components: {
        clock,
        random,
        network,
        svids: this.#svids,
        metrics: this.metrics,
        log: silentLogger(),
        upstreamLog: silentLogger(),
        fetchText: (url) => Promise.reject(new Error(`${url} is not to be read in tests`)),
        accessLogSink: (line) => this.lines.push(line),
        transport: this.ground.transport({
          clientSvid: (_source, signal) => svid(signal),
          serverSvid: () => svid(),
        }),
      },
      init: {
        uid: UID,
        proxy: PROXY,
        node: 'b',
        identity,
        labels: {},
        drainDeadlineMs: 2000,
        onGatewayPorts: (ports) => {
          this.gatewayPorts = ports
        },
      },
    })
    await this.waypoint.start()
    this.#pushAddresses()
    this.proxy({})
    this.cluster(clusterOf('web'))
    this.routes([forwardRoute()])
  }

  /** What the servers got. */
  get requests() {
    return this.servers.flatMap((server) => server.requests)
  }

  /** How both servers answer from now on. */
  handle(handler: TestHttpServer['handler']): void {
    for (const server of this.servers) server.handler = handler
  }

  cluster(cluster: Cluster): void {
    this.#apply(CLUSTER_TYPE, cluster)
  }

  proxy(overrides: Partial<L7Proxy>): void {
    this.#apply(L7_PROXY_TYPE, {
      name: PROXY,
      namespace: 'default',
      kind: 'waypoint',
      workloads: [UID],
      ports: [],
      accessLog: {
        enabled: true,
        encoding: 'TEXT',
        format: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%',
      },
      pathNormalization: 'BASE',
      ...overrides,
    })
  }

  routes(routes: readonly Route[], guard: Partial<HttpConnectionManager> = {}): void {
    this.chain({ http: { statPrefix: 'web', virtualHosts: [{ name: '*', domains: ['*'], routes }], ...guard } })
  }

  chain(overrides: Partial<FilterChain>, name = `${PROXY}|${WEB}|80`): void {
    this.#apply(FILTER_CHAIN_TYPE, {
      name,
      proxy: PROXY,
      match: { kind: 'service', service: WEB, port: 80 },
      ...overrides,
    })
  }

  /** The pod terminates, the last of its node: its proxy hears that nobody knows it, and that nothing is there for it. */
  loseWaypoint(): void {
    this.waypoint.apply(ADDRESS_TYPE, [], [UID])
    this.waypoint.apply(CLUSTER_TYPE, [], ['web'])
    this.waypoint.apply(FILTER_CHAIN_TYPE, [], [`${PROXY}|${WEB}|80`])
    this.waypoint.apply(L7_PROXY_TYPE, [], [PROXY])
  }

  /** Nothing is configured for the service any more. */
  loseChain(): void {
    this.waypoint.apply(FILTER_CHAIN_TYPE, [], [`${PROXY}|${WEB}|80`])
  }

  /** A connection of a workload on node a to the service. */
  async dial(caller = 'curl'): Promise<Program> {
    const { program, reply } = await this.nodes.dial(caller, 'web', 80)
    expect(reply).toBe(0)
    return program
  }

  /** Sends a text and waits for a whole response to it. */
  async exchange(program: Program, request: string): Promise<Answer> {
    const start = program.received.length
    program.say(request)
    let answer: Answer | undefined
    await this.ground.until(() => {
      answer = parseAnswer(Buffer.from(program.received.subarray(start)).toString('latin1'), program.ended)
      return answer !== undefined || program.closed
    })
    expect(answer, `an answer to ${request}; got ${program.text.slice(start)}`).toBeDefined()
    return answer!
  }

  /** A request on a connection of its own. */
  async get(path = '/', headers: readonly string[] = [], method = 'GET', caller = 'curl'): Promise<Answer> {
    const lines = [`${method} ${path} HTTP/1.1`, 'host: web', ...headers, 'connection: close', '', '']
    return this.exchange(await this.dial(caller), lines.join('\r\n'))
  }

  async stop(): Promise<void> {
    await this.waypoint[Symbol.asyncDispose]()
    await this.nodes.stop()
    await this.#svids[Symbol.asyncDispose]()
    for (const { listener } of this.servers) await listener[Symbol.asyncDispose]()
  }

  #apply(typeUrl: typeof CLUSTER_TYPE | typeof FILTER_CHAIN_TYPE | typeof L7_PROXY_TYPE, resource: { name: string }) {
    expect(this.waypoint.apply(typeUrl, [{ name: resource.name, resource }], [])).toEqual([])
  }

  #pushAddresses(): void {
    const hostname = { namespace: 'default', hostname: 'waypoint.default.svc.cluster.local' }
    const services = { [WEB]: [] }
    const addresses = [
      { workload: workloadOf('curl', 'a', '10.244.1.4') },
      ...this.servers.map((_, index) => ({
        workload: workloadOf(`web-${index}`, 'b', `10.244.2.${10 + index}`, { services, workloadName: 'web' }),
      })),
      {
        workload: workloadOf('waypoint', 'b', '10.244.2.20', {
          nativeTunnel: true,
          hbone: this.waypoint.address,
          services: { 'default/waypoint.default.svc.cluster.local': [] },
        }),
      },
      { service: serviceOf('web', '10.96.0.20', { waypoint: { hostname, hboneMtlsPort: 15008 } }) },
      {
        service: serviceOf('waypoint', '10.96.0.21', {
          ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }],
        }),
      },
    ]
    this.nodes.push(ADDRESS_TYPE, addresses)
    const nodes = [this.nodes.a.resource(), this.nodes.b.resource()]
    const named = (resource: object) => {
      if ('workload' in resource) return (resource.workload as { uid: string }).uid
      const { namespace, hostname: host } = (resource as { service: { namespace: string; hostname: string } }).service
      return `${namespace}/${host}`
    }
    const upserts = addresses.map((resource) => ({ name: named(resource), resource }))
    expect(this.waypoint.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
    const nodeUpserts = nodes.map((resource) => ({ name: resource.name, resource }))
    expect(this.waypoint.apply(NODE_TYPE, nodeUpserts, [])).toEqual([])
  }

  async #run(name: string, address: string, listener: { host: string; port: number }): Promise<void> {
    const local: LocalWorkload = {
      uid: `Kubernetes//Pod/default/${name}`,
      name,
      namespace: 'default',
      identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name },
      address,
      captured: true,
      dialTarget: (port) => (port === 8080 ? (this.targets.get(name) ?? listener) : undefined),
    }
    await this.nodes.b.ztunnel.addWorkload(local)
  }
}

/** A response as a client reads it. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Behind a chunked body. */
  readonly trailers: string
}

/** @returns undefined while it is not complete */
export function parseAnswer(text: string, ended: boolean): Answer | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [statusLine, ...lines] = text.slice(0, headEnd).split('\r\n')
  const status = Number(statusLine!.split(' ')[1])
  const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]))
  const rest = text.slice(headEnd + 4)
  if (status < 200) return status === 101 ? { status, headers, body: rest, trailers: '' } : parseAnswer(rest, ended)
  if (headers['transfer-encoding'] === 'chunked') return parseChunked(status, headers, rest)
  const length = headers['content-length']
  if (length === undefined) return ended ? { status, headers, body: rest, trailers: '' } : undefined
  return rest.length >= Number(length)
    ? { status, headers, body: rest.slice(0, Number(length)), trailers: '' }
    : undefined
}

function parseChunked(status: number, headers: Record<string, string>, text: string): Answer | undefined {
  let body = ''
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(text.slice(at, line), 16)
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', line)
      return end < 0 ? undefined : { status, headers, body, trailers: text.slice(line + 2, end) }
    }
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}

/** A test that has a mesh of its own. */
export function waypointTest(makeGround: () => Ground) {
  return test.extend<{ mesh: MeshWithWaypoint }>({
    mesh: async ({ task: _ }, use) => {
      const mesh = new MeshWithWaypoint(makeGround())
      await mesh.start()
      await use(mesh)
      await mesh.stop()
    },
  })
}

import { type SpiffeId, SvidSource } from '@ambient-lab/pki'
import { SeededRandom } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import {
  ADDRESS_TYPE,
  type Address,
  BLACK_HOLE_CLUSTER,
  CLUSTER_TYPE,
  type Cluster,
  FILTER_CHAIN_TYPE,
  type FilterChain,
  type HttpConnectionManager,
  INBOUND_PASSTHROUGH_CLUSTER,
  L7_PROXY_TYPE,
  type L7Proxy,
  NODE_TYPE,
  PASSTHROUGH_CLUSTER,
  type Route,
  sidecarGroup,
  type TypeUrl,
  type Workload,
} from '@ambient-lab/xds'
import { expect } from 'vitest'
import type { HostPort } from '../address.ts'
import { TestHttpServer } from '../waypoint/http-server.conformance.ts'
import { type Answer, clusterOf, forwardRoute, parseAnswer } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { Waypoint } from '../waypoint/waypoint.ts'
import { type Ground, type Program, serviceOf, TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'

export const GROUP = sidecarGroup('default')
export const SHOP = 'default/shop.default.svc.cluster.local'
const ECHO = 'default/echo.default.svc.cluster.local'
const APP_PORT = 8080

/** One pod with a sidecar. */
export interface SidecarPodOfTest {
  readonly name: string
  readonly uid: string
  readonly address: string
  readonly proxy: Waypoint
  readonly metrics: MetricsRegistry
  /** Its access log. */
  readonly lines: string[]
  readonly svids: SvidSource
  readonly targets: Map<number, HostPort>
}

/**
 * `curl` (ambient) and `bare` (outside of the mesh) on node a, `echo` (ambient) on b, as TwoNodes has them; and with
 * sidecars `client` on a, and `shop` on b, the server of the service `shop`.
 */
export class MeshWithSidecars {
  readonly ground: Ground
  readonly nodes: TwoNodes
  readonly server = new TestHttpServer()
  client!: SidecarPodOfTest
  shop!: SidecarPodOfTest
  #addresses: Address[] = []

  constructor(ground: Ground) {
    this.ground = ground
    this.nodes = new TwoNodes(ground)
  }

  async start(): Promise<void> {
    await this.nodes.start()
    await this.server.listen(this.ground.network)
    this.client = await this.#startSidecar('client', 'a', '10.244.1.20')
    this.shop = await this.#startSidecar('shop', 'b', '10.244.2.20')
    this.shop.targets.set(APP_PORT, this.server.address)
    this.nodes.captures.set('client', this.client.proxy.sidecarAddresses['15001']!)
    this.addresses([
      { workload: workloadOf('curl', 'a', '10.244.1.4') },
      { workload: workloadOf('bare', 'a', '10.244.1.5', { tunnelProtocol: 'NONE' }) },
      { workload: workloadOf('echo', 'b', '10.244.2.5', { services: { [ECHO]: [] } }) },
      { workload: this.workloadOf(this.client) },
      { workload: this.workloadOf(this.shop, { services: { [SHOP]: [] } }) },
      { service: serviceOf('echo', '10.96.0.10') },
      { service: serviceOf('shop', '10.96.0.30') },
    ])
    for (const { proxy } of [this.client, this.shop]) {
      const named = [this.nodes.a, this.nodes.b].map((node) => ({ name: node.name, resource: node.resource() }))
      expect(proxy.apply(NODE_TYPE, named, [])).toEqual([])
    }
    this.clusters([
      clusterOf('shop', { endpoints: { kind: 'service', service: SHOP, servicePort: 80 } }),
      clusterOf('echo', { endpoints: { kind: 'service', service: ECHO, servicePort: 80 }, protocol: 'tcp' }),
      clusterOf('inbound|8080||', { endpoints: { kind: 'local', port: APP_PORT } }),
      clusterOf(INBOUND_PASSTHROUGH_CLUSTER, { endpoints: { kind: 'local', port: 0 } }),
      clusterOf(PASSTHROUGH_CLUSTER, { endpoints: { kind: 'original-destination' }, plaintext: 'all' }),
      clusterOf(BLACK_HOLE_CLUSTER, { endpoints: { kind: 'dns', hosts: [], dnsTtlMs: 1000 } }),
    ])
    this.proxy(this.client, {})
    this.proxy(this.shop, {})
    this.outbound([forwardRoute({}, 'shop')])
    this.chain({
      name: `${GROUP}|echo|80`,
      proxy: GROUP,
      match: { kind: 'service', service: ECHO, port: 80 },
      tcp: { routes: [tcpRoute('echo')] },
    })
    this.inbound({})
  }

  /** What everybody is told of addresses. */
  addresses(addresses: readonly Address[]): void {
    this.#addresses = [...this.#addresses, ...addresses]
    this.nodes.push(ADDRESS_TYPE, addresses)
    const upserts = addresses.map((resource) => ({ name: nameOf(resource), resource }))
    for (const { proxy } of [this.client, this.shop]) expect(proxy.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
  }

  /** A pod with a sidecar as the control plane tells of it. */
  workloadOf({ name, address, proxy }: SidecarPodOfTest, overrides: Partial<Workload> = {}): Workload {
    return workloadOf(name, name === 'client' ? 'a' : 'b', address, {
      nativeTunnel: true,
      hbone: proxy.address,
      sidecar: { underlay: proxy.sidecarAddresses['15006']!, plaintext: false, exceptPorts: [] },
      ...overrides,
    })
  }

  clusters(clusters: readonly Cluster[]): void {
    for (const cluster of clusters) this.#apply(CLUSTER_TYPE, cluster)
  }

  proxy({ uid, proxy }: SidecarPodOfTest, overrides: Partial<L7Proxy>): void {
    const format = '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER%'
    const resource: L7Proxy = {
      ...{ name: uid, namespace: 'default', kind: 'sidecar', workloads: [uid], ports: [] },
      accessLog: { enabled: true, encoding: 'TEXT', format },
      pathNormalization: 'BASE',
      ...overrides,
    }
    expect(proxy.apply(L7_PROXY_TYPE, [{ name: uid, resource }], [])).toEqual([])
  }

  /** The chain of the service `shop` at the sidecars of its callers. */
  outbound(
    routes: readonly Route[],
    overrides: Partial<FilterChain> = {},
    domains: readonly string[] = ['shop'],
  ): void {
    this.chain({
      name: `${GROUP}|shop|80`,
      proxy: GROUP,
      match: { kind: 'service', service: SHOP, port: 80 },
      http: { statPrefix: 'shop', virtualHosts: [{ name: 'shop', domains, routes }] },
      ...overrides,
    })
  }

  /** The chain of `shop`'s own port at its side. */
  inbound(overrides: Partial<FilterChain>, guard: Partial<HttpConnectionManager> = {}): void {
    const routes = [forwardRoute({}, 'inbound|8080||')]
    this.chain({
      name: `${this.shop.uid}|inbound|8080`,
      proxy: this.shop.uid,
      match: { kind: 'inbound', port: APP_PORT },
      http: { statPrefix: 'in', virtualHosts: [{ name: 'in', domains: ['*'], routes }], ...guard },
      ...overrides,
    })
  }

  chain(chain: FilterChain): void {
    this.#apply(FILTER_CHAIN_TYPE, chain)
  }

  /** A request of a workload on a connection of its own. */
  async get(
    caller: string,
    path = '/',
    { host = 'shop', to = 'shop', port = 80, method = 'GET' } = {},
  ): Promise<Answer> {
    const { program, reply } = await this.nodes.dial(caller, to, port)
    expect(reply).toBe(0)
    return this.exchange(program, `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
  }

  /** Sends a text and waits for a whole response to it. */
  async exchange(program: Program, request: string): Promise<Answer> {
    program.say(request)
    let answer: Answer | undefined
    await this.ground.until(() => {
      answer = parseAnswer(Buffer.from(program.received).toString('latin1'), program.ended)
      return answer !== undefined || program.closed
    })
    expect(answer, `an answer; got ${program.text}`).toBeDefined()
    return answer!
  }

  async stop(): Promise<void> {
    for (const { proxy, svids } of [this.client, this.shop]) {
      await proxy[Symbol.asyncDispose]()
      await svids[Symbol.asyncDispose]()
    }
    await this.nodes.stop()
    await this.server.listener[Symbol.asyncDispose]()
  }

  async #startSidecar(name: string, node: string, address: string): Promise<SidecarPodOfTest> {
    const { clock, network } = this.ground
    const random = new SeededRandom(11).fork(name)
    const uid = `Kubernetes//Pod/default/${name}`
    const identity: SpiffeId = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name }
    const svids = new SvidSource({ components: { clock, random, signer: this.nodes.certificates.signer() } })
    const svid = (signal?: AbortSignal) => svids.fetch(identity, signal ? { signal } : {})
    const targets = new Map<number, HostPort>()
    const lines: string[] = []
    const metrics = new MetricsRegistry()
    const proxy = new Waypoint({
      components: {
        ...{ clock, random, network, svids, metrics },
        log: silentLogger(),
        upstreamLog: silentLogger(),
        fetchText: (url) => Promise.reject(new Error(`${url} is not to be read in tests`)),
        accessLogSink: (line) => lines.push(line.trimEnd()),
        transport: this.ground.transport({ clientSvid: (_source, signal) => svid(signal), serverSvid: () => svid() }),
      },
      init: {
        ...{ uid, proxy: uid, node, identity, labels: { app: name }, drainDeadlineMs: 2000 },
        sidecar: { name, namespace: 'default', address, targetOf: (port) => targets.get(port) },
      },
    })
    await proxy.start()
    const local = { uid, name, namespace: 'default', identity, address, captured: false, hasSidecar: true }
    const ztunnel = node === 'a' ? this.nodes.a.ztunnel : this.nodes.b.ztunnel
    await ztunnel.addWorkload({ ...local, dialTarget: (port) => targets.get(port) })
    return { name, uid, address, proxy, metrics, lines, svids, targets }
  }

  #apply(typeUrl: TypeUrl, resource: { readonly name: string }): void {
    for (const { proxy } of [this.client, this.shop]) {
      expect(proxy.apply(typeUrl, [{ name: resource.name, resource }], [])).toEqual([])
    }
  }
}

export function tcpRoute(cluster: string) {
  return { name: 'default', serverNames: [], destinationCidrs: [], backends: [{ cluster, weight: 1 }] }
}

function nameOf(address: Address): string {
  if ('workload' in address) return address.workload.uid
  return `${address.service.namespace}/${address.service.hostname}`
}

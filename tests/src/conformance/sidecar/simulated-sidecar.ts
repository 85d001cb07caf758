import type { Pod, Resource } from '@ambient-lab/api'
import { MESH_CONFIG_DEFAULT, type MeshConfig, PODS, Translator } from '@ambient-lab/control-plane'
import {
  encodeProxyHeader,
  MemoryNetwork,
  MemoryPlainNetwork,
  MemoryTransport,
  TunnelPool,
  Waypoint,
} from '@ambient-lab/dataplane'
import { SvidSource } from '@ambient-lab/pki'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import { TestCertificates } from '@ambient-lab/testing'
import {
  ADDRESS_TYPE,
  CLUSTER_TYPE,
  FILTER_CHAIN_TYPE,
  L7_PROXY_TYPE,
  NODE_TYPE,
  type TypeUrl,
  VersionedResources,
} from '@ambient-lab/xds'
import type { SimulatedCall } from '../gateway-conversion/routing.ts'
import { ObjectList, type TypedObject } from '../object-list.ts'
import { firstBytes } from './first-bytes.ts'

export interface SidecarCall extends SimulatedCall {
  readonly callMode?: 'inbound' | 'outbound'
  readonly address?: string
}

/** What became of a call, by the sidecar's own access log. */
export interface SidecarOutcome {
  readonly clusterMatched?: string
  readonly error?: 'ErrNoFilterChain' | 'ErrProtocolError' | 'ErrNoRoute'
}

const POD_IP = '10.244.1.5'
/** Where the upstream tests send what says no address. */
const SOMEWHERE = '1.3.3.7'
const PEER = { address: '10.0.0.9', port: 40_000 }
const UID = 'Kubernetes//Pod/default/foo'
const NODE = 'n1'
const LIMIT_MS = 60_000
const PLAINTEXT_PORT = '15006'
const CAPTURE_PORT = '15001'
/** Of the order in which later types name earlier ones. */
const TYPES = [NODE_TYPE, ADDRESS_TYPE, CLUSTER_TYPE, FILTER_CHAIN_TYPE, L7_PROXY_TYPE] as const satisfies TypeUrl[]

/** The proxy of the upstream tests: a pod with the labels `app=foo`. */
const POD: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    ...{ name: 'foo', namespace: 'default', labels: { app: 'foo' } },
    annotations: { 'sidecar.istio.io/status': '{}' },
  },
  spec: { nodeName: NODE, containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
  status: { podIP: POD_IP, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
}

/** One sidecar in memory, with what the control plane makes of a case's objects; calls go through its own listeners. */
export class SimulatedSidecar implements AsyncDisposable {
  readonly #clock = new VirtualClock()
  readonly #network = new MemoryPlainNetwork({ clock: this.#clock })
  readonly #lines: string[] = []
  readonly #svids: SvidSource
  readonly #tunnels: TunnelPool
  readonly #certificates = new TestCertificates({ clock: this.#clock })
  readonly #proxy: Waypoint

  private constructor() {
    const clock = this.#clock
    const random = new SeededRandom(5)
    const tunnels = new MemoryNetwork()
    const identity = this.#certificates.id('default/default')
    this.#svids = new SvidSource({ components: { clock, random, signer: this.#certificates.signer() } })
    const svid = (signal?: AbortSignal) => this.#svids.fetch(identity, signal ? { signal } : {})
    const transport = new MemoryTransport({
      ...{ network: tunnels, clock },
      svids: { clientSvid: (_source, signal) => svid(signal), serverSvid: () => svid() },
    })
    this.#tunnels = new TunnelPool({ transport, clock })
    this.#proxy = new Waypoint({
      components: {
        ...{ clock, random, network: this.#network, svids: this.#svids, metrics: new MetricsRegistry(), transport },
        log: silentLogger(),
        upstreamLog: silentLogger(),
        fetchText: (url) => Promise.reject(new Error(`${url} is not to be read here`)),
        accessLogSink: (line) => this.#lines.push(line.trimEnd()),
      },
      init: {
        ...{ uid: UID, proxy: UID, node: NODE, identity, labels: POD.metadata.labels ?? {} },
        // Nobody listens: where a call was sent is known before that.
        sidecar: { name: 'foo', namespace: 'default', address: POD_IP, targetOf: () => undefined },
      },
    })
  }

  static async start(objects: readonly TypedObject[], mesh: Partial<MeshConfig>): Promise<SimulatedSidecar> {
    const sidecar = new SimulatedSidecar()
    await sidecar.#proxy.start()
    const resources = new VersionedResources()
    const reader = new ObjectList([...objects, [PODS, POD as Resource]])
    using _translator = new Translator({
      cluster: { get: reader.get.bind(reader), list: reader.list.bind(reader), watch: () => () => {} },
      resources,
      mesh: { ...MESH_CONFIG_DEFAULT, ...mesh, accessLogFormat: '%UPSTREAM_CLUSTER% %RESPONSE_CODE_DETAILS%' },
    })
    for (const typeUrl of TYPES) {
      const upserts = [...resources.names(typeUrl)].map((name) => ({
        name,
        resource: resources.get(typeUrl, name)!.resource,
      }))
      const refused = sidecar.#proxy.apply(typeUrl, upserts, [])
      if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`)
    }
    return sidecar
  }

  /** Sends one call, and waits for the line that the sidecar writes about it. */
  async call(call: SidecarCall): Promise<SidecarOutcome> {
    const before = this.#lines.length
    const bytes = await firstBytes(call)
    const sent = call.callMode === 'inbound' ? this.#inbound(call, bytes) : this.#outbound(call, bytes)
    await this.#clock.advanceUntil(() => this.#lines.length > before, LIMIT_MS)
    await sent
    const line = this.#lines[before]
    if (line === undefined) throw new Error('the sidecar says nothing of it')
    return outcomeOf(line)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]()
    await this.#tunnels[Symbol.asyncDispose]()
    await this.#svids[Symbol.asyncDispose]()
  }

  async #inbound({ port, tls }: SidecarCall, bytes: Uint8Array): Promise<void> {
    const target = { address: POD_IP, port }
    const stream =
      tls === 'mtls'
        ? await this.#tunnel(port)
        : await this.#network.dial(this.#proxy.sidecarAddresses[PLAINTEXT_PORT]!)
    stream.start(DEAF)
    if (tls !== 'mtls') stream.write(encodeProxyHeader(PEER, target))
    stream.write(bytes)
    stream.end()
  }

  async #tunnel(port: number) {
    const identity = this.#certificates.id('default/default')
    const target = {
      ...{ source: identity, address: this.#proxy.address, serverName: '', expectedIds: [identity] },
      ...{ fromNode: NODE, toNode: NODE, sourceIp: PEER.address },
    }
    const request = {
      authority: `${POD_IP}:${port}`,
      baggage: '',
      forwarded: `for="${PEER.address}:1"`,
      traceparent: '',
    }
    return (await this.#tunnels.connect(target, request)).stream
  }

  /** As a program does it: SOCKS5, by address. */
  async #outbound({ port, address = SOMEWHERE }: SidecarCall, bytes: Uint8Array): Promise<void> {
    const stream = await this.#network.dial(this.#proxy.sidecarAddresses[CAPTURE_PORT]!)
    stream.start(DEAF)
    const host = Buffer.from(address)
    stream.write(Uint8Array.from([5, 1, 0, 5, 1, 0, 3, host.length, ...host, port >> 8, port & 255]))
    stream.write(bytes)
    stream.end()
  }
}

const DEAF = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }

function outcomeOf(line: string): SidecarOutcome {
  const space = line.indexOf(' ')
  const [cluster, details] = [line.slice(0, space), line.slice(space + 1)]
  if (details === 'filter_chain_not_found') return { error: 'ErrNoFilterChain' }
  if (details.startsWith('http1.codec_error') || details.startsWith('http2.')) return { error: 'ErrProtocolError' }
  if (cluster === '-') return { error: details === 'route_not_found' ? 'ErrNoRoute' : 'ErrProtocolError' }
  return { clusterMatched: cluster }
}

import { type MemoryNetwork, MemoryTransport, type Upsert, Waypoint } from '@ambient-lab/dataplane'
import type { SpiffeId, SvidSource } from '@ambient-lab/pki'
import type { Clock, Random } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import type { Assignment, TypeUrl, WorkloadReport } from '@ambient-lab/xds'
import type { VirtualNetwork } from './virtual-network.ts'
import { VirtualProcess } from './virtual-process.ts'

export interface GatewayComponents {
  readonly clock: Clock
  readonly random: Random
  readonly network: VirtualNetwork
  readonly tunnels: MemoryNetwork
  /** The agent's: a gateway's thread has its requests signed by it. */
  readonly svids: SvidSource
  /** What the control plane has said so far, by type. */
  readonly known: ReadonlyMap<TypeUrl, ReadonlyMap<string, unknown>>
  readonly certificateOf: (identity: SpiffeId) => WorkloadReport['certificate'] | undefined
  readonly onChange: (report: WorkloadReport) => void
}

export interface GatewayInit {
  readonly node: string
  readonly host: string
  /** How far the machine's wall clock is off. */
  readonly skewMs: () => number
}

/** One life of a gateway's thread. */
interface Life {
  readonly process: VirtualProcess
  readonly waypoint: Waypoint
}

/** The gateway of a network: a pod that the agent runs in a thread of its own, which dies and starts again by itself. */
export class SimulatedGateway {
  readonly assignment: Assignment
  readonly identity: SpiffeId
  readonly #components: GatewayComponents
  readonly #init: GatewayInit
  readonly #startedAtMs: number
  #restarts = 0
  #life: Life | undefined
  #stopped = false

  constructor(assignment: Assignment, init: GatewayInit, components: GatewayComponents) {
    const { namespace, serviceAccount } = assignment
    this.assignment = assignment
    this.identity = { trustDomain: 'cluster.local', namespace, serviceAccount }
    this.#components = components
    this.#init = init
    this.#startedAtMs = components.clock.now()
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  get process(): VirtualProcess | undefined {
    return this.#life?.process
  }

  async start(): Promise<void> {
    const { clock, random, network, tunnels, svids, known } = this.#components
    const { node, host, skewMs } = this.#init
    const { uid, proxy = '', labels, name } = this.assignment
    if (this.#stopped || this.#life) return
    const { identity } = this
    const process = new VirtualProcess(name, clock, skewMs)
    const chance = random.fork(`${uid} ${this.#restarts}`)
    const links = network.conditionsFor(process)
    const svid = (signal?: AbortSignal) => svids.fetch(identity, signal ? { signal } : {})
    const waypoint = new Waypoint({
      components: {
        ...{ clock: process.clock, random: chance, svids, network: network.plainFor(process, node) },
        ...{ metrics: new MetricsRegistry(), log: silentLogger(), upstreamLog: silentLogger() },
        fetchText: (url) => Promise.reject(new Error(`${url} is not to be read here`)),
        accessLogSink: () => {},
        transport: new MemoryTransport({
          ...{ network: tunnels, clock: process.clock, links },
          svids: { clientSvid: (_source, signal) => svid(signal), serverSvid: () => svid() },
        }),
      },
      init: { uid, proxy, node, identity, labels, host },
    })
    this.#life = { process, waypoint }
    await waypoint.start()
    for (const [typeUrl, resources] of known) {
      const upserts = [...resources].map(([resource, value]): Upsert => ({ name: resource, resource: value }))
      waypoint.apply(typeUrl, upserts, [])
    }
    this.#components.onChange(this.report)
  }

  apply(typeUrl: TypeUrl, upserts: readonly Upsert[], removed: readonly string[]): void {
    this.#life?.waypoint.apply(typeUrl, upserts, removed)
  }

  /** The thread is gone where it is, the pod stays; its agent says so, if it lives on. */
  crash(): void {
    const life = this.#life
    if (!life) return
    this.#life = undefined
    this.#restarts += 1
    const { network, tunnels } = this.#components
    life.process.kill()
    network.sever(life.process)
    tunnels.unbind(this.#init.host, life.waypoint.address.port)
    this.#components.onChange(this.report)
  }

  /** With its agent: nobody is told. */
  die(): void {
    this.#stopped = true
    this.crash()
  }

  /** What it carries may end, then it goes in order. @returns its process, of which nothing may be left */
  async stop(): Promise<VirtualProcess | undefined> {
    this.#stopped = true
    const life = this.#life
    if (!life) return undefined
    await life.waypoint.drain()
    await life.waypoint[Symbol.asyncDispose]()
    if (this.#life === life) this.#life = undefined
    return life.process
  }

  get report(): WorkloadReport {
    const { uid } = this.assignment
    const { host } = this.#init
    const certificate = this.#components.certificateOf(this.identity)
    const address = this.#life?.waypoint.address
    return {
      ...{ uid, phase: 'Running', ready: address !== undefined, reason: '', message: '' },
      ...{ restarts: this.#restarts, startedAtMs: this.#startedAtMs, captured: false },
      ports: address ? { 15008: { host, port: address.port } } : {},
      ...(certificate && { certificate }),
    }
  }
}

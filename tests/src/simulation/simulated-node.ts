import {
  certificateReport,
  LocalSvids,
  LocalWorkloads,
  type MemoryNetwork,
  MemoryTransport,
  ProxyStateHolder,
  TrustFeed,
  Ztunnel,
} from '@ambient-lab/dataplane'
import { Revocations, type SpiffeId, SvidSource, sameSpiffeId } from '@ambient-lab/pki'
import type { Clock, Random } from '@ambient-lab/std'
import { type AccessLog, MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import {
  type AgentMessage,
  ASSIGNMENT_TYPE,
  type Assignment,
  type ControlPlaneMessage,
  type Delta,
  DiscoveryClient,
  type Hello,
  type MessageLink,
  type Reject,
  TRUST_TYPE,
  type TypeUrl,
  type WorkloadReport,
} from '@ambient-lab/xds'
import type { Ledger } from './ledger.ts'
import type { Mutations } from './mutations.ts'
import type { Observer } from './observer.ts'
import { type AccessBook, RecordingAccessLog } from './recording-access-log.ts'
import { SimulatedGateway } from './simulated-gateway.ts'
import { SimulatedWorkload } from './simulated-workload.ts'
import type { VirtualNetwork } from './virtual-network.ts'
import { VirtualProcess } from './virtual-process.ts'

export const LAB_VERSION = '0.1.0'

export interface NodeComponents {
  readonly clock: Clock
  readonly random: Random
  readonly network: VirtualNetwork
  readonly tunnels: MemoryNetwork
  readonly ledger: Ledger
  readonly observer: Observer
  readonly book: AccessBook
  readonly mutations: Mutations
  /** Opens a link to the control plane, as this node. */
  connect(process: VirtualProcess, signal: AbortSignal): Promise<MessageLink<ControlPlaneMessage, AgentMessage>>
  /** A push was taken over. */
  onApplied(node: SimulatedNode, typeUrl: TypeUrl): void
  onEvent(actor: string, event: string): void
  /** The programs of an agent are no more; whatever they held is gone. */
  onProgramsEnd(programs: VirtualProcess, crashed: boolean): void
}

export interface NodeInit {
  readonly name: string
  readonly host: string
  readonly svidTtlSeconds: number
}

/** What one life of an agent consists of. */
interface Agent {
  readonly process: VirtualProcess
  /** The worker that runs the workloads' programs: ends with the agent, and has timers of its own. */
  readonly programs: VirtualProcess
  readonly ztunnel: Ztunnel
  readonly svids: SvidSource
  readonly trust: TrustFeed
  readonly client: DiscoveryClient
  readonly workloads: Map<string, SimulatedWorkload>
  readonly gateways: Map<string, SimulatedGateway>
  /** What gateways start with: type → name → resource. */
  readonly known: Map<TypeUrl, Map<string, unknown>>
  /** What was taken over: type → name → version. */
  readonly held: Map<TypeUrl, Map<string, string>>
}

/** What is left of a life that ended in order: nothing may be. */
export interface StoppedNode {
  readonly process: VirtualProcess
  readonly ztunnel: Ztunnel
  /** Of gateways. */
  readonly threads: readonly VirtualProcess[]
}

/** One simulated node: composed as the node agent composes it, with memory where that has sockets, files and threads. */
export class SimulatedNode {
  readonly name: string
  readonly #components: NodeComponents
  readonly #init: NodeInit
  /** How far this machine's wall clock is off. */
  skewMs = 0
  #lives = 0
  #agent: Agent | undefined

  constructor(components: NodeComponents, init: NodeInit) {
    this.name = init.name
    this.#components = components
    this.#init = init
  }

  get isUp(): boolean {
    return this.#agent !== undefined
  }

  get process(): VirtualProcess | undefined {
    return this.#agent?.process
  }

  get ztunnel(): Ztunnel | undefined {
    return this.#agent?.ztunnel
  }

  get isConnected(): boolean {
    return this.#agent?.client.connected ?? false
  }

  get workloads(): SimulatedWorkload[] {
    return [...(this.#agent?.workloads.values() ?? [])]
  }

  get gateways(): SimulatedGateway[] {
    return [...(this.#agent?.gateways.values() ?? [])]
  }

  /** Of all that it runs. */
  get uids(): string[] {
    return [...this.workloads.map(({ place }) => place.uid), ...this.gateways.map(({ assignment }) => assignment.uid)]
  }

  /** What the agent has acknowledged: name → version. */
  held(typeUrl: TypeUrl): ReadonlyMap<string, string> {
    return this.#agent?.held.get(typeUrl) ?? new Map()
  }

  async start(): Promise<void> {
    const { clock, random, network, tunnels, book, mutations } = this.#components
    this.#lives += 1
    const process = new VirtualProcess(this.name, clock, () => this.skewMs)
    const programs = new VirtualProcess(`${this.name} programs`, clock, () => this.skewMs)
    const chance = random.fork(`${this.name} ${this.#lives}`)
    const locals = new LocalWorkloads()
    const client: DiscoveryClient = this.#client(process, chance, () => agent)
    const signer = { sign: (csrPem: string, ttlSeconds: number) => client.sign(csrPem, ttlSeconds) }
    const svids = new SvidSource({
      components: { clock: process.clock, random: chance.fork('svids'), signer },
      init: { ttlSeconds: this.#init.svidTtlSeconds },
    })
    const trust = new TrustFeed({ clock: process.clock, svids, revocations: new Revocations() })
    const lookup = new LocalSvids({ locals, svids })
    const links = network.conditionsFor(process)
    const transport = new MemoryTransport({ network: tunnels, clock: process.clock, svids: lookup, links })
    const accessLog: AccessLog = new RecordingAccessLog(this.name, book, () => process.alive)
    const ztunnel = new Ztunnel({
      node: this.name,
      components: {
        ...{ clock: process.clock, random: chance.fork('ztunnel'), svids, locals },
        transport: mutations.transport(transport),
        dialer: network.plainFor(process, this.name),
        log: silentLogger(),
        metrics: new MetricsRegistry(),
        accessLog: mutations.accessLog(accessLog),
      },
      init: { host: this.#init.host, captureHost: this.#init.host },
    })
    mutations.ztunnel(ztunnel)
    const agent: Agent = {
      ...{ process, programs, ztunnel, svids, trust, client },
      ...{ workloads: new Map(), gateways: new Map(), known: new Map(), held: new Map() },
    }
    this.#agent = agent
    svids.onChange(({ id }) => onCertificate(agent, id))
    await ztunnel.start()
    client.start()
  }

  /** SIGKILL. Everything in the process ends where it is. */
  crash(): void {
    const agent = this.#agent
    if (!agent) return
    this.#agent = undefined
    for (const gateway of agent.gateways.values()) gateway.die()
    for (const process of [agent.process, agent.programs]) {
      process.kill()
      this.#components.network.sever(process)
    }
    this.#components.onProgramsEnd(agent.programs, true)
    this.#components.tunnels.unbind(this.#init.host, agent.ztunnel.addresses.hbone.port)
  }

  /** SIGTERM: drains, then leaves in order. */
  async stop(): Promise<StoppedNode | undefined> {
    const agent = this.#agent
    if (!agent) return undefined
    this.#agent = undefined
    const { ztunnel, svids, client, programs, workloads, gateways } = agent
    await client[Symbol.asyncDispose]()
    const threads = Promise.all([...gateways.values()].map((gateway) => gateway.stop()))
    await Promise.all([ztunnel.drain(), threads, ...[...workloads.values()].map((workload) => workload.stop())])
    programs.kill()
    this.#components.network.sever(programs)
    this.#components.onProgramsEnd(programs, false)
    await ztunnel[Symbol.asyncDispose]()
    await svids[Symbol.asyncDispose]()
    return { process: agent.process, ztunnel, threads: (await threads).filter((thread) => thread !== undefined) }
  }

  /** Tells of a workload's certificate again, and asks for a new one. */
  rotate(): void {
    const agent = this.#agent
    for (const { identity, place } of agent?.workloads.values() ?? [])
      if (place.captured) agent?.svids.refresh(identity)
  }

  #client(process: VirtualProcess, random: Random, agent: () => Agent): DiscoveryClient {
    const { connect, onEvent } = this.#components
    return new DiscoveryClient({
      clock: process.clock,
      random: random.fork('discovery'),
      connect: (signal) => connect(process, signal),
      handlers: {
        hello: () => this.#hello(agent()),
        apply: (typeUrl, upserts, removed) => this.#apply(agent(), typeUrl, upserts, removed),
        calls: {
          traffic: async (query) => agent().ztunnel.traffic(query),
          review: async (query) =>
            query.at === 'waypoint' || query.at === 'request' ? { checkpoints: [] } : agent().ztunnel.review(query),
          requests: async () => ({ requests: [] }),
          replay: async (query) => agent().ztunnel.replay(query),
          log: async () => ({ lines: [] }),
        },
        onState: (state) => {
          if (state.connected) agent().svids.retryFailed()
          if (process.alive) onEvent(this.name, state.connected ? 'joined' : `no control plane: ${state.reason.code}`)
        },
        onRefused: (reason) => {
          if (process.alive) this.#components.observer.onRefused(this.name, reason)
        },
      },
    })
  }

  #hello({ process, ztunnel }: Agent): Omit<Hello, 'type'> {
    return {
      ...{ node: this.name, version: LAB_VERSION, pid: 1000 + this.#lives, machine: this.name },
      ...{ startedAtMs: process.clock.now(), ports: { admin: 1, metrics: 2, ready: 3 }, ...ztunnel.addresses },
    }
  }

  #apply(agent: Agent, typeUrl: TypeUrl, upserts: Delta['upserts'], removed: readonly string[]): Reject['errors'] {
    const { mutations, onApplied, onEvent } = this.#components
    const errors = this.#take(agent, typeUrl, mutations.upserts(typeUrl, upserts), removed)
    const held = agent.held.get(typeUrl) ?? new Map<string, string>()
    agent.held.set(typeUrl, held)
    for (const { name, version } of upserts) held.set(name, version)
    for (const { name } of errors) held.delete(name)
    for (const name of removed) held.delete(name)
    onEvent(this.name, `took ${typeUrl.split('.').at(-1)} +${upserts.length} -${removed.length} !${errors.length}`)
    onApplied(this, typeUrl)
    return errors
  }

  #take(agent: Agent, typeUrl: TypeUrl, upserts: Delta['upserts'], removed: readonly string[]): Reject['errors'] {
    tellGateways(agent, typeUrl, upserts, removed)
    if (ProxyStateHolder.holds(typeUrl)) return agent.ztunnel.state.apply(typeUrl, upserts, removed)
    if (typeUrl === TRUST_TYPE) return [...agent.trust.apply(upserts)]
    if (typeUrl !== ASSIGNMENT_TYPE) return []
    for (const uid of removed) this.#dismiss(agent, uid)
    for (const { resource } of upserts) this.#assign(agent, resource as Assignment)
    return []
  }

  /** A pod's spec does not change here but for its generation, which asks for nothing. */
  #assign(agent: Agent, assignment: Assignment): void {
    if (assignment.proxy !== undefined) return this.#runGateway(agent, assignment)
    if (agent.workloads.has(assignment.uid)) return
    const { random, network, ledger, observer } = this.#components
    const { programs, ztunnel, svids, client } = agent
    const workload = new SimulatedWorkload(
      assignment,
      { node: this.name, host: this.#init.host },
      {
        ...{ process: programs, ztunnel, ledger, observer, network: network.plainFor(programs, this.name) },
        random: random.fork(`${assignment.uid} ${this.#lives}`),
        certificateOf: (id) => certificateView(svids, id),
        onChange: (report) => client.report({ workloads: [report] }),
      },
    )
    agent.workloads.set(assignment.uid, workload)
    void workload.start()
  }

  #runGateway(agent: Agent, assignment: Assignment): void {
    const { uid } = assignment
    if (agent.gateways.has(uid)) return
    const { clock, random, network, tunnels } = this.#components
    const { svids, client, known } = agent
    const gateway = new SimulatedGateway(
      assignment,
      { node: this.name, host: this.#init.host, skewMs: () => this.skewMs },
      {
        ...{ clock, network, tunnels, svids, known, random: random.fork(`${uid} ${this.#lives}`) },
        certificateOf: (id) => certificateView(svids, id),
        onChange: (report) => client.report({ workloads: [report] }),
      },
    )
    agent.gateways.set(uid, gateway)
    void gateway.start()
  }

  #dismiss(agent: Agent, uid: string): void {
    void agent.gateways.get(uid)?.stop()
    agent.gateways.delete(uid)
    const workload = agent.workloads.get(uid)
    agent.workloads.delete(uid)
    void workload?.stop()
  }
}

/** As the agent relays all news to its threads, and keeps it for those that start later. */
function tellGateways(
  { known, gateways }: Agent,
  typeUrl: TypeUrl,
  upserts: Delta['upserts'],
  removed: readonly string[],
) {
  const resources = known.get(typeUrl) ?? new Map<string, unknown>()
  known.set(typeUrl, resources)
  for (const { name, resource } of upserts) resources.set(name, resource)
  for (const name of removed) resources.delete(name)
  for (const gateway of gateways.values()) gateway.apply(typeUrl, upserts, removed)
}

function onCertificate({ workloads, gateways, client }: Agent, id: SpiffeId): void {
  for (const workload of [...workloads.values(), ...gateways.values()]) {
    if (sameSpiffeId(workload.identity, id)) client.report({ workloads: [workload.report] })
  }
}

function certificateView(svids: SvidSource, id: SpiffeId): WorkloadReport['certificate'] {
  return certificateReport(svids.state(id) ?? { phase: 'Initializing' })
}

import { type Deployment, type Pod, type Resource, ROOT_ROTATION_STEPS, type RootRotationStep } from '@ambient-lab/api'
import {
  AUTHORIZATION_POLICIES,
  Cluster,
  ControlPlane,
  DEPLOYMENTS,
  GATEWAYS,
  MemoryStore,
  NAMESPACES,
  NODES,
  PODS,
  SERVICES,
  type StoreType,
} from '@ambient-lab/control-plane'
import { MemoryNetwork } from '@ambient-lab/dataplane'
import { CertificateAuthority } from '@ambient-lab/pki'
import { CodedError, type Random, type VirtualClock } from '@ambient-lab/std'
import type { TypeUrl } from '@ambient-lab/xds'
import { ControlLinks } from './control-links.ts'
import type { Ledger } from './ledger.ts'
import type { Mutations } from './mutations.ts'
import type { Observer } from './observer.ts'
import { type PolicyIntent, policyManifest } from './policy.ts'
import type { AccessBook } from './recording-access-log.ts'
import {
  type Addresses,
  deploymentManifest,
  gatewayManifests,
  namespaceManifests,
  networkLabels,
  type Scenario,
  type ServerApp,
  serviceManifest,
} from './scenario.ts'
import { LAB_VERSION, SimulatedNode } from './simulated-node.ts'
import type { SimulatedWorkload } from './simulated-workload.ts'
import { CONTROL_PLANE_NODE, VirtualNetwork } from './virtual-network.ts'
import { OpenStore, VirtualProcess } from './virtual-process.ts'

export interface LabComponents {
  readonly clock: VirtualClock
  readonly random: Random
  readonly ledger: Ledger
  readonly observer: Observer
  readonly book: AccessBook
  readonly mutations: Mutations
  onEvent(actor: string, event: string): void
  onApplied(node: SimulatedNode, typeUrl: TypeUrl): void
  onProgramsEnd(programs: VirtualProcess, crashed: boolean): void
  /** The policies that are in force from now on, as far as the API is concerned. */
  onPolicies(changed: readonly PolicyIntent[], intents: readonly PolicyIntent[]): void
}

/** What a control plane that ended in order left behind: nothing may be. */
export interface Leftovers {
  readonly timers: number
  readonly watches: number
}

/** One life of the control plane. */
interface Life {
  readonly process: VirtualProcess
  readonly store: OpenStore
  readonly controlPlane: ControlPlane
}

/** Both planes of a lab in one process, on one virtual clock, with no socket, file or thread. */
export class SimulatedLab implements Addresses {
  readonly network: VirtualNetwork
  readonly nodes: readonly SimulatedNode[]
  readonly links: ControlLinks
  readonly policies = new Map<string, PolicyIntent>()
  readonly #components: LabComponents
  readonly #scenario: Scenario
  /** Outlives every control plane. */
  readonly store = new MemoryStore()
  readonly #tunnels = new MemoryNetwork()
  readonly #authority: CertificateAuthority
  /** Writes as the API would. */
  readonly #api: Cluster
  #lives = 0
  #rootSteps = 0
  #life: Life | undefined

  constructor(components: LabComponents, scenario: Scenario) {
    const { clock, random } = components
    this.#components = components
    this.#scenario = scenario
    this.network = new VirtualNetwork({ clock, random: random.fork('network') })
    this.#authority = authorityFor(clock)
    this.#api = new Cluster({ store: this.store, clock, random: random.fork('api') })
    this.links = new ControlLinks({ clock, network: this.network, controlPlane: () => this.controlPlane })
    this.nodes = scenario.nodes.map((name, index) => this.#node(name, index))
  }

  /** Undefined while it is down. */
  get controlPlane(): ControlPlane | undefined {
    return this.#life?.controlPlane
  }

  get workloads(): SimulatedWorkload[] {
    return this.nodes.flatMap(({ workloads }) => workloads)
  }

  node(name: string): SimulatedNode {
    return this.nodes.find((node) => node.name === name)!
  }

  /** Control plane, nodes, objects; returns when all is written, not when all has come up. */
  async start(): Promise<void> {
    const { nodes, networks, servers, clients, policies, latencyMs } = this.#scenario
    const places = [...nodes, CONTROL_PLANE_NODE]
    for (const from of places)
      for (const to of places) if (from < to) this.network.delay(from, to, latencyMs, latencyMs / 2)
    await this.startControlPlane()
    for (const namespace of namespaceManifests()) await this.#put(NAMESPACES, namespace)
    for (const [index, name] of nodes.entries()) await this.#api.create(NODES, nodeManifest(name, networks[index]))
    for (const gateway of gatewayManifests(this.#scenario)) await this.#api.create(GATEWAYS, gateway)
    for (const policy of policies) await this.applyPolicy(policy)
    for (const server of servers) {
      await this.#api.create(SERVICES, serviceManifest(server))
      await this.#api.create(DEPLOYMENTS, deploymentManifest(server, server.replicas))
    }
    for (const client of clients) await this.#api.create(DEPLOYMENTS, deploymentManifest(client, 1))
    for (const node of this.nodes) await node.start()
  }

  async startControlPlane(): Promise<void> {
    const { clock, random, onEvent } = this.#components
    this.#lives += 1
    const process = new VirtualProcess(CONTROL_PLANE_NODE, clock)
    const store = new OpenStore(this.store, process)
    const controlPlane = new ControlPlane(
      {
        ...{ store, clock: process.clock, authority: this.#authority },
        random: random.fork(`control plane ${this.#lives}`),
        log: {
          info: () => {},
          warn: (text, fields) => onEvent(CONTROL_PLANE_NODE, `${text} ${JSON.stringify(fields)}`),
        },
      },
      { version: LAB_VERSION },
    )
    this.#life = { process, store, controlPlane }
    await controlPlane.start()
  }

  /** SIGKILL: what was written stays, everything else is gone. */
  crashControlPlane(): void {
    const life = this.#life
    if (!life) return
    this.#life = undefined
    life.process.kill()
    life.store.abandon()
    this.links.cutAll()
  }

  /** SIGTERM. */
  async stopControlPlane(): Promise<Leftovers | undefined> {
    const life = this.#life
    this.#life = undefined
    await life?.controlPlane[Symbol.asyncDispose]()
    return life && { timers: life.process.pending, watches: life.store.watches }
  }

  /** A second control plane over the same store, which has never seen anything change. */
  translateAfresh(): ControlPlane {
    const { clock } = this.#components
    const process = new VirtualProcess('fresh', clock)
    const store = new OpenStore(this.store, process)
    const random = this.#components.random.fork('fresh')
    const fresh = new ControlPlane(
      { store, clock: process.clock, random, authority: this.#authority },
      { version: LAB_VERSION },
    )
    process.kill()
    store.abandon()
    return fresh
  }

  /** Through the API, which is there only while the control plane is. */
  async applyPolicy(intent: PolicyIntent): Promise<void> {
    const before = this.policies.get(intent.name)
    await this.#put(AUTHORIZATION_POLICIES, policyManifest(intent))
    this.policies.set(intent.name, intent)
    this.#components.onPolicies(before ? [before, intent] : [intent], [...this.policies.values()])
  }

  async removePolicy(intent: PolicyIntent): Promise<void> {
    await this.#api.remove(AUTHORIZATION_POLICIES, `${intent.namespace}/${intent.name}`)
    this.policies.delete(intent.name)
    this.#components.onPolicies([intent], [...this.policies.values()])
  }

  async scale(deployment: string, namespace: string, replicas: number): Promise<void> {
    await this.#api.update(DEPLOYMENTS, `${namespace}/${deployment}`, (current) => ({
      ...current,
      spec: { ...current.spec!, replicas },
    }))
  }

  /** As `ambient cert rotate --root` does, a step at a time; none is forced. */
  async stepRoot(): Promise<RootRotationStep | 'waits'> {
    const step = ROOT_ROTATION_STEPS[this.#rootSteps % ROOT_ROTATION_STEPS.length]!
    const create = this.controlPlane!.apiHooks().createOnly!['ambient.lab/rootrotations']!
    const object = { apiVersion: 'ambient.lab/v1', kind: 'RootRotation', metadata: { name: 'step' }, spec: { step } }
    try {
      await create({ object, user: { name: 'somebody', groups: [] }, dryRun: false })
    } catch (error) {
      if (CodedError.is(error, 'Conflict')) return 'waits'
      throw error
    }
    this.#rootSteps += 1
    return step
  }

  /** As `kubectl delete pod` does: marked first, gone after its grace. */
  async deletePod(pod: Pod): Promise<void> {
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`
    await this.#api.update(PODS, key, (current) => ({
      ...current,
      metadata: { ...current.metadata, deletionTimestamp: this.#api.now(), deletionGracePeriodSeconds: 1 },
    }))
  }

  get pods(): readonly Pod[] {
    return this.#api.list(PODS)
  }

  get deployments(): readonly Deployment[] {
    return this.#api.list(DEPLOYMENTS)
  }

  isNodeReady(name: string): boolean {
    const conditions = this.#api.get(NODES, name)?.status?.conditions ?? []
    return conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  }

  podOf(app: string): string | undefined {
    const pod = this.pods.find(({ metadata, status }) => metadata.labels?.app === app && status?.podIP)
    return pod?.status?.podIP
  }

  vipOf({ name, namespace }: ServerApp): string | undefined {
    return this.#api.get(SERVICES, `${namespace}/${name}`)?.spec?.clusterIP
  }

  #node(name: string, index: number): SimulatedNode {
    const { clock, random, ledger, observer, book, mutations, onEvent, onApplied, onProgramsEnd } = this.#components
    return new SimulatedNode(
      {
        ...{ clock, ledger, observer, book, mutations, onEvent, onApplied, onProgramsEnd },
        ...{ random: random.fork(name), network: this.network, tunnels: this.#tunnels },
        connect: (process, signal) => this.links.connect(name, process, signal),
      },
      { name, host: `192.0.2.${index + 1}`, svidTtlSeconds: this.#scenario.svidTtlSeconds },
    )
  }

  /** Create or replace, as an apply. */
  async #put(type: StoreType, object: Resource): Promise<void> {
    const { name, namespace } = object.metadata
    await this.store.write(type, namespace ? `${namespace}/${name}` : name, (current) => {
      if (!current) return this.#api.withMetadata(object)
      const { uid, creationTimestamp, generation = 0 } = current.metadata
      const metadata = { ...current.metadata, ...object.metadata, uid, creationTimestamp, generation: generation + 1 }
      return { ...current, ...object, metadata } as Resource
    })
  }
}

function nodeManifest(name: string, network: string | undefined) {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, ...networkLabels(network) }, spec: {} } as const
}

let sharedAuthority: { readonly authority: CertificateAuthority; clock: Pick<VirtualClock, 'now'> } | undefined

/** One authority serves all runs, each with its own time: its keys play no part in what happens. */
function authorityFor(clock: VirtualClock): CertificateAuthority {
  if (!sharedAuthority) {
    const shared = { clock: clock as Pick<VirtualClock, 'now'> }
    const authority = CertificateAuthority.create({ clock: { now: () => shared.clock.now() } })
    sharedAuthority = Object.assign(shared, { authority })
  }
  sharedAuthority.clock = clock
  return sharedAuthority.authority
}

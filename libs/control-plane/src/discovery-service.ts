import { type Node, objectKey, setCondition, timestamp } from '@ambient-lab/api'
import type { CodedError, Random } from '@ambient-lab/std'
import {
  type AgentMessage,
  type ControlPlaneMessage,
  DiscoverySession,
  discoveryError,
  type EventReport,
  type Hello,
  type LoadProgress,
  type MessageLink,
  type Report,
  type TypeUrl,
  type VersionedResources,
  type Welcome,
  type WorkloadReport,
} from '@ambient-lab/xds'
import type { CaService } from './ca-service.ts'
import type { Cluster } from './cluster.ts'
import type { EventRecorder } from './events.ts'
import { LatestWrites } from './latest-writes.ts'
import type { ControlPlaneLog } from './log.ts'
import type { MeshConfig } from './mesh-config.ts'
import type { NodeInventory } from './nodes.ts'
import { withoutAgent, withReport } from './pod-status.ts'
import { NODES, PODS } from './stored-kinds.ts'
import { compatible } from './version.ts'

export interface DiscoveryServiceComponents {
  readonly cluster: Cluster
  readonly random: Random
  readonly resources: VersionedResources
  readonly inventory: NodeInventory
  readonly ca: CaService
  readonly events: EventRecorder
  readonly log: ControlPlaneLog
  readonly handlers: DiscoveryServiceHandlers
}

export interface DiscoveryServiceHandlers {
  onLoadProgress(node: string, progress: LoadProgress): Promise<void>
  /** Writes what follows from it; called again while the store refuses. */
  onAcknowledge(typeUrl: TypeUrl): Promise<void>
}

export interface DiscoveryServiceInit {
  readonly mesh: MeshConfig
  readonly version: string
  /**
   * How long after a start agents have to come back before they count as gone. They outlived the control plane, and
   * try again once a second at least.
   * @default RECONNECT_GRACE_MS
   */
  readonly reconnectGraceMs?: number
}

export const RECONNECT_GRACE_MS = 5000

/** The links to all agents: who is there, what they are told, and what they say. */
export class DiscoveryService implements AsyncDisposable {
  readonly #components: DiscoveryServiceComponents
  readonly #init: DiscoveryServiceInit
  readonly #sessions = new Map<string, DiscoverySession>()
  /** Links whose agent has not said hello yet. */
  readonly #strangers = new Set<DiscoverySession>()
  /** A full disk must not end the process, nor what is known be lost: it is written when there is room. */
  readonly #writes: LatestWrites
  readonly #stopWatch: () => void
  readonly #cancelGrace: () => void
  #stopped = false

  constructor(components: DiscoveryServiceComponents, init: DiscoveryServiceInit) {
    this.#components = components
    this.#init = init
    const { cluster, random, log } = components
    this.#writes = new LatestWrites('agents', {
      ...{ clock: cluster.clock, random: random.fork('agents') },
      onError: (reason) => log.warn('state of nodes not written, will try again', { reason }),
    })
    this.#stopWatch = cluster.store.watch({ type: NODES, after: cluster.store.revision }, ({ operation, object }) => {
      if (operation !== 'deleted') return
      const { name } = object.metadata
      this.#sessions.get(name)?.close(discoveryError('NODE_UNKNOWN', `node ${name} was deleted`))
    })
    const graceMs = init.reconnectGraceMs ?? RECONNECT_GRACE_MS
    this.#cancelGrace = cluster.clock.schedule(graceMs, () => this.#dropMissing(), { background: true })
  }

  /** Of every node whose agent is connected and was admitted. */
  get sessions(): ReadonlyMap<string, DiscoverySession> {
    return this.#sessions
  }

  /** Everything that the agents told is written. */
  get idle(): boolean {
    return this.#writes.idle
  }

  /** Serves an agent. @param node as its certificate names it */
  accept(link: MessageLink<AgentMessage, ControlPlaneMessage>, node: string): void {
    if (this.#stopped) {
      link.close(discoveryError('SHUTTING_DOWN', 'the control plane stops'))
      return
    }
    const { clock } = this.#components.cluster
    const { resources } = this.#components
    const session: DiscoverySession = new DiscoverySession({
      link,
      resources,
      clock,
      handlers: {
        onHello: (hello) => this.#admit(session, node, hello),
        onSign: async (request) => ({ type: 'signed', id: request.id, ...this.#components.ca.sign(node, request) }),
        onReport: (report) => this.#report(session, node, report),
        onReject: ({ typeUrl, errors }) => {
          for (const { name, reason } of errors) {
            this.#components.log.warn('resource refused', { node, type: typeUrl, name, reason })
          }
        },
        onAcknowledge: (typeUrl) => {
          this.#writes.put(`acknowledged ${typeUrl}`, () => this.#components.handlers.onAcknowledge(typeUrl))
        },
        onClose: (reason) => this.#closed(session, node, reason),
      },
    })
    this.#strangers.add(session)
  }

  /** Nodes whose agents hold the current form of a resource. Sorted. */
  programmedNodes(typeUrl: TypeUrl, name: string): string[] {
    const current = this.#components.resources.get(typeUrl, name)?.version
    if (current === undefined) return []
    return [...this.#sessions]
      .filter(([, session]) => session.acknowledgedVersion(typeUrl, name) === current)
      .map(([node]) => node)
      .sort()
  }

  /** Closes every link; the nodes stay as they are, since their agents live on and come back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    this.#stopWatch()
    this.#cancelGrace()
    for (const session of [...this.#strangers, ...this.#sessions.values()]) {
      session.close(discoveryError('SHUTTING_DOWN', 'the control plane stops'))
    }
    this.#sessions.clear()
    await this.#writes[Symbol.asyncDispose]()
  }

  #admit(session: DiscoverySession, node: string, hello: Hello): Welcome {
    const { mesh, version } = this.#init
    this.#strangers.delete(session)
    if (hello.node !== node) {
      throw discoveryError('NODE_MISMATCH', `the certificate is that of node ${node}, not of ${hello.node}`)
    }
    if (!compatible(hello.version, version)) {
      throw discoveryError('VERSION_MISMATCH', `the agent is version ${hello.version}, the control plane ${version}`)
    }
    if (!this.#components.cluster.get(NODES, node)) throw discoveryError('NODE_UNKNOWN', `there is no node ${node}`)
    const replaced = this.#sessions.get(node)
    this.#sessions.set(node, session)
    replaced?.close(discoveryError('REPLACED', `another agent joined as node ${node}`))
    this.#saveNode(node, () => this.#join(node, hello))
    this.#components.log.info('agent joined', { node, pid: hello.pid })
    const { trustDomain, clusterId, clusterDomain, network } = mesh
    return { type: 'welcome', version, trustDomain, clusterId, clusterDomain, network }
  }

  /**
   * The node, and its pods when it is another process than the one that told of them: what that process ran is gone,
   * even if nobody saw it die.
   */
  #join(node: string, hello: Hello): Promise<unknown>[] {
    const { cluster, inventory } = this.#components
    const before = cluster.get(NODES, node)?.status?.agent
    const now = agentStatus(hello)
    const isRestart = before && (before.pid !== now.pid || before.startedAt !== now.startedAt)
    const pods = isRestart ? inventory.podsOn(node) : []
    return [
      cluster.update(NODES, node, (current) => this.#joined(current, hello)),
      ...[...pods].map((pod) =>
        cluster.update(PODS, objectKey(pod.metadata), (current) =>
          current.spec?.nodeName === node ? withoutAgent(current, 'AgentRestarted', cluster.clock) : current,
        ),
      ),
    ]
  }

  #joined(node: Node, hello: Hello): Node {
    const status = agentStatus(hello)
    const ready = { type: 'Ready', status: 'True', reason: 'AgentReady', message: 'the agent is connected' } as const
    const conditions = setCondition(node.status?.conditions ?? [], ready, this.#components.cluster.clock)
    const same = JSON.stringify(status) === JSON.stringify(node.status?.agent)
    if (same && conditions === node.status?.conditions) return node
    return { ...node, status: { ...node.status, conditions, agent: same ? node.status!.agent! : status } }
  }

  #closed(session: DiscoverySession, node: string, reason: CodedError): void {
    this.#strangers.delete(session)
    if (this.#stopped || this.#sessions.get(node) !== session) return
    this.#sessions.delete(node)
    this.#components.log.warn('agent gone', { node, code: reason.code, reason: reason.message })
    this.#saveNode(node, () => this.#markGone(node))
  }

  /** After a start: whoever was there before and did not come back. */
  #dropMissing(): void {
    for (const { metadata } of this.#components.cluster.list(NODES)) {
      const { name } = metadata
      if (!this.#sessions.has(name)) this.#saveNode(name, () => this.#markGone(name))
    }
  }

  /** The node and its pods in one transaction, and at once: who dials them waits for nothing. */
  #markGone(node: string): Promise<unknown>[] {
    const { cluster, inventory } = this.#components
    const gone = { type: 'Ready', status: 'False', reason: 'AgentGone', message: 'the agent is not connected' } as const
    const updated = cluster.update(NODES, node, (current) => {
      if (!current.status?.agent) return current // never joined
      const conditions = setCondition(current.status.conditions ?? [], gone, cluster.clock)
      return conditions === current.status.conditions
        ? current
        : { ...current, status: { ...current.status, conditions } }
    })
    const pods = [...inventory.podsOn(node)].map((pod) =>
      cluster.update(PODS, objectKey(pod.metadata), (current) => {
        // Its agent may have come back, and the pod moved, by the time this is carried out.
        return current.spec?.nodeName === node && !this.#sessions.has(node)
          ? withoutAgent(current, 'AgentGone', cluster.clock)
          : current
      }),
    )
    return [updated, ...pods]
  }

  #report(session: DiscoverySession, node: string, { workloads = [], events = [], loads = [] }: Report): void {
    for (const workload of workloads) {
      this.#writes.put(`pod ${workload.uid}`, () => this.#writeWorkload(session, node, workload))
    }
    for (const event of events) this.#reportEvent(node, event)
    for (const progress of loads) {
      const { onLoadProgress } = this.#components.handlers
      this.#writes.put(`load ${progress.namespace}/${progress.name}`, () => onLoadProgress(node, progress))
    }
  }

  async #writeWorkload(session: DiscoverySession, node: string, report: WorkloadReport): Promise<void> {
    const { cluster } = this.#components
    const key = podKeyOf(report.uid)
    // Of an agent that has gone meanwhile nobody knows; one that is back has told again.
    if (key === undefined || this.#sessions.get(node) !== session) return
    const host = session.hello?.hbone.host ?? ''
    await cluster.update(PODS, key, (pod) =>
      // A late report of a pod that is elsewhere now says nothing about it.
      pod.spec?.nodeName === node ? withReport(pod, report, host, cluster.clock) : pod,
    )
  }

  #reportEvent(node: string, { uid, severity, reason, message }: EventReport): void {
    const { cluster, events } = this.#components
    const key = uid === undefined ? undefined : podKeyOf(uid)
    const object = key === undefined ? cluster.get(NODES, node) : cluster.get(PODS, key)
    if (!object) return
    events.record(object, { component: 'node-agent', host: node }, { type: severity, reason, message })
  }

  /** In one transaction with what its agent tells of its pods, and before that: "node" sorts before "pod". */
  #saveNode(node: string, write: () => readonly Promise<unknown>[]): void {
    this.#writes.put(`node ${node}`, () => Promise.all(write()))
  }
}

/** What the node's status says about its agent. */
function agentStatus({ type: _, node: __, startedAtMs, ...agent }: Hello) {
  return { ...agent, startedAt: timestamp(startedAtMs) }
}

/** `<cluster>//Pod/<namespace>/<name>` → `namespace/name` */
function podKeyOf(uid: string): string | undefined {
  return /\/\/Pod\/([^/]+\/[^/]+)$/.exec(uid)?.[1]
}

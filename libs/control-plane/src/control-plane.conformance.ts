import { isConditionTrue, type Pod, type Resource } from '@ambient-lab/api'
import { CertificateAuthority } from '@ambient-lab/pki'
import { type CodedError, SeededRandom, VirtualClock } from '@ambient-lab/std'
import {
  ASSIGNMENT_TYPE,
  type Assignment,
  type ConnectionView,
  createMemoryLinkPair,
  type Delta,
  DiscoveryClient,
  type DiscoveryClientHandlers,
  type MemoryLinkPair,
  type ReplayAnswer,
  type ReplayQuery,
  type RequestView,
  type ResourceTypes,
  type ReviewAnswer,
  type ReviewQuery,
  type TypeUrl,
  type WorkloadReport,
} from '@ambient-lab/xds'
import { expect } from 'vitest'
import { ControlPlane, type ControlPlaneInit } from './control-plane.ts'
import { MemoryStore } from './store/memory-store.ts'
import type { Store } from './store/store.ts'
import { type KnownType, NODES, PODS, type StoredKinds } from './stored-kinds.ts'

export const VERSION = '0.1.0'

/** One for each history, so that a restarted control plane has that of the first. */
const authorities = new WeakMap<VirtualClock, CertificateAuthority>()

/** A control plane without sockets, and agents that do what they are told. */
export class ControlPlaneBench implements AsyncDisposable {
  readonly clock: VirtualClock
  readonly store: Store
  readonly controlPlane: ControlPlane
  readonly agents = new Map<string, BenchAgent>()
  readonly warnings: string[] = []

  private constructor(clock: VirtualClock, store: Store, init: Partial<ControlPlaneInit>) {
    this.clock = clock
    this.store = store
    const authority = authorities.get(clock) ?? CertificateAuthority.create({ clock })
    authorities.set(clock, authority)
    this.controlPlane = new ControlPlane(
      {
        ...{ clock, store, authority, random: new SeededRandom(7) },
        log: { info: () => {}, warn: (message, fields) => this.warnings.push(`${message} ${JSON.stringify(fields)}`) },
      },
      { version: VERSION, apiUrl: () => 'https://127.0.0.1:1', ...init },
    )
  }

  static async start(
    options: { clock?: VirtualClock; store?: Store; init?: Partial<ControlPlaneInit> } = {},
  ): Promise<ControlPlaneBench> {
    const { clock = new VirtualClock(), store = new MemoryStore(), init = {} } = options
    const bench = new ControlPlaneBench(clock, store, init)
    const started = bench.controlPlane.start()
    await bench.settle()
    await started
    return bench
  }

  /** Lets everything that is under way come to its end, a fifth of a second. */
  async settle(durationMs = 200): Promise<void> {
    for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs += 10) await this.clock.advance(10)
  }

  async create<T extends KnownType>(type: T, object: StoredKinds[T]): Promise<void> {
    await this.controlPlane.cluster.create(type, object)
    await this.settle()
  }

  /** A node, and its agent that joins and runs every pod it is given. */
  async join(name: string, handlers: Partial<BenchAgentInit> = {}): Promise<BenchAgent> {
    await this.controlPlane.cluster.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} })
    const agent = new BenchAgent(name, this, handlers)
    this.agents.set(name, agent)
    await this.settle()
    return agent
  }

  get<T extends KnownType>(type: T, key: string): StoredKinds[T] {
    const object = this.controlPlane.cluster.get(type, key)
    expect(object, `${type} ${key}`).toBeDefined()
    return object!
  }

  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    return this.controlPlane.cluster.list(type, namespace)
  }

  pods(label: string, namespace = 'default'): readonly Pod[] {
    return this.list(PODS, namespace).filter(({ metadata }) => metadata.labels?.app === label)
  }

  readyPods(label: string): readonly Pod[] {
    return this.pods(label).filter((pod) => isConditionTrue(pod, 'Ready') && !pod.metadata.deletionTimestamp)
  }

  resource<T extends TypeUrl>(typeUrl: T, name: string): ResourceTypes[T] | undefined {
    return this.controlPlane.resources.get(typeUrl, name)?.resource as ResourceTypes[T] | undefined
  }

  names(typeUrl: TypeUrl): string[] {
    return [...this.controlPlane.resources.names(typeUrl)].sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.agents.values()) await agent.client[Symbol.asyncDispose]()
    await this.controlPlane[Symbol.asyncDispose]()
  }
}

export interface BenchAgentInit {
  /** What it reports of a pod; undefined: nothing. */
  readonly reportOf: (assignment: Assignment) => WorkloadReport | undefined
  readonly version: string
  readonly pid: number
  /** As its certificate says, if it lies in its hello. */
  readonly certificateName: string
}

/** Runs nothing, and says that it does. */
export class BenchAgent {
  readonly client: DiscoveryClient
  readonly deltas: Delta[] = []
  readonly held = new Map<TypeUrl, Map<string, unknown>>()
  readonly refusals: CodedError[] = []
  readonly links: MemoryLinkPair[] = []
  /** The control plane that answers its connects; undefined: none does. */
  target: ControlPlane | undefined
  readonly reviews: ReviewQuery[] = []
  /** What its ztunnel knows. */
  connections: readonly ConnectionView[] = []
  /** What its L7 proxies remember. */
  requests: readonly RequestView[] = []
  review: (query: ReviewQuery) => ReviewAnswer = () => ({ checkpoints: [] })
  readonly replays: ReplayQuery[] = []
  replay: (query: ReplayQuery) => ReplayAnswer = () => ({ decisions: 0, flips: [], refused: [] })

  constructor(name: string, bench: ControlPlaneBench, init: Partial<BenchAgentInit>) {
    const { reportOf = runningReport, version = VERSION, pid = 1, certificateName = name } = init
    this.target = bench.controlPlane
    const handlers: DiscoveryClientHandlers = {
      hello: () => ({
        ...{ node: name, version, pid, startedAtMs: 0, machine: 'here' },
        ...{ hbone: { host: '127.0.0.1', port: 15008 }, underlay: { host: '127.0.0.1', port: 15001 } },
        ports: { admin: 15000, metrics: 15020, ready: 15021 },
      }),
      apply: (typeUrl, upserts, removed) => {
        this.deltas.push({ type: 'delta', typeUrl, nonce: '', systemVersion: '', upserts, removed })
        const held = this.held.get(typeUrl) ?? new Map<string, unknown>()
        this.held.set(typeUrl, held)
        for (const { name: key, resource } of upserts) held.set(key, resource)
        for (const key of removed) held.delete(key)
        if (typeUrl === ASSIGNMENT_TYPE)
          this.#run(
            upserts.map(({ resource }) => resource as Assignment),
            reportOf,
          )
        return []
      },
      calls: {
        traffic: async () => ({ atMs: 0, connections: this.connections, edges: [], lost: 2 }),
        log: async ({ uid }) => ({ lines: [`log of ${uid}`] }),
        review: async (query) => {
          this.reviews.push(query)
          return this.review(query)
        },
        requests: async ({ id }) => ({
          requests: this.requests.filter((request) => id === undefined || request.id === id),
        }),
        replay: async (query) => {
          this.replays.push(query)
          return this.replay(query)
        },
      },
      onRefused: (reason) => this.refusals.push(reason),
    }
    this.client = new DiscoveryClient({
      ...{ clock: bench.clock, random: new SeededRandom(3), handlers },
      connect: async () => {
        if (!this.target) throw new Error('nobody listens')
        const pair = createMemoryLinkPair(bench.clock, { latencyMs: 1 })
        this.links.push(pair)
        this.target.acceptAgent(pair.controlPlane, certificateName)
        return pair.agent
      },
    })
    this.client.start()
  }

  /** As if the process had been killed. */
  kill(): void {
    this.target = undefined
    this.links.at(-1)?.agent.cut()
  }

  report(workload: WorkloadReport): void {
    this.client.report({ workloads: [workload] })
  }

  #run(assignments: readonly Assignment[], reportOf: BenchAgentInit['reportOf']): void {
    this.client.report({ workloads: assignments.flatMap((assignment) => reportOf(assignment) ?? []) })
  }
}

export function runningReport(assignment: Assignment): WorkloadReport {
  return {
    ...{ uid: assignment.uid, phase: 'Running', ready: true, reason: '', message: '', restarts: 0, startedAtMs: 1 },
    captured: assignment.captured,
    capture: { host: '127.0.0.1', port: 20_000 },
    ports: {},
  }
}

export function deployment(
  name: string,
  replicas: number,
  fields: Record<string, unknown> = {},
): StoredKinds['apps/deployments'] {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name, image: 'app:v1', ports: [{ containerPort: 8080, name: 'http' }] }] },
      },
      ...fields,
    },
  }
}

export function service(name: string, spec: Record<string, unknown> = {}): StoredKinds['/services'] {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  }
}

export function object(kind: string, name: string, fields: Partial<Resource> = {}): Resource {
  return { apiVersion: 'v1', kind, metadata: { name, namespace: 'default' }, ...fields }
}

import { isConditionTrue, objectKey, type Pod, type Resource } from '@ambient-lab/api'
import { ControlPlane, type KnownType, MemoryStore, NODES, PODS, type StoredKinds } from '@ambient-lab/control-plane'
import { CertificateAuthority } from '@ambient-lab/pki'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import {
  ASSIGNMENT_TYPE,
  type Assignment,
  createMemoryLinkPair,
  DiscoveryClient,
  type WorkloadReport,
} from '@ambient-lab/xds'

const VERSION = '0.1.0'
const NODE = 'node-1'
const STEP_MS = 10
const SETTLE_MS = 400
/** Real turns of the event loop that are granted to what no virtual clock moves. */
const TURNS_MAX = 50

/** A control plane without sockets, and one node that says of every pod that it runs. No byte of traffic moves. */
export class InProcessLab implements AsyncDisposable {
  readonly #clock = new VirtualClock()
  readonly #controlPlane = new ControlPlane(
    {
      ...{ clock: this.#clock, store: new MemoryStore(), random: new SeededRandom(7) },
      authority: CertificateAuthority.create({ clock: this.#clock }),
    },
    { version: VERSION, apiUrl: () => 'https://127.0.0.1:1' },
  )
  readonly #client = this.#node()

  static async start(): Promise<InProcessLab> {
    const lab = new InProcessLab()
    const started = lab.#controlPlane.start()
    await lab.settle()
    await started
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE }, spec: {} }
    await lab.#controlPlane.cluster.create(NODES, node)
    lab.#client.start()
    await lab.settle()
    return lab
  }

  /** All at once, as `kubectl apply -f`; what is there already gets the new spec. */
  async apply(objects: readonly (readonly [KnownType, Resource])[]): Promise<void> {
    const { cluster } = this.#controlPlane
    const writes = objects.map(async ([type, object]) => {
      const key = objectKey(object.metadata)
      if (!cluster.get(type, key)) return cluster.create(type, object as never)
      return cluster.update(type, key, (current) => ({ ...current, spec: object.spec }) as never)
    })
    await this.settle()
    await Promise.all(writes)
    await this.settle()
  }

  async remove(type: KnownType, key: string): Promise<void> {
    const removed = this.#controlPlane.cluster.remove(type, key)
    await this.settle()
    await removed
  }

  get<T extends KnownType>(type: T, key: string): StoredKinds[T] | undefined {
    return this.#controlPlane.cluster.get(type, key)
  }

  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    return this.#controlPlane.cluster.list(type, namespace)
  }

  /** Until nothing is under way and every pod that has a place is ready. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      for (let elapsedMs = 0; elapsedMs < SETTLE_MS; elapsedMs += STEP_MS) await this.#clock.advance(STEP_MS)
      const unready = this.list(PODS).some((pod: Pod) => pod.status?.podIP && !isConditionTrue(pod, 'Ready'))
      if (this.#controlPlane.idle && !unready) return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
    await this.#controlPlane[Symbol.asyncDispose]()
  }

  #node(): DiscoveryClient {
    const client: DiscoveryClient = new DiscoveryClient({
      ...{ clock: this.#clock, random: new SeededRandom(3) },
      handlers: {
        hello: () => ({
          ...{ node: NODE, version: VERSION, pid: 1, startedAtMs: 0, machine: 'here' },
          ...{ hbone: { host: '127.0.0.1', port: 15008 }, underlay: { host: '127.0.0.1', port: 15001 } },
          ports: { admin: 15000, metrics: 15020, ready: 15021 },
        }),
        apply: (typeUrl, upserts) => {
          if (typeUrl === ASSIGNMENT_TYPE) {
            client.report({ workloads: upserts.map(({ resource }) => runningReport(resource as Assignment)) })
          }
          return []
        },
        calls: {
          traffic: async () => ({ atMs: 0, connections: [], edges: [], lost: 0 }),
          log: async () => ({ lines: [] }),
          review: async () => ({ checkpoints: [] }),
          replay: async () => ({ decisions: 0, flips: [], refused: [] }),
          requests: async () => ({ requests: [] }),
        },
        onRefused: () => {},
      },
      connect: async () => {
        const pair = createMemoryLinkPair(this.#clock, { latencyMs: 1 })
        this.#controlPlane.acceptAgent(pair.controlPlane, NODE)
        return pair.agent
      },
    })
    return client
  }
}

function runningReport({ uid, captured }: Assignment): WorkloadReport {
  return {
    ...{ uid, phase: 'Running', ready: true, reason: '', message: '', restarts: 0, startedAtMs: 1 },
    captured,
    capture: { host: '127.0.0.1', port: 20_000 },
    ports: {},
  }
}

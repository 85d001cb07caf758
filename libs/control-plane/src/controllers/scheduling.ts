import { type Node, objectKey, type Pod, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { EventRecorder } from '../events.ts'
import { isAvailable, isLive, type NodeInventory, PODS_PER_NODE_MAX } from '../nodes.ts'
import { choosePlacement } from '../scheduler.ts'
import { NODES, PODS } from '../stored-kinds.ts'
import type { Change, Controller } from './controller.ts'

const SOURCE = { component: 'default-scheduler' }

/** Gives each pod a node and an address in one write, and says why where it cannot. */
export class SchedulingController implements Controller {
  readonly name = 'scheduler'
  readonly watches = {
    [PODS]: ({ object, operation }: Change) => {
      if (operation === 'deleted') return this.#waiting // there is room again
      return needsPlace(object as Pod) ? [objectKey(object.metadata)] : []
    },
    // Whatever changed of a node: those who found no place may find one now.
    [NODES]: () => this.#waiting,
  }
  readonly #cluster: Cluster
  readonly #inventory: NodeInventory
  readonly #events: EventRecorder
  readonly #waiting = new Set<string>()

  constructor(components: { cluster: Cluster; inventory: NodeInventory; events: EventRecorder }) {
    this.#cluster = components.cluster
    this.#inventory = components.inventory
    this.#events = components.events
  }

  /** Pods are placed one after the other, each seeing the ones before; the writes then go out together. */
  async reconcile(keys: readonly string[]): Promise<void> {
    const nodes = this.#cluster.list(NODES)
    const writes = keys.toSorted().flatMap((key) => {
      const pod = this.#cluster.get(PODS, key)
      if (pod && needsPlace(pod)) return [this.#place(key, pod, nodes)]
      this.#waiting.delete(key)
      return []
    })
    await Promise.all(writes)
  }

  async #place(key: string, pod: Pod, nodes: readonly Node[]): Promise<void> {
    const nowMs = this.#cluster.clock.now()
    const candidates = nodes.map((node) => ({
      name: node.metadata.name,
      labels: { 'kubernetes.io/hostname': node.metadata.name, ...node.metadata.labels },
      available: isAvailable(node, nowMs),
      unschedulable: node.spec?.unschedulable ?? false,
      pods: this.#inventory.podCount(node.metadata.name),
      podsMax: PODS_PER_NODE_MAX,
      siblings: this.#inventory.siblings(node.metadata.name, pod),
    }))
    const { nodeName, nodeSelector = {} } = pod.spec ?? {}
    const decision = choosePlacement({ ...(nodeName && { nodeName }), nodeSelector }, candidates)
    if ('message' in decision) return this.#refuse(key, pod, decision.message)
    const node = nodes.find(({ metadata }) => metadata.name === decision.node)!
    const address = this.#inventory.place(pod, node)
    // The node controller has yet to give it a range; its write brings the pod back here.
    if (address === undefined) return this.#refuse(key, pod, `node ${decision.node} has no free pod address`)
    this.#waiting.delete(key)
    await this.#bind(key, pod, node, address)
  }

  async #bind(key: string, pod: Pod, node: Node, address: string): Promise<void> {
    const { name } = node.metadata
    try {
      await this.#cluster.update(PODS, key, (current) => bound(current, node, address, this.#cluster), pod.metadata.uid)
    } catch (error) {
      this.#inventory.unplace(pod, name, address)
      throw error
    }
    const message = `Successfully assigned ${key} to ${name}`
    this.#events.record(pod, SOURCE, { type: 'Normal', reason: 'Scheduled', message })
  }

  async #refuse(key: string, pod: Pod, message: string): Promise<void> {
    this.#waiting.add(key)
    this.#events.record(pod, SOURCE, { type: 'Warning', reason: 'FailedScheduling', message })
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const
    await this.#cluster.updateStatus(PODS, key, ({ status }) => ({
      ...status,
      phase: status?.phase ?? 'Pending',
      conditions: setCondition(status?.conditions ?? [], condition, this.#cluster.clock),
    }))
  }
}

function needsPlace(pod: Pod): boolean {
  return isLive(pod) && !pod.metadata.deletionTimestamp && !(pod.spec?.nodeName && pod.status?.podIP)
}

function bound(pod: Pod, node: Node, address: string, { clock }: Cluster): Pod {
  const { message: _, reason: __, ...status } = pod.status ?? {}
  const kept = (status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled')
  const host = node.status?.agent?.hbone.host
  return {
    ...pod,
    spec: { ...pod.spec!, nodeName: node.metadata.name },
    status: {
      ...status,
      phase: 'Pending',
      podIP: address,
      podIPs: [{ ip: address }],
      ...(host && { hostIP: host }),
      conditions: setCondition(kept, { type: 'PodScheduled', status: 'True' }, clock),
    },
  }
}

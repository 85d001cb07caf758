import { controllerOf, getCondition, isConditionTrue, type Node, objectKey, type Pod } from '@ambient-lab/api'
import type { Cluster } from './cluster.ts'
import type { StoreEvent } from './store/store.ts'
import { NODES, PODS } from './stored-kinds.ts'

/** A /24 less its network address, the node's own (.1) and the broadcast address. */
export const PODS_PER_NODE_MAX = 253
/** How long a node that has not joined yet counts as being on its way. */
export const NODE_EXPECTED_MS = 30_000

const FIRST_HOST = 2
const LAST_HOST = 254
const NODE_INDEX_MAX = 255

/**
 * Which pods are on which node, and which addresses they have; follows the store. Addresses are taken next-fit, so that
 * one that was just freed is not given to another pod while somebody still dials the old one.
 */
export class NodeInventory implements Disposable {
  readonly #cluster: Cluster
  readonly #podsByNode = new Map<string, Map<string, Pod>>()
  /** Address → key of the pod that has it. */
  readonly #addresses = new Map<string, string>()
  readonly #nextHost = new Map<string, number>()
  readonly #stop: () => void

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    for (const pod of cluster.list(PODS)) {
      this.#add(pod)
      if (pod.status?.podIP) this.#passOver(pod.status.podIP)
    }
    this.#stop = cluster.watch((event) => this.#changed(event))
  }

  podsOn(node: string): Iterable<Pod> {
    return this.#podsByNode.get(node)?.values() ?? []
  }

  podCount(node: string): number {
    return this.#podsByNode.get(node)?.size ?? 0
  }

  /** Pods on the node that have the same controller as `pod`. */
  siblings(node: string, pod: Pod): number {
    const owner = controllerOf(pod)?.uid
    if (!owner) return 0
    let count = 0
    for (const other of this.podsOn(node)) if (controllerOf(other)?.uid === owner) count += 1
    return count
  }

  /** Whether a pod with that service account is placed there: only then may the node have its identity. */
  isPlaced(node: string, namespace: string, serviceAccount: string): boolean {
    for (const { metadata, spec } of this.podsOn(node)) {
      if (metadata.namespace === namespace && (spec?.serviceAccountName ?? 'default') === serviceAccount) return true
    }
    return false
  }

  /**
   * Reserves a free address for a pod and books the pod on the node at once, before the store knows.
   * @returns undefined when the range is used up
   */
  place(pod: Pod, node: Node): string | undefined {
    const key = objectKey(pod.metadata)
    const address = this.#freeAddress(node.spec?.podCIDR ?? '')
    if (address === undefined) return undefined
    this.#addresses.set(address, key)
    this.#podsOf(node.metadata.name).set(key, pod)
    return address
  }

  /** Takes back what `place` booked, when the store refused it. */
  unplace(pod: Pod, node: string, address: string): void {
    this.#addresses.delete(address)
    this.#podsByNode.get(node)?.delete(objectKey(pod.metadata))
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #freeAddress(podCidr: string): string | undefined {
    const prefix = podCidr.split('.').slice(0, 3).join('.')
    if (!prefix) return undefined
    const span = LAST_HOST - FIRST_HOST + 1
    const start = this.#nextHost.get(prefix) ?? FIRST_HOST
    for (let offset = 0; offset < span; offset += 1) {
      const host = FIRST_HOST + ((start - FIRST_HOST + offset) % span)
      const address = `${prefix}.${host}`
      if (this.#addresses.has(address)) continue
      this.#nextHost.set(prefix, hostAfter(host))
      return address
    }
    return undefined
  }

  /** Where the search went on before this control plane is not stored; behind the highest in use is the best guess. */
  #passOver(address: string): void {
    const dot = address.lastIndexOf('.')
    const [prefix, host] = [address.slice(0, dot), Number(address.slice(dot + 1))]
    if (host >= (this.#nextHost.get(prefix) ?? FIRST_HOST)) this.#nextHost.set(prefix, hostAfter(host))
  }

  #changed({ type, operation, object, previous }: StoreEvent): void {
    if (type !== PODS) return
    if (previous) this.#remove(previous as Pod)
    if (operation !== 'deleted') this.#add(object as Pod)
  }

  #add(pod: Pod): void {
    const key = objectKey(pod.metadata)
    const node = pod.spec?.nodeName
    const address = pod.status?.podIP
    if (address) this.#addresses.set(address, key)
    if (node && isLive(pod)) this.#podsOf(node).set(key, pod)
  }

  #remove(pod: Pod): void {
    const key = objectKey(pod.metadata)
    const address = pod.status?.podIP
    if (address && this.#addresses.get(address) === key) this.#addresses.delete(address)
    const node = pod.spec?.nodeName
    if (node) this.#podsByNode.get(node)?.delete(key)
  }

  #podsOf(node: string): Map<string, Pod> {
    let pods = this.#podsByNode.get(node)
    if (!pods) {
      pods = new Map()
      this.#podsByNode.set(node, pods)
    }
    return pods
  }

  /** `10.244.<n>.0/24` with the lowest n from 1 that no node has. */
  freePodCidr(taken: ReadonlySet<string> = new Set()): string | undefined {
    const used = new Set(this.#cluster.list(NODES).map(({ spec }) => spec?.podCIDR))
    for (let index = 1; index <= NODE_INDEX_MAX; index += 1) {
      const cidr = `10.244.${index}.0/24`
      if (!used.has(cidr) && !taken.has(cidr)) return cidr
    }
    return undefined
  }
}

function hostAfter(host: number): number {
  return host === LAST_HOST ? FIRST_HOST : host + 1
}

/** Not yet finished for good. */
export function isLive({ status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed'
}

/** Ready, or created so lately that its agent is still on its way. */
export function isAvailable(node: Node, nowMs: number): boolean {
  if (isConditionTrue(node, 'Ready')) return true
  const ready = getCondition(node, 'Ready')
  if (ready && ready.reason !== 'NeverJoined') return false
  return nowMs - Date.parse(node.metadata.creationTimestamp ?? '') < NODE_EXPECTED_MS
}

import { objectKey } from '@ambient-lab/api'
import { type Cluster, isStoreFailure } from '../cluster.ts'
import { DEREGISTER_MS, deservesGrace } from '../pod-termination.ts'
import { NODES, PODS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach } from './controller.ts'

/** How long a removal waits that the store refused: by then there may be room again. */
const REMOVAL_RETRY_MS = 1000

/** Removes pods: those that are terminating after their grace, and those whose node was deleted at once. */
export class PodLifecycleController implements Controller, Disposable {
  readonly name = 'pod-lifecycle'
  readonly watches = {
    [PODS]: ({ object, operation }: Change) =>
      object.metadata.deletionTimestamp && operation !== 'deleted' ? [objectKey(object.metadata)] : [],
    [NODES]: ({ object, operation }: Change) => (operation === 'deleted' ? this.#podsOn(object.metadata.name) : []),
  }
  readonly #cluster: Cluster
  /** Keys of pods whose removal is set, with the way to call it off. */
  readonly #timers = new Map<string, () => void>()
  #disposed = false

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    for (const cancel of this.#timers.values()) cancel()
  }

  #podsOn(node: string): string[] {
    const pods = this.#cluster.list(PODS).filter(({ spec }) => spec?.nodeName === node)
    return pods.map(({ metadata }) => objectKey(metadata))
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#cluster.get(PODS, key)
    if (!pod || this.#timers.has(key)) return
    const { nodeName } = pod.spec ?? {}
    const orphaned = nodeName !== undefined && !this.#cluster.get(NODES, nodeName)
    if (!pod.metadata.deletionTimestamp && !orphaned) return
    const { uid } = pod.metadata
    if (orphaned || !deservesGrace(this.#cluster, pod)) return this.#cluster.remove(PODS, key, uid)
    this.#removeAfter(DEREGISTER_MS, key, uid)
  }

  #removeAfter(delayMs: number, key: string, uid: string | undefined): void {
    const cancel = this.#cluster.clock.schedule(delayMs, () => {
      this.#timers.delete(key)
      this.#cluster.remove(PODS, key, uid).catch((error: unknown) => {
        if (!isStoreFailure(error)) throw error
        // After the end it is the next start that sees the mark on the pod.
        if (!this.#disposed) this.#removeAfter(REMOVAL_RETRY_MS, key, uid)
      })
    })
    this.#timers.set(key, cancel)
  }
}

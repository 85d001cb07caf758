import { objectKey } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { DEREGISTER_MS, deservesGrace } from '../pod-termination.ts'
import { NODES, PODS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach } from './controller.ts'

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

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  [Symbol.dispose](): void {
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
    const cancel = this.#cluster.clock.schedule(DEREGISTER_MS, () => {
      this.#timers.delete(key)
      // A store that refuses is tried again at the next start: the mark on the pod stays.
      this.#cluster.remove(PODS, key, uid).catch(() => {})
    })
    this.#timers.set(key, cancel)
  }
}

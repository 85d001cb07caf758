import { objectKey, type Resource } from '@ambient-lab/api'
import { Scope } from '@ambient-lab/std'
import type { Cluster } from '../cluster.ts'
import type { StoreEvent, StoreType } from '../store/store.ts'
import type { KnownType } from '../stored-kinds.ts'
import { WorkQueue, type WorkQueueComponents } from '../work-queue.ts'

/**
 * Brings one kind of thing into the state that its spec asks for. Level-triggered: a key says what to look at, never
 * what happened, and looking twice does no harm.
 */
export interface Controller {
  readonly name: string
  /** For each type of interest, the keys that a change of one of its objects concerns. */
  readonly watches: { readonly [T in StoreType]?: (change: Change) => Iterable<string> }
  /** Called with distinct keys, never again before its promise has settled. A failure brings the same keys again. */
  reconcile(keys: readonly string[]): Promise<void>
}

/** A store event; at the start each object that is there counts as added. */
export type Change = Pick<StoreEvent, 'type' | 'operation' | 'object' | 'previous'>

/** The key of the changed object itself. */
export function itself({ object }: Change): string[] {
  return [objectKey(object.metadata)]
}

/** The namespaced key of the object's controller, if its kind is `kind`. */
export function ownedBy(kind: string): (change: Change) => string[] {
  return ({ object }) => {
    const owner = object.metadata.ownerReferences?.find((reference) => reference.controller && reference.kind === kind)
    return owner ? [`${object.metadata.namespace}/${owner.name}`] : []
  }
}

/** Runs `reconcile` on each key, all at once; the store does their writes together. */
export async function forEach(keys: readonly string[], reconcile: (key: string) => Promise<unknown>): Promise<void> {
  await Promise.all(keys.map(reconcile))
}

/** Feeds controllers with the changes of a cluster, each through a queue of its own. */
export class ControllerRunner implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #controllers: readonly Controller[]
  readonly #queues: ReadonlyMap<Controller, WorkQueue>
  readonly #scope = new Scope('controllers')

  constructor(cluster: Cluster, controllers: readonly Controller[], components: WorkQueueComponents) {
    this.#cluster = cluster
    this.#controllers = controllers
    this.#queues = new Map(
      controllers.map((controller) => {
        const work = (keys: readonly string[]) => controller.reconcile(keys)
        return [controller, this.#scope.own(new WorkQueue(controller.name, work, components))]
      }),
    )
  }

  /** Looks at everything that is there, then follows the changes. */
  start(): void {
    for (const controller of this.#controllers) {
      for (const type of Object.keys(controller.watches) as StoreType[]) {
        for (const object of this.#cluster.list(type as KnownType) as readonly Resource[]) {
          this.#feed(controller, { type, operation: 'added', object })
        }
      }
    }
    this.#scope.defer(
      this.#cluster.watch((change) => {
        for (const controller of this.#controllers) this.#feed(controller, change)
      }),
    )
  }

  get idle(): boolean {
    return [...this.#queues.values()].every((queue) => queue.idle)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.dispose()
  }

  #feed(controller: Controller, change: Change): void {
    const keys = controller.watches[change.type]?.(change)
    if (!keys) return
    const queue = this.#queues.get(controller)!
    for (const key of keys) queue.add(key)
  }
}

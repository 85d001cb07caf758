import type { Workload } from '@ambient-lab/xds'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'

/**
 * The proxy's own pod, as the mesh knows it, or knew it last: a pod that terminates is gone for everybody else while
 * requests that it has taken are still to be answered.
 */
export class OwnWorkload {
  readonly uid: string
  readonly #state: ProxyStateHolder
  #last: Workload | undefined

  constructor(state: ProxyStateHolder, uid: string) {
    this.#state = state
    this.uid = uid
  }

  /** undefined until the control plane first speaks of it. */
  get current(): Workload | undefined {
    return this.#last
  }

  /** It was there, and is not any more: the pod is terminating. */
  get isRetired(): boolean {
    return this.#last !== undefined && this.#state.current.workload(this.uid) === undefined
  }

  /** After a push. */
  follow(): void {
    this.#last = this.#state.current.workload(this.uid) ?? this.#last
  }
}

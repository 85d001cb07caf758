import type { ConnectionFacts } from '@ambient-lab/policy'
import { type Clock, Ring } from '@ambient-lab/std'
import { DECISIONS_KEPT } from '../limits.ts'

/** One question that was put to policy, with all that the answer depended on besides the policies. */
export interface Decision {
  readonly atMs: number
  /** uid of the workload that was to be reached. */
  readonly uid: string
  readonly facts: ConnectionFacts
}

/** The decisions of the last minutes, so that new policies can be tried on them before they are applied. */
export class DecisionLog {
  readonly #clock: Clock
  readonly #ring = new Ring<Decision>(DECISIONS_KEPT)

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  add(uid: string, facts: ConnectionFacts): void {
    this.#ring.push({ atMs: this.#clock.now(), uid, facts })
  }

  /** Those of the last `sinceMs`, oldest first. */
  since(sinceMs: number): Decision[] {
    const fromMs = this.#clock.now() - sinceMs
    return this.#ring.toArray().filter(({ atMs }) => atMs >= fromMs)
  }
}

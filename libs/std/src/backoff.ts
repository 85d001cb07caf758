import type { Random } from './random.ts'

export interface BackoffInit {
  /** First delay, before jitter. */
  readonly initialMs: number
  /** Ceiling, jitter included. */
  readonly maxMs: number
  /** @default 2 */
  readonly factor?: number
  /** Share of the delay by which it may differ either way. @default 0.2 */
  readonly jitter?: number
  readonly random: Random
}

/** Exponential delays with jitter. One instance per thing that is retried. */
export class Backoff {
  readonly #init: BackoffInit
  #attempt = 0

  constructor(init: BackoffInit) {
    this.#init = init
  }

  /** The delay before the next attempt; each call is one failure more. */
  nextMs(): number {
    const { initialMs, maxMs, factor = 2, jitter = 0.2, random } = this.#init
    const nominalMs = Math.min(maxMs, initialMs * factor ** this.#attempt)
    this.#attempt += 1
    return Math.min(maxMs, nominalMs * (1 + jitter * (2 * random.next() - 1)))
  }

  /** Failures since the last success. */
  get attempts(): number {
    return this.#attempt
  }

  reset(): void {
    this.#attempt = 0
  }
}

import { Backoff, type CancelTimer, type Clock, type Random } from '@ambient-lab/std'
import { RESTART_BACKOFF_INITIAL_MS, RESTART_BACKOFF_MAX_MS, RESTART_BACKOFF_RESET_MS } from '../limits.ts'

/** When something that keeps failing starts again: `CrashLoopBackOff`, with a lab's delays. */
export class RestartPolicy {
  readonly #clock: Clock
  readonly #backoff: Backoff
  #startedAtMs: number
  #cancel: CancelTimer | undefined

  constructor(components: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = components.clock
    this.#startedAtMs = components.clock.monotonic()
    this.#backoff = new Backoff({
      initialMs: RESTART_BACKOFF_INITIAL_MS,
      maxMs: RESTART_BACKOFF_MAX_MS,
      random: components.random,
    })
  }

  started(): void {
    this.#startedAtMs = this.#clock.monotonic()
  }

  /** Calls `restart` after the delay that this failure deserves, and returns that delay. */
  failed(restart: () => void): number {
    if (this.#clock.monotonic() - this.#startedAtMs >= RESTART_BACKOFF_RESET_MS) this.#backoff.reset()
    const delayMs = this.#backoff.nextMs()
    this.#cancel = this.#clock.schedule(delayMs, restart)
    return delayMs
  }

  cancel(): void {
    this.#cancel?.()
  }
}

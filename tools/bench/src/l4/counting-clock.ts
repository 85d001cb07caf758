import { type CancelTimer, SystemClock } from '@ambient-lab/std'

/** The system's clock, which also knows how many timers wait: those that keep no process alive Node does not list. */
export class CountingClock extends SystemClock {
  readonly #waiting = new Set<object>()

  get waiting(): number {
    return this.#waiting.size
  }

  override schedule(delayMs: number, callback: () => void, options: { background?: boolean } = {}): CancelTimer {
    const timer = {}
    this.#waiting.add(timer)
    const run = () => {
      this.#waiting.delete(timer)
      callback()
    }
    const cancel = super.schedule(delayMs, run, options)
    return () => {
      this.#waiting.delete(timer)
      cancel()
    }
  }
}

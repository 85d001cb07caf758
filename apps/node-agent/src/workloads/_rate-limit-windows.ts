import type { Clock } from '@ambient-lab/std'
import { UNITS, type Unit } from './_rate-limit-config.ts'

/** Keys that are counted at once for one unit of time; the oldest is forgotten for another. */
const COUNTED_MAX = 100_000

interface Window {
  startSeconds: number
  readonly counts: Map<string, number>
}

/**
 * Hits by key in fixed windows that begin at whole units of Unix time, as the reference service counts them in Redis;
 * here in memory. All keys of a unit share its window, so that what is over goes at once.
 */
export class RateLimitWindows {
  readonly #clock: Clock
  readonly #windows = new Map<Unit, Window>()

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** @returns what the key has in its window now, these hits among them */
  add(key: string, unit: Unit, hits: number): number {
    const { counts } = this.#current(unit)
    const count = (counts.get(key) ?? 0) + hits
    if (count > 0) {
      if (counts.size >= COUNTED_MAX && !counts.has(key)) counts.delete(counts.keys().next().value!)
      counts.set(key, count)
    }
    return count
  }

  /** Whole seconds, of which a part of the first is gone. */
  secondsUntilReset(unit: Unit): number {
    const { seconds } = UNITS[unit]
    return seconds - (this.#nowSeconds() % seconds)
  }

  #current(unit: Unit): Window {
    const { seconds } = UNITS[unit]
    const now = this.#nowSeconds()
    const startSeconds = now - (now % seconds)
    const window = this.#windows.get(unit) ?? { startSeconds, counts: new Map() }
    this.#windows.set(unit, window)
    if (window.startSeconds !== startSeconds) {
      window.startSeconds = startSeconds
      window.counts.clear()
    }
    return window
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.now() / 1000)
  }
}

import type { CancelTimer, Clock } from './clock.ts'
import { assert } from './errors.ts'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly callback: () => void
  cancelled: boolean
}

/**
 * Time that moves only when told to. Timers that are due at the same instant run in the order they were set,
 * and promise jobs run to the end between two timers, so that one seed gives one history.
 */
export class VirtualClock implements Clock {
  readonly #startMs: number
  #elapsedMs = 0
  #skewMs = 0
  #order = 0
  #heap: Timer[] = []

  constructor(init: { /** @default 2026-01-01T00:00:00Z */ startMs?: number } = {}) {
    this.#startMs = init.startMs ?? Date.UTC(2026, 0, 1)
  }

  now(): number {
    return this.#startMs + this.#elapsedMs + this.#skewMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  /** Moves the wall clock and not the monotonic one, as a corrected or tampered clock does. */
  jump(deltaMs: number): void {
    this.#skewMs += deltaMs
  }

  schedule(delayMs: number, callback: () => void): CancelTimer {
    assert(delayMs >= 0, `delay ${delayMs} ms is not positive`)
    const timer = { dueMs: this.#elapsedMs + delayMs, order: this.#order++, callback, cancelled: false }
    this.#push(timer)
    return () => {
      timer.cancelled = true
    }
  }

  /** How many timers are still to come. */
  get pending(): number {
    return this.#heap.reduce((count, timer) => count + (timer.cancelled ? 0 : 1), 0)
  }

  /**
   * Runs everything that falls due in the next `durationMs`, promise jobs included.
   * Returns the number of timers that ran.
   */
  async advance(durationMs: number): Promise<number> {
    const untilMs = this.#elapsedMs + durationMs
    let ran = 0
    await drainPromiseJobs()
    for (let timer = this.#heap[0]; timer && timer.dueMs <= untilMs; timer = this.#heap[0]) {
      this.#pop()
      if (timer.cancelled) continue
      this.#elapsedMs = timer.dueMs
      timer.callback()
      ran += 1
      await drainPromiseJobs()
    }
    this.#elapsedMs = untilMs
    return ran
  }

  /** Advances until `condition` holds or `limitMs` of virtual time have passed; tells whether it held. */
  async advanceUntil(condition: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = this.#elapsedMs + limitMs
    await drainPromiseJobs()
    while (!condition()) {
      const next = this.#heap[0]
      if (!next || next.dueMs > untilMs) return false
      await this.advance(next.dueMs - this.#elapsedMs)
    }
    return true
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let index = heap.push(timer) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(timer, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (!before(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

/** One turn of the event loop runs every promise job that is queued, and those that they queue. */
function drainPromiseJobs(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

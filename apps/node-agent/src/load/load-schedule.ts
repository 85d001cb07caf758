import type { LoadRun } from '@ambient-lab/xds'

/**
 * When each request of an open loop is meant to leave: request `i` at `i / rate`, whatever became of those before it.
 * Times are milliseconds since the run's start. The first `warmupMs` are sent and not counted.
 */
export class LoadSchedule {
  readonly #periodMs: number
  readonly #endMs: number
  /** Index of the first request that counts. */
  readonly firstCounted: number
  /** How many requests the whole run intends, warm-up included; Infinity without an end. */
  readonly total: number

  constructor(run: Pick<LoadRun, 'ratePerSecond' | 'warmupMs' | 'durationMs'>) {
    this.#periodMs = 1000 / run.ratePerSecond
    this.#endMs = run.durationMs === undefined ? Number.POSITIVE_INFINITY : run.warmupMs + run.durationMs
    this.firstCounted = this.#before(run.warmupMs)
    this.total = this.#before(this.#endMs)
  }

  intendedMs(index: number): number {
    return index * this.#periodMs
  }

  /** How many requests should have left by `elapsedMs`. */
  due(elapsedMs: number): number {
    // One ten-thousandth of a period forgives the rounding of index × period.
    return Math.min(this.total, Math.floor(elapsedMs / this.#periodMs + 1e-4) + 1)
  }

  isOver(elapsedMs: number): boolean {
    return elapsedMs >= this.#endMs
  }

  get endMs(): number {
    return this.#endMs
  }

  /** How many requests are meant to leave strictly before `timeMs`. */
  #before(timeMs: number): number {
    return Number.isFinite(timeMs) ? Math.max(0, Math.ceil(timeMs / this.#periodMs - 1e-4)) : timeMs
  }
}

import { CLOSED_STREAMS_KEPT, RESET_STREAMS_KEPT } from './limits.ts'

/**
 * The streams of a connection that closed last: frames for them may have crossed our reset on their way, and are told
 * from frames for streams that never were.
 */
export class ClosedStreams {
  readonly #ids: number[] = []
  #next = 0
  /** Those that we reset, which are few: kept apart, so that the many others do not push them out. */
  readonly #resets: number[] = []
  #nextReset = 0

  add(id: number): void {
    this.#ids[this.#next] = id
    this.#next = (this.#next + 1) % CLOSED_STREAMS_KEPT
  }

  /** We reset it; that it closes as well is told by `add`. */
  addReset(id: number): void {
    this.#resets[this.#nextReset] = id
    this.#nextReset = (this.#nextReset + 1) % RESET_STREAMS_KEPT
  }

  has(id: number): boolean {
    return this.#ids.includes(id)
  }

  wasReset(id: number): boolean {
    return this.#resets.includes(id)
  }
}

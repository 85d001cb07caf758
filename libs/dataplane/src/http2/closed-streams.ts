import { CLOSED_STREAMS_KEPT } from './limits.ts'

/**
 * The streams of a connection that closed last: frames for them may have crossed our reset on their way, and are told
 * from frames for streams that never were.
 */
export class ClosedStreams {
  readonly #ids = new Uint32Array(CLOSED_STREAMS_KEPT)
  readonly #resets = new Uint8Array(CLOSED_STREAMS_KEPT)
  #next = 0

  /** @param isReset we reset it; that its stream closes as well is one more entry */
  add(id: number, isReset: boolean): void {
    this.#ids[this.#next] = id
    this.#resets[this.#next] = isReset ? 1 : 0
    this.#next = (this.#next + 1) % CLOSED_STREAMS_KEPT
  }

  has(id: number): boolean {
    return this.#ids.includes(id)
  }

  wasReset(id: number): boolean {
    return this.#ids.some((known, at) => known === id && this.#resets[at] === 1)
  }
}

import type { ByteWriter } from '../http1/index.ts'
import type { ByteStream } from '../stream/byte-stream.ts'

/** Copying this much costs less than handing the system one piece more. */
const COPIED_BYTES_MAX = 4 * 1024

/**
 * Joins the small pieces that are written one after the other, such as the head of a message and its short body, so that
 * they leave as one. Large pieces pass as they are; nothing is held beyond the running promise jobs.
 */
export class CoalescingWriter implements ByteWriter {
  readonly #stream: ByteStream
  #pending: Uint8Array | undefined
  #scheduled = false
  #hasRoom = true

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  write(chunk: Uint8Array): boolean {
    const pending = this.#pending
    if (chunk.length > COPIED_BYTES_MAX) {
      this.flush()
      this.#hasRoom = this.#stream.write(chunk)
    } else if (pending === undefined) {
      this.#pending = chunk
      this.#schedule()
    } else if (pending.length + chunk.length <= COPIED_BYTES_MAX) {
      const joined = Buffer.allocUnsafe(pending.length + chunk.length)
      joined.set(pending)
      joined.set(chunk, pending.length)
      this.#pending = joined
    } else {
      this.#hasRoom = this.#stream.write(pending)
      this.#pending = chunk
    }
    return this.#hasRoom
  }

  /** Hands on what is held; before whatever else is done to the stream. */
  flush(): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    this.#hasRoom = this.#stream.write(pending)
  }

  /** The stream has room again. */
  drained(): void {
    this.#hasRoom = true
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(this.#onJob)
  }

  readonly #onJob = (): void => {
    this.#scheduled = false
    this.flush()
  }
}

import { KiB } from '@ambient-lab/std'

/** Smaller chunks are gathered in blocks once a few are waiting, so that many tiny ones cost no more than their bytes. */
const SMALL_BYTES = KiB
const BLOCK_BYTES = 4 * KiB
const CHUNKS_BEFORE_GATHERING = 8

/** Bytes on their way, in order. Large chunks are kept as they are; nothing is copied before somebody takes it. */
export class ByteQueue {
  bytes = 0
  readonly #chunks: Uint8Array[] = []
  #head = 0
  /** How much of the first chunk was taken already. */
  #taken = 0
  /** The last chunk, when it is a block with room left. */
  #block: Uint8Array | undefined

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (chunk.length >= SMALL_BYTES || this.#chunks.length - this.#head < CHUNKS_BEFORE_GATHERING) {
      this.#chunks.push(chunk)
      this.#block = undefined
    } else {
      this.#gather(chunk)
    }
  }

  /** The first chunk, or what is left of it; undefined when the queue is empty. */
  shift(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#head]
    if (!chunk) return undefined
    const rest = this.#taken === 0 ? chunk : chunk.subarray(this.#taken)
    this.bytes -= rest.length
    this.#next()
    return rest
  }

  /** Copies the first `bytes` bytes, which must be there, to `target` at `offset`. Returns the offset behind them. */
  takeInto(target: Uint8Array, offset: number, bytes: number): number {
    const end = offset + bytes
    this.bytes -= bytes
    for (let at = offset; at < end; ) {
      const chunk = this.#chunks[this.#head]!
      const available = chunk.length - this.#taken
      if (available <= end - at) {
        target.set(this.#taken === 0 ? chunk : chunk.subarray(this.#taken), at)
        at += available
        this.#next()
      } else {
        target.set(chunk.subarray(this.#taken, this.#taken + end - at), at)
        this.#taken += end - at
        at = end
      }
    }
    return end
  }

  clear(): void {
    this.#chunks.length = 0
    this.#head = 0
    this.#taken = 0
    this.#block = undefined
    this.bytes = 0
  }

  #gather(chunk: Uint8Array): void {
    const last = this.#chunks.length - 1
    const used = this.#block ? this.#chunks[last]!.length : 0
    if (this.#block && used + chunk.length <= BLOCK_BYTES) {
      this.#block.set(chunk, used)
      this.#chunks[last] = this.#block.subarray(0, used + chunk.length)
      return
    }
    this.#block = new Uint8Array(BLOCK_BYTES)
    this.#block.set(chunk)
    this.#chunks.push(this.#block.subarray(0, chunk.length))
  }

  #next(): void {
    this.#taken = 0
    this.#head += 1
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0
      this.#head = 0
      this.#block = undefined
    } else if (this.#head > 64 && this.#head * 2 > this.#chunks.length) {
      this.#chunks.splice(0, this.#head)
      this.#head = 0
    }
  }
}

import { KiB } from '@ambient-lab/std'
import { BLOCK_BYTES } from './limits.ts'
import { acquireBlock, releaseBlock } from './spare-blocks.ts'

/** Smaller chunks are gathered in blocks once a few are waiting, so that many tiny ones cost no more than their bytes. */
const SMALL_BYTES = KiB
const GATHER_BYTES = 4 * KiB
/** Copies from here on go to blocks that are used again; smaller ones get a place of their own size. */
const POOLED_BYTES_MIN = 8 * KiB
const CHUNKS_BEFORE_GATHERING = 8

/** Bytes on their way, in order. Large chunks are kept as they are, or, when they are borrowed, copied to spare blocks. */
export class ByteQueue {
  bytes = 0
  readonly #chunks: Uint8Array[] = []
  /** By chunk, the spare block that it lies in. */
  readonly #owners: (Uint8Array | undefined)[] = []
  #head = 0
  /** How much of the first chunk was taken already. */
  #taken = 0
  /** The last chunk, when it is a small block with room left. */
  #block: Uint8Array | undefined
  /** The spare block that is being filled, and how far. */
  #spare: Uint8Array | undefined
  #spareBytes = 0
  /** One whose last chunk was handed out. */
  #handedOut: Uint8Array | undefined

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (chunk.length >= SMALL_BYTES || this.#chunks.length - this.#head < CHUNKS_BEFORE_GATHERING) {
      this.#append(chunk, undefined)
    } else {
      this.#gather(chunk)
    }
  }

  /** As `push`, of a chunk that its owner takes back when this returns. */
  pushCopy(chunk: Uint8Array): void {
    if (chunk.length < POOLED_BYTES_MIN || chunk.length > BLOCK_BYTES) return this.push(new Uint8Array(chunk))
    if (!this.#spare || this.#spareBytes + chunk.length > BLOCK_BYTES) {
      this.#spare = acquireBlock()
      this.#spareBytes = 0
    }
    const end = this.#spareBytes + chunk.length
    this.#spare.set(chunk, this.#spareBytes)
    this.#append(this.#spare.subarray(this.#spareBytes, end), this.#spare)
    this.#spareBytes = end
    this.bytes += chunk.length
  }

  /** The first chunk, or what is left of it; undefined when the queue is empty. Borrowed until `settle` or the next `shift`. */
  shift(): Uint8Array | undefined {
    this.settle()
    const chunk = this.#chunks[this.#head]
    if (!chunk) return undefined
    const rest = this.#taken === 0 ? chunk : chunk.subarray(this.#taken)
    this.bytes -= rest.length
    this.#handedOut = this.#next()
    return rest
  }

  /** Nobody looks any more at what `shift` returned. */
  settle(): void {
    if (this.#handedOut) releaseBlock(this.#handedOut)
    this.#handedOut = undefined
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
        const done = this.#next()
        if (done) releaseBlock(done)
      } else {
        target.set(chunk.subarray(this.#taken, this.#taken + end - at), at)
        this.#taken += end - at
        at = end
      }
    }
    return end
  }

  /** Drops everything; whoever has a chunk that was handed out may look at it until `settle`. */
  clear(): void {
    while (this.#head < this.#chunks.length) {
      const done = this.#next()
      if (done) releaseBlock(done)
    }
    this.bytes = 0
  }

  #append(chunk: Uint8Array, owner: Uint8Array | undefined): void {
    this.#chunks.push(chunk)
    this.#owners.push(owner)
    this.#block = undefined
    // The chunks of one spare block follow one another, so that the last of them is known by the next one's owner.
    if (owner === undefined) this.#spare = undefined
  }

  #gather(chunk: Uint8Array): void {
    const last = this.#chunks.length - 1
    const used = this.#block ? this.#chunks[last]!.length : 0
    if (this.#block && used + chunk.length <= GATHER_BYTES) {
      this.#block.set(chunk, used)
      this.#chunks[last] = this.#block.subarray(0, used + chunk.length)
      return
    }
    const block = new Uint8Array(GATHER_BYTES)
    block.set(chunk)
    this.#append(block.subarray(0, chunk.length), undefined)
    this.#block = block
  }

  /** Forgets the first chunk. Returns the spare block that it lay in if that was its last. */
  #next(): Uint8Array | undefined {
    const owner = this.#owners[this.#head]
    this.#taken = 0
    this.#head += 1
    const isLast = owner !== undefined && this.#owners[this.#head] !== owner
    if (isLast && owner === this.#spare) this.#spare = undefined
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0
      this.#owners.length = 0
      this.#head = 0
      this.#block = undefined
    } else if (this.#head > 64 && this.#head * 2 > this.#chunks.length) {
      this.#chunks.splice(0, this.#head)
      this.#owners.splice(0, this.#head)
      this.#head = 0
    }
    return isLast ? owner : undefined
  }
}

import { ConnectionFault } from './errors.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES, readUint31 } from './frame.ts'
import { FRAME_BYTES_MAX } from './limits.ts'

/** What a reader finds. Whatever throws a ConnectionFault ends the reading. */
export interface FrameSink {
  /** Before its payload, which may still be to come. Of everything but DATA `onFrame` follows. */
  onFrameHead(type: number, flags: number, stream: number, length: number): void
  /** Bytes of a DATA frame, in one or more pieces; the frame's padding is left out. */
  onDataPiece(bytes: Uint8Array, from: number, to: number): void
  /** The DATA frame is over. @param unread bytes of it that were no data: padding and its length */
  onDataEnd(unread: number): void
  /** Any other frame, its payload in [from, to). */
  onFrame(type: number, flags: number, stream: number, bytes: Uint8Array, from: number, to: number): void
}

const HEAD = 0
const PAYLOAD = 1
const PAD_LENGTH = 2
const DATA = 3
const PADDING = 4

const NOTHING = new Uint8Array(0)

/** Cuts what a connection brings into frames (RFC 9113 §4.1). Payloads are views; only what comes in pieces is gathered, DATA never. */
export class FrameReader {
  readonly #sink: FrameSink
  #state = HEAD
  #type = 0
  #flags = 0
  #stream = 0
  /** Of the payload, or the padding, still to come. */
  #left = 0
  #padding = 0
  #unread = 0
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES)
  #headBytes = 0
  #gathered: Uint8Array = NOTHING
  #gatheredBytes = 0
  #stopped = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Between frames. */
  get idle(): boolean {
    return this.#state === HEAD && this.#headBytes === 0
  }

  /** Reads nothing more. */
  stop(): void {
    this.#stopped = true
  }

  /** @throws ConnectionFault the sink's too */
  read(bytes: Uint8Array, from: number): void {
    const end = bytes.length
    let at = from
    while (at < end && !this.#stopped) {
      switch (this.#state) {
        case HEAD:
          at = this.#readHead(bytes, at, end)
          break
        case PAYLOAD:
          at = this.#readPayload(bytes, at, end)
          break
        case PAD_LENGTH:
          this.#padLength(bytes[at]!)
          at += 1
          break
        case DATA: {
          const to = Math.min(end, at + this.#left)
          this.#left -= to - at
          const isWhole = this.#left === 0
          if (isWhole) this.#state = PADDING
          const start = at
          at = to
          this.#sink.onDataPiece(bytes, start, to)
          if (isWhole) this.#dataOver()
          break
        }
        default: {
          const skipped = Math.min(end - at, this.#padding)
          this.#padding -= skipped
          at += skipped
          this.#dataOver()
        }
      }
    }
  }

  #readHead(bytes: Uint8Array, at: number, end: number): number {
    if (this.#headBytes === 0 && at + FRAME_HEAD_BYTES <= end) {
      this.#headRead(bytes, at)
      return at + FRAME_HEAD_BYTES
    }
    const taken = Math.min(end - at, FRAME_HEAD_BYTES - this.#headBytes)
    for (let index = 0; index < taken; index += 1) this.#head[this.#headBytes + index] = bytes[at + index]!
    this.#headBytes += taken
    if (this.#headBytes === FRAME_HEAD_BYTES) {
      this.#headBytes = 0
      this.#headRead(this.#head, 0)
    }
    return at + taken
  }

  #headRead(bytes: Uint8Array, at: number): void {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    if (length > FRAME_BYTES_MAX) throw new ConnectionFault('FRAME_TOO_LARGE')
    const type = bytes[at + 3]!
    const flags = bytes[at + 4]!
    this.#type = type
    this.#flags = flags
    this.#stream = readUint31(bytes, at + 5)
    this.#left = length
    this.#sink.onFrameHead(type, flags, this.#stream, length)
    if (type === FRAME.DATA) {
      this.#padding = 0
      this.#unread = 0
      this.#state = DATA
      if ((flags & FLAG.PADDED) !== 0) {
        if (length === 0) throw new ConnectionFault('FRAME_SIZE_INVALID')
        this.#state = PAD_LENGTH
      } else if (length === 0) {
        this.#dataOver()
      }
    } else if (length === 0) {
      this.#state = HEAD
      this.#sink.onFrame(type, flags, this.#stream, NOTHING, 0, 0)
    } else {
      this.#state = PAYLOAD
    }
  }

  #readPayload(bytes: Uint8Array, at: number, end: number): number {
    const left = this.#left
    if (this.#gatheredBytes === 0 && at + left <= end) {
      this.#state = HEAD
      this.#sink.onFrame(this.#type, this.#flags, this.#stream, bytes, at, at + left)
      return at + left
    }
    const to = Math.min(end, at + left)
    // As it comes: a frame that is announced and not sent costs nothing.
    const needed = this.#gatheredBytes + to - at
    if (needed > this.#gathered.length) {
      const larger = new Uint8Array(Math.min(this.#gatheredBytes + left, Math.max(needed, 2 * this.#gathered.length)))
      larger.set(this.#gathered.subarray(0, this.#gatheredBytes))
      this.#gathered = larger
    }
    this.#gathered.set(bytes.subarray(at, to), this.#gatheredBytes)
    this.#gatheredBytes = needed
    this.#left -= to - at
    if (this.#left === 0) {
      const gathered = this.#gathered
      this.#gathered = NOTHING
      this.#gatheredBytes = 0
      this.#state = HEAD
      this.#sink.onFrame(this.#type, this.#flags, this.#stream, gathered, 0, needed)
    }
    return to
  }

  #padLength(padding: number): void {
    if (padding >= this.#left) throw new ConnectionFault('PADDING_INVALID')
    this.#left -= 1 + padding
    this.#padding = padding
    this.#unread = 1 + padding
    this.#state = this.#left === 0 ? PADDING : DATA
    if (this.#left === 0) this.#dataOver()
  }

  /** The data is read, and the padding perhaps. */
  #dataOver(): void {
    if (this.#padding > 0) return
    this.#state = HEAD
    this.#sink.onDataEnd(this.#unread)
  }
}

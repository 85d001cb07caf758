import type { ByteStream } from '../stream/byte-stream.ts'
import type { AtTurnEnd } from '../stream/turn-end.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES, writeUint32 } from './frame.ts'
import type { HpackEncoder } from './hpack-encoder.ts'
import { COPIED_BYTES_MAX, WRITE_BLOCK_BYTES } from './limits.ts'

const NOTHING = Buffer.alloc(0)

/**
 * Frames of one connection on their way out. Those of one turn are put together in one block, which leaves when the turn
 * ends; large payloads are lent to the stream as they are.
 */
export class FrameWriter {
  /** The stream takes more. */
  hasRoom = true
  readonly #stream: ByteStream
  readonly #atTurnEnd: AtTurnEnd
  /** Called before what was written leaves, for a last word. */
  readonly #beforeFlush: () => void
  #block = NOTHING
  /** What lies between them was not handed on. */
  #from = 0
  #at = 0
  /** Where the frame is that was written last, if END_STREAM can still be set in it; its stream. */
  #lastAt = -1
  #lastStream = 0
  #scheduled = false
  #ended = false

  constructor(
    components: { readonly stream: ByteStream; readonly atTurnEnd: AtTurnEnd },
    init: { readonly beforeFlush: () => void },
  ) {
    this.#stream = components.stream
    this.#atTurnEnd = components.atTurnEnd
    this.#beforeFlush = init.beforeFlush
  }

  /** Bytes that were not sent yet. */
  get pendingBytes(): number {
    return this.#at - this.#from + this.#stream.bufferedBytes
  }

  /** Nothing is written any more. */
  get ended(): boolean {
    return this.#ended
  }

  /** A frame whose payload is a number of 32 bits, and perhaps another one: RST_STREAM, WINDOW_UPDATE. */
  word(type: number, stream: number, value: number): void {
    const at = this.#frame(type, 0, stream, 4)
    writeUint32(this.#block, at, value)
  }

  /** A short frame of any kind. */
  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const at = this.#frame(type, flags, stream, payload.length)
    this.#block.set(payload, at)
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const at = this.#frame(FRAME.SETTINGS, 0, 0, 6 * settings.length)
    for (const [index, [id, value]] of settings.entries()) {
      this.#block[at + 6 * index] = 0
      this.#block[at + 6 * index + 1] = id
      writeUint32(this.#block, at + 6 * index + 2, value)
    }
  }

  /** @param last the last stream that is served @param debug for whoever looks for what is wrong, in Latin-1 */
  goaway(last: number, code: number, debug = ''): void {
    const at = this.#frame(FRAME.GOAWAY, 0, 0, 8 + debug.length)
    writeUint32(this.#block, at, last)
    writeUint32(this.#block, at + 4, code)
    this.#block.write(debug, at + 8, 'latin1')
  }

  /** A header block, in as many frames as it needs. */
  headers(stream: number, encoded: HpackEncoder, frameBytesMax: number, endStream: boolean): void {
    const { block, length } = encoded
    const first = Math.min(length, frameBytesMax)
    const flags = (endStream ? FLAG.END_STREAM : 0) | (first === length ? FLAG.END_HEADERS : 0)
    const at = this.#frame(FRAME.HEADERS, flags, stream, first)
    block.copy(this.#block, at, 0, first)
    if (first === length) {
      this.#lastAt = at - FRAME_HEAD_BYTES
      this.#lastStream = stream
      return
    }
    for (let from = first; from < length; ) {
      const bytes = Math.min(length - from, frameBytesMax)
      const isLast = from + bytes === length
      const to = this.#frame(FRAME.CONTINUATION, isLast ? FLAG.END_HEADERS : 0, stream, bytes)
      block.copy(this.#block, to, from, from + bytes)
      from += bytes
    }
  }

  /** One frame. The piece is the stream's from now on. */
  data(stream: number, piece: Uint8Array, endStream: boolean): void {
    const flags = endStream ? FLAG.END_STREAM : 0
    if (piece.length > COPIED_BYTES_MAX) {
      this.#head(FRAME.DATA, flags, stream, piece.length, 0)
      this.#handOn()
      this.hasRoom = this.#stream.write(piece)
      return
    }
    const at = this.#frame(FRAME.DATA, flags, stream, piece.length)
    this.#block.set(piece, at)
    this.#lastAt = at - FRAME_HEAD_BYTES
    this.#lastStream = stream
  }

  /** The stream ends here: in its last frame if that has not left, otherwise in one of its own. */
  endStream(stream: number): void {
    if (this.#lastAt >= 0 && this.#lastStream === stream) this.#block[this.#lastAt + 4]! |= FLAG.END_STREAM
    else this.#frame(FRAME.DATA, FLAG.END_STREAM, stream, 0)
    this.#lastAt = -1
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#block.set(bytes, this.#at)
    this.#at += bytes.length
  }

  flush(): void {
    this.#beforeFlush()
    this.#handOn()
  }

  /** Half-closes behind what was written. */
  end(): void {
    if (this.#ended) return
    this.flush()
    this.#ended = true
    this.#stream.end()
  }

  /** The stream is gone. */
  stop(): void {
    this.#ended = true
    this.#from = this.#at
  }

  /** @returns where its payload goes, for which there is room */
  #frame(type: number, flags: number, stream: number, length: number): number {
    return this.#head(type, flags, stream, length, length)
  }

  #head(type: number, flags: number, stream: number, length: number, room: number): number {
    this.#reserve(FRAME_HEAD_BYTES + room)
    const block = this.#block
    const at = this.#at
    block[at] = length >>> 16
    block[at + 1] = length >>> 8
    block[at + 2] = length
    block[at + 3] = type
    block[at + 4] = flags
    writeUint32(block, at + 5, stream)
    this.#at = at + FRAME_HEAD_BYTES + room
    this.#lastAt = -1
    return at + FRAME_HEAD_BYTES
  }

  #reserve(bytes: number): void {
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#atTurnEnd(this.#onTurnEnd)
    }
    if (this.#at + bytes <= this.#block.length) return
    this.#handOn()
    this.#block = Buffer.allocUnsafeSlow(Math.max(bytes, WRITE_BLOCK_BYTES))
    this.#from = 0
    this.#at = 0
  }

  #handOn(): void {
    this.#lastAt = -1
    if (this.#at === this.#from) return
    const from = this.#from
    this.#from = this.#at
    if (!this.#ended) this.hasRoom = this.#stream.write(this.#block.subarray(from, this.#at))
  }

  readonly #onTurnEnd = (): void => {
    if (!this.#ended) this.flush()
    this.#scheduled = false
  }
}

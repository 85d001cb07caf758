import type { ByteStream } from '../stream/byte-stream.ts'
import { BLOCK_BYTES, READ_BYTES } from '../stream/limits.ts'
import { acquireBlock, releaseBlock } from '../stream/spare-blocks.ts'
import type { AtTurnEnd } from '../stream/turn-end.ts'
import { FRAME, HEAD_BYTES_MAX, writeHead } from './frame.ts'
import { CONTROL_FRAME_OVERHEAD_BYTES, DATA_BYTES_SENT_MAX } from './limits.ts'
import type { MuxStream } from './mux-stream.ts'

/** Below this much room a batch takes no more DATA: a head and hardly a byte would be a waste. */
const ROOM_BYTES_MIN = 256

/**
 * The sending half of a session. Whatever a turn of the event loop has to say leaves in one buffer and one write: a batch.
 * While nobody waits, frames go straight into the batch that leaves next. When that is full they wait: control frames
 * here, in order, and DATA in its streams, which hold back their writers and then take turns, a frame each. One batch is
 * under way at a time and one is being filled: more than that a slow network holds up nowhere.
 */
export class MuxWriter {
  readonly #carrier: ByteStream
  readonly #masked: boolean
  readonly #atTurnEnd: AtTurnEnd
  readonly #control: Uint8Array[] = []
  /** Streams that can send, linked through `nextReady`. */
  #firstReady: MuxStream | undefined
  #lastReady: MuxStream | undefined
  #readyCount = 0
  /** Bytes that the peer lets the connection send; none before its SETTINGS. */
  #sendWindow = 0
  #flushQueued = false
  /** The batch that leaves next, and how many bytes are in it. */
  #batch: Uint8Array | undefined
  #batchBytes = 0
  /** The batch under way; its memory is the carrier's until that has nothing buffered. */
  #busy: Uint8Array | undefined
  /** Streams that were told to stop because no batch had room for more. */
  #waiting: MuxStream[] = []
  /** A batch is being filled and not written yet. */
  #filling = false
  #endsNext = false
  #ended = false
  /** Memory of the control frames that wait. */
  controlBytes = 0

  constructor(
    components: { readonly carrier: ByteStream; readonly atTurnEnd: AtTurnEnd },
    init: { readonly masked: boolean },
  ) {
    this.#carrier = components.carrier
    this.#atTurnEnd = components.atTurnEnd
    this.#masked = init.masked
  }

  /** Sends a whole frame, before any DATA that waits. */
  sendControl(frame: Uint8Array): void {
    if (this.#ended) return
    this.#control.push(frame)
    this.controlBytes += frame.length + CONTROL_FRAME_OVERHEAD_BYTES
    this.#flushSoon()
  }

  /** Puts bytes of a stream that has none waiting into the batch that leaves next. Returns how many found room. */
  sendNow(stream: MuxStream, chunk: Uint8Array): number {
    // Who waits comes first.
    if (this.#firstReady || this.#ended || stream.sendWindow === 0 || this.#sendWindow === 0) return 0
    const batch = this.#open()
    if (this.#control.length > 0) this.#batchBytes = this.#fillControl(batch, this.#batchBytes)
    const room = batch.length - this.#batchBytes - HEAD_BYTES_MAX
    const bytes = Math.min(chunk.length, stream.sendWindow, this.#sendWindow, room)
    if (this.#control.length > 0 || bytes < Math.min(chunk.length, ROOM_BYTES_MIN)) return 0
    const at = writeHead(batch, this.#batchBytes, { type: FRAME.DATA, stream: stream.id, bytes, masked: this.#masked })
    batch.set(bytes === chunk.length ? chunk : chunk.subarray(0, bytes), at)
    this.#batchBytes = at + bytes
    stream.sendWindow -= bytes
    this.#sendWindow -= bytes
    if (!this.#busy && !this.#hasRoom) this.#flush()
    else this.#flushSoon()
    return bytes
  }

  /** Whether the next read of a socket would find room in the batch; if not, the stream hears when it would. */
  hasRoom(stream: MuxStream): boolean {
    if (this.#hasRoom) return true
    this.#waiting.push(stream)
    return false
  }

  get #hasRoom(): boolean {
    return BLOCK_BYTES - this.#batchBytes >= READ_BYTES + HEAD_BYTES_MAX
  }

  /** Puts a stream into the round of those that send. */
  sendFrom(stream: MuxStream): void {
    if (!stream.isReady) this.#enqueue(stream)
    this.#flushSoon()
  }

  /** The peer granted bytes to the connection. Returns the whole window. */
  onGranted(bytes: number): number {
    this.#sendWindow += bytes
    this.#flushSoon()
    return this.#sendWindow
  }

  /** The carrier takes more. A socket has nothing buffered then; a stream of another tunnel may still hold a part of ours. */
  onDrain(): void {
    if (this.#busy && this.#carrier.bufferedBytes === 0) releaseBlock(this.#busy)
    this.#busy = undefined
    this.#flush()
  }

  /** Sends what is waiting, whether the carrier is ready for it or not, and then nothing more. */
  end(): void {
    if (this.#ended) return
    // The FIN that ended the last stream of a draining session is still in our hands.
    if (this.#filling) {
      this.#endsNext = true
      return
    }
    this.#busy = undefined
    if (this.#batch && this.#batchBytes > 0) this.#carrier.write(this.#takeBatch(this.#batch))
    if (this.#control.length > 0) this.#carrier.write(this.#takeControl())
    this.#ended = true
    this.#carrier.end()
  }

  abandon(): void {
    this.#ended = true
    this.#busy = undefined
    this.#batch = undefined
    this.#waiting = []
    this.#firstReady = undefined
    this.#lastReady = undefined
  }

  #flushSoon(): void {
    if (this.#flushQueued || this.#busy || this.#ended) return
    this.#flushQueued = true
    this.#atTurnEnd(this.#flushQueuedTurn)
  }

  readonly #flushQueuedTurn = (): void => {
    this.#flushQueued = false
    this.#flush()
  }

  #flush(): void {
    while (!this.#busy && !this.#ended) {
      const batch = this.#open()
      this.#filling = true
      this.#batchBytes = this.#fill(batch, this.#batchBytes)
      this.#filling = false
      if (this.#batchBytes === 0) {
        this.#batch = undefined
        releaseBlock(batch)
        return
      }
      const isDone = this.#carrier.write(this.#takeBatch(batch))
      if (!isDone) this.#busy = batch
      else if (this.#carrier.bufferedBytes === 0) releaseBlock(batch)
      this.#tellWaiting()
      if (this.#endsNext) this.end()
    }
  }

  #open(): Uint8Array {
    this.#batch ??= acquireBlock()
    return this.#batch
  }

  #takeBatch(batch: Uint8Array): Uint8Array {
    const bytes = this.#batchBytes
    this.#batch = undefined
    this.#batchBytes = 0
    return bytes === batch.length ? batch : batch.subarray(0, bytes)
  }

  /** There is a new batch to fill. */
  #tellWaiting(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const stream of waiting) stream.onRoom()
  }

  /** Adds what waits. Returns how many bytes of the batch are filled then. */
  #fill(batch: Uint8Array, offset: number): number {
    let at = this.#fillControl(batch, offset)
    // Streams in the round that only wait for credit of the connection must not keep it going for ever.
    let idle = 0
    while (this.#firstReady && idle < this.#readyCount && batch.length - at >= ROOM_BYTES_MIN) {
      const stream = this.#dequeue()
      const before = at
      at = this.#fillFrom(stream, batch, at)
      idle = at === before && stream.isSendable ? idle + 1 : 0
      if (stream.isSendable) this.#enqueue(stream)
    }
    return at
  }

  #fillControl(batch: Uint8Array, offset: number): number {
    let at = offset
    let count = 0
    for (const frame of this.#control) {
      if (at + frame.length > batch.length) break
      batch.set(frame, at)
      at += frame.length
      count += 1
    }
    this.#control.splice(0, count)
    this.controlBytes -= at - offset + count * CONTROL_FRAME_OVERHEAD_BYTES
    return at
  }

  #takeControl(): Uint8Array {
    this.controlBytes = 0
    return Buffer.concat(this.#control.splice(0))
  }

  #fillFrom(stream: MuxStream, batch: Uint8Array, offset: number): number {
    let at = offset
    const bytes = Math.min(
      stream.bufferedBytes,
      stream.sendWindow,
      this.#sendWindow,
      DATA_BYTES_SENT_MAX,
      batch.length - at - HEAD_BYTES_MAX,
    )
    if (bytes > 0 && stream.isSendable) {
      at = writeHead(batch, at, { type: FRAME.DATA, stream: stream.id, bytes, masked: this.#masked })
      at = stream.takeInto(batch, at, bytes)
      this.#sendWindow -= bytes
    }
    if (stream.owesFin && batch.length - at >= HEAD_BYTES_MAX) {
      at = writeHead(batch, at, { type: FRAME.FIN, stream: stream.id, bytes: 0, masked: this.#masked })
      stream.onFinSent()
    }
    return at
  }

  #enqueue(stream: MuxStream): void {
    stream.isReady = true
    stream.nextReady = undefined
    if (this.#lastReady) this.#lastReady.nextReady = stream
    else this.#firstReady = stream
    this.#lastReady = stream
    this.#readyCount += 1
  }

  #dequeue(): MuxStream {
    const stream = this.#firstReady!
    this.#firstReady = stream.nextReady
    if (!this.#firstReady) this.#lastReady = undefined
    stream.nextReady = undefined
    stream.isReady = false
    this.#readyCount -= 1
    return stream
  }
}

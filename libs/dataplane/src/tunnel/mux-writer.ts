import type { ByteStream } from '../stream/byte-stream.ts'
import type { AtTurnEnd } from '../stream/turn-end.ts'
import { FRAME, HEAD_BYTES_MAX, writeHead } from './frame.ts'
import { BATCH_BUFFERS_SPARE_MAX, BATCH_BYTES, DATA_BYTES_SENT_MAX } from './limits.ts'
import type { MuxStream } from './mux-stream.ts'

/** Below this much room a batch takes no more DATA: a head and hardly a byte would be a waste. */
const ROOM_BYTES_MIN = 256

/**
 * The sending half of a session. Whatever a turn of the event loop has to say leaves in one buffer and one write: first
 * control frames, then DATA, a frame from each stream in turn. One batch is under way at a time, so what a slow network
 * holds up stays in the streams, which hold back their writers.
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
  /** The batch under way; its memory is the carrier's until that has nothing buffered. */
  #busy: Uint8Array | undefined
  /** A batch is being filled and not written yet. */
  #filling = false
  #endsNext = false
  #ended = false
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
    this.controlBytes += frame.length
    this.#flushSoon()
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

  /** The carrier has nothing buffered any more. */
  onDrain(): void {
    if (this.#busy) spareBatches.release(this.#busy)
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
    if (this.#control.length > 0) this.#carrier.write(this.#takeControl())
    this.#ended = true
    this.#carrier.end()
  }

  abandon(): void {
    this.#ended = true
    this.#busy = undefined
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
      const batch = spareBatches.acquire()
      this.#filling = true
      const bytes = this.#fill(batch)
      this.#filling = false
      if (bytes === 0) {
        spareBatches.release(batch)
        return
      }
      const isDone = this.#carrier.write(bytes === batch.length ? batch : batch.subarray(0, bytes))
      if (!isDone) this.#busy = batch
      else if (this.#carrier.bufferedBytes === 0) spareBatches.release(batch)
      if (this.#endsNext) this.end()
    }
  }

  /** Returns how many bytes of the batch are filled. */
  #fill(batch: Uint8Array): number {
    let at = this.#fillControl(batch)
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

  #fillControl(batch: Uint8Array): number {
    let at = 0
    let count = 0
    for (const frame of this.#control) {
      if (at + frame.length > batch.length) break
      batch.set(frame, at)
      at += frame.length
      count += 1
    }
    this.#control.splice(0, count)
    this.controlBytes -= at
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

/** Batch buffers between two uses: the same few stay in the processor's cache, whoever writes. */
class SpareBatches {
  readonly #spare: Uint8Array[] = []

  acquire(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(BATCH_BYTES)
  }

  release(batch: Uint8Array): void {
    if (this.#spare.length < BATCH_BUFFERS_SPARE_MAX) this.#spare.push(batch)
  }
}

const spareBatches = new SpareBatches()

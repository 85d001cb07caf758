import { assert } from '@ambient-lab/std'
import type { HeaderMap } from '../http1/headers.ts'
import type { Http2Session } from './http2-session.ts'

/** Why a stream ended before its time. */
export type StreamFailure =
  /** The peer did nothing with it (RFC 9113 §8.7): it may be tried again. */
  | 'refused'
  /** The peer reset it. */
  | 'reset'
  /** What the peer sent is no message, or more than it may send. */
  | 'malformed'
  /** The connection is gone. */
  | 'gone'
  /** The peer grants no window. */
  | 'stalled'

/** Who owns a stream, and is told of it. */
export interface Http2StreamSink {
  /** A piece of the body: the sink's to keep or hand on. */
  onData(piece: Uint8Array): void
  /** The peer's message is complete. */
  onEnd(trailers: HeaderMap | undefined): void
  /** What was written has left the stream's queue. */
  onDrain(): void
  /** Nothing more will come, and nothing can be sent. */
  onFailure(failure: StreamFailure): void
}

const NOTHING: readonly Uint8Array[] = []

/** One stream of a connection (RFC 9113 §5): its windows, and what waits for them in both directions. */
export class Http2Stream {
  readonly id: number
  sink: Http2StreamSink | undefined
  /** What may be sent to the peer, and what it may send. */
  sendWindow: number
  receiveWindow: number
  /** END_STREAM was sent, was received. */
  localEnded = false
  remoteEnded = false
  /** It was reset by either side, or its connection is gone. */
  over = false
  /** The peer's head came: of a client's stream the final one. */
  hasHead = false
  /** Bytes of the body that are to come; -1 when nobody has said. */
  bodyBytesLeft = -1
  /** How often it was found waiting for a window since it sent something. */
  stalledLooks = 0
  readonly #session: Http2Session
  #queue: Uint8Array[] | undefined
  #queueEnds = false
  #trailers: HeaderMap | undefined
  #owesDrain = false
  #paused = false
  #held: Uint8Array[] | undefined
  #heldEnd: { readonly trailers: HeaderMap | undefined } | undefined
  /** Delivered and not granted again. */
  #consumedBytes = 0

  constructor(
    session: Http2Session,
    init: { readonly id: number; readonly sendWindow: number; readonly receiveWindow: number },
  ) {
    this.#session = session
    this.id = init.id
    this.sendWindow = init.sendWindow
    this.receiveWindow = init.receiveWindow
  }

  // For its owner.

  /**
   * A piece of the body; the caller must not touch it any more.
   * @returns false when the caller should wait for `onDrain`
   */
  write(piece: Uint8Array): boolean {
    if (this.over || this.localEnded) return true
    assert(!this.#queueEnds, 'a body goes on behind its end')
    const session = this.#session
    if (this.#queue === undefined) {
      const sent = session.sendData(this, piece)
      if (sent === piece.length) return true
      this.#queue = [sent === 0 ? piece : piece.subarray(sent)]
      session.wait(this)
    } else {
      this.#queue.push(piece)
    }
    this.#owesDrain = true
    return false
  }

  /** Our message is complete. */
  end(trailers?: HeaderMap): void {
    if (this.over || this.localEnded) return
    assert(!this.#queueEnds, 'a message ends once')
    if (this.#queue !== undefined) {
      this.#queueEnds = true
      this.#trailers = trailers
      return
    }
    this.#session.sendEnd(this, trailers)
  }

  /** Holds back what the peer sends: it may fill its window, no more. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    const held = this.#held
    if (held) {
      for (let piece = held.shift(); piece; piece = held.shift()) {
        this.#deliver(piece)
        if (this.#paused) return
      }
      this.#held = undefined
    }
    const end = this.#heldEnd
    this.#heldEnd = undefined
    if (end && !this.over) this.sink?.onEnd(end.trailers)
  }

  /** Ends it at once, in both directions; its sink hears no more. */
  reset(code: number): void {
    this.sink = undefined
    if (this.over) return
    if (!(this.localEnded && this.remoteEnded)) this.#session.sendReset(this.id, code)
    this.stop()
  }

  // For its session.

  get isWaiting(): boolean {
    return this.#queue !== undefined
  }

  /** Sends what waits as far as the windows allow. @returns whether nothing waits any more */
  pump(): boolean {
    const queue = this.#queue
    if (queue === undefined) return true
    const session = this.#session
    while (queue.length > 0) {
      const piece = queue[0]!
      const sent = session.sendData(this, piece)
      if (sent < piece.length) {
        if (sent > 0) queue[0] = piece.subarray(sent)
        return false
      }
      queue.shift()
    }
    this.#queue = undefined
    if (this.#queueEnds) session.sendEnd(this, this.#trailers)
    return true
  }

  /** Tells its owner that there is room again, if it was told that there was none, and has more to say. */
  drained(): void {
    if (!this.#owesDrain || this.over || this.localEnded) return
    this.#owesDrain = false
    this.sink?.onDrain()
  }

  /** A piece of the peer's body, which is ours. */
  receive(piece: Uint8Array): void {
    if (this.#paused) {
      this.#held ??= []
      this.#held.push(piece)
    } else {
      this.#deliver(piece)
    }
  }

  receiveEnd(trailers: HeaderMap | undefined): void {
    if (this.#paused) this.#heldEnd = { trailers }
    else this.sink?.onEnd(trailers)
  }

  /** It is over before its time. */
  fail(failure: StreamFailure): void {
    if (this.over) return
    const { sink } = this
    this.stop()
    this.sink = undefined
    sink?.onFailure(failure)
  }

  /** Nothing is sent or told any more; what was held back is forgotten, and granted to the others. */
  stop(): void {
    if (this.over) return
    this.over = true
    this.#queue = undefined
    const held = this.#held ?? NOTHING
    this.#held = undefined
    this.#heldEnd = undefined
    for (const piece of held) this.#session.consumed(piece.length)
    this.#session.remove(this)
  }

  #deliver(piece: Uint8Array): void {
    const session = this.#session
    const bytes = piece.length
    session.consumed(bytes)
    if (this.over) return
    if (!this.remoteEnded) {
      this.#consumedBytes += bytes
      if (session.mustGrant(this.#consumedBytes)) {
        session.sendGrant(this.id, this.#consumedBytes)
        this.receiveWindow += this.#consumedBytes
        this.#consumedBytes = 0
      }
    }
    this.sink?.onData(piece)
  }
}

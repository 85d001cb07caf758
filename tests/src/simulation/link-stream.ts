import { type ByteSink, type ByteStream, STREAM_RESET } from '@ambient-lab/dataplane'
import { assert, type CancelTimer, type Clock, CodedError, KiB } from '@ambient-lab/std'

/** One direction of what lies between two nodes. */
export interface Link {
  /** Nothing gets through; what is sent waits, as TCP would send it again and again. */
  readonly blocked: boolean
  /** How fast one connection goes through. */
  readonly bytesPerMs: number
  /** Drawn anew for each chunk. */
  delayMs(): number
}

const HIGH_MARK_BYTES = 64 * KiB

type Parcel = { readonly dueMs: number } & (
  | { readonly chunk: Uint8Array }
  | { readonly end: true }
  | { readonly reset: CodedError }
)

/**
 * One end of a connection across a link. It impairs what this end sends; the other end has one of its own. A cut is
 * heard by the peer only when the link lets it through.
 */
export class LinkStream implements ByteStream, ByteSink {
  readonly #inner: ByteStream
  readonly #link: Link | undefined
  readonly #clock: Clock
  readonly #onGone: (stream: LinkStream) => void
  readonly #isCarrier: boolean
  #parcels: Parcel[] = []
  #queuedBytes = 0
  #lastDueMs = 0
  #cancelFlush: CancelTimer | undefined
  #sink: ByteSink | undefined
  #starved = false
  #innerStarved = false
  #ended = false
  #closed = false
  #severed = false
  #reason: CodedError | undefined

  /** @param onGone once this end is closed and has nothing more to say */
  constructor(
    inner: ByteStream,
    init: {
      readonly link: Link | undefined
      readonly clock: Clock
      readonly onGone: (stream: LinkStream) => void
      /** Whether a multiplexer writes to it. @default false */
      readonly isCarrier?: boolean
    },
  ) {
    this.#inner = inner
    this.#link = init.link
    this.#clock = init.clock
    this.#onGone = init.onGone
    this.#isCarrier = init.isCarrier ?? false
  }

  start(sink: ByteSink): void {
    assert(!this.#sink, 'a stream is started once')
    if (this.#severed) return
    this.#sink = sink
    if (this.#closed) queueMicrotask(() => this.#sink?.onClose(this.#reason))
    else this.#inner.start(this)
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed) return true
    assert(!this.#ended, 'write after end')
    if (this.#link) {
      this.#queuedBytes += chunk.length
      this.#send({ dueMs: this.#dueMs(chunk.length), chunk: this.#isCarrier ? chunk.slice() : chunk })
    } else if (!this.#inner.write(chunk)) {
      this.#innerStarved = true
    }
    this.#starved = this.#innerStarved || this.#queuedBytes >= HIGH_MARK_BYTES
    return !this.#starved
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    if (this.#link) this.#send({ dueMs: this.#dueMs(), end: true })
    else this.#inner.end()
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  reset(reason: CodedError): void {
    if (this.#closed) return
    const sink = this.#sink
    this.#cutOff(reason)
    if (sink) queueMicrotask(() => !this.#severed && sink.onClose(reason))
  }

  /** The process on this end died: it hears nothing more, and its machine tells the peer. */
  sever(): void {
    this.#severed = true
    this.#sink = undefined
    if (!this.#closed) this.#cutOff(new CodedError(STREAM_RESET, 'the process died'))
  }

  /** Of a carrier always 0: what it holds is a copy, so that its writer may use its large buffer again. */
  get bufferedBytes(): number {
    return this.#closed || this.#isCarrier ? 0 : this.#queuedBytes + this.#inner.bufferedBytes
  }

  /** The link changed: what waited may go. */
  flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    while (this.#parcels.length > 0 && !this.#link?.blocked) {
      const parcel = this.#parcels[0]!
      const waitMs = parcel.dueMs - this.#clock.monotonic()
      if (waitMs > 0) {
        this.#cancelFlush = this.#clock.schedule(waitMs, () => this.flush())
        return
      }
      this.#parcels.shift()
      this.#deliver(parcel)
    }
    this.#feed()
  }

  onData(chunk: Uint8Array): void {
    if (!this.#closed) this.#sink?.onData(chunk)
  }

  onEnd(): void {
    if (!this.#closed) this.#sink?.onEnd()
  }

  onDrain(): void {
    this.#innerStarved = false
    this.#feed()
  }

  onClose(reason: CodedError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#reason = reason
    this.#drop()
    this.#onGone(this)
    this.#sink?.onClose(reason)
  }

  /** Never before what was sent earlier: one connection keeps its order. */
  #dueMs(bytes = 0): number {
    const dueMs = this.#clock.monotonic() + (this.#link?.delayMs() ?? 0)
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs) + bytes / (this.#link?.bytesPerMs ?? Number.POSITIVE_INFINITY)
    return this.#lastDueMs
  }

  #send(parcel: Parcel): void {
    this.#parcels.push(parcel)
    if (this.#parcels.length === 1) this.flush()
  }

  #deliver(parcel: Parcel): void {
    if ('chunk' in parcel) {
      this.#queuedBytes -= parcel.chunk.length
      if (!this.#inner.write(parcel.chunk)) this.#innerStarved = true
    } else if ('end' in parcel) {
      this.#inner.end()
    } else {
      this.#inner.reset(parcel.reset)
      this.#onGone(this)
    }
  }

  #feed(): void {
    if (!this.#starved || this.#innerStarved || this.#queuedBytes >= HIGH_MARK_BYTES / 2 || this.#closed) return
    this.#starved = false
    queueMicrotask(() => {
      if (!this.#closed && !this.#ended) this.#sink?.onDrain()
    })
  }

  #cutOff(reason: CodedError): void {
    this.#closed = true
    this.#reason = reason
    this.#drop()
    this.#send({ dueMs: this.#dueMs(), reset: reason })
  }

  #drop(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#parcels = []
    this.#queuedBytes = 0
  }
}

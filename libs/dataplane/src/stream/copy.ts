import { CodedError } from '@ambient-lab/std'
import { type ByteSink, type ByteStream, writeBorrowed } from './byte-stream.ts'
import { DOWNSTREAM_DISCONNECTED, STREAM_RESET, UPSTREAM_DISCONNECTED } from './errors.ts'

export interface CopyResult {
  /** From downstream to upstream. */
  readonly bytesSent: number
  /** From upstream to downstream. */
  readonly bytesReceived: number
  /** Absent when both directions ended in order. */
  readonly error?: CodedError
}

/**
 * Moves bytes between two streams, both ways, until both are gone. Each direction ends by itself: the end of one side
 * half-closes the other. Whoever does not read holds back whoever writes, and nobody else.
 * @see ambient.md §2.7 for the texts of unclean ends
 */
export class Copy {
  /** Settles once, never rejects. */
  readonly result: Promise<CopyResult>
  readonly #downstream: Side
  readonly #upstream: Side
  #error: CodedError | undefined
  #open = 2
  /** One side was cut; what the other tells after that is our own doing. */
  #cut = false

  /** Starts at once; both streams must not have been started. */
  constructor(downstream: ByteStream, upstream: ByteStream) {
    const { promise, resolve } = Promise.withResolvers<CopyResult>()
    const onClose = (side: Side, reason: CodedError | undefined) => {
      this.#open -= 1
      if (reason) this.#onCut(side, reason)
      if (this.#open === 0)
        resolve({
          bytesSent: this.bytesSent,
          bytesReceived: this.bytesReceived,
          ...(this.#error && { error: this.#error }),
        })
    }
    this.result = promise
    this.#downstream = new Side(downstream, onClose)
    this.#upstream = new Side(upstream, onClose)
    this.#downstream.join(this.#upstream)
    this.#upstream.join(this.#downstream)
    downstream.start(this.#downstream)
    upstream.start(this.#upstream)
  }

  /** So far; live. */
  get bytesSent(): number {
    return this.#downstream.bytesRead
  }

  /** So far; live. */
  get bytesReceived(): number {
    return this.#upstream.bytesRead
  }

  /** Cuts both streams. The reason becomes the result's error unless there was one before. */
  abort(reason: CodedError): void {
    if (this.#open === 0) return
    this.#cut = true
    this.#error ??= reason
    this.#downstream.stream.reset(reason)
    this.#upstream.stream.reset(reason)
  }

  #onCut(side: Side, reason: CodedError): void {
    if (this.#cut) return
    this.#cut = true
    const other = side === this.#downstream ? this.#upstream : this.#downstream
    // A reset after everything was said is how many programs hang up; it took nothing from anybody.
    const tookNothing = reason.code === STREAM_RESET && other.ended && side.stream.bufferedBytes === 0
    if (!tookNothing) this.#error = reason.code === STREAM_RESET ? this.#disconnected(side, reason) : reason
    other.stream.reset(reason)
  }

  #disconnected(side: Side, cause: CodedError): CodedError {
    return side === this.#upstream
      ? new CodedError(UPSTREAM_DISCONNECTED, 'destination disconnected before all data was written', {
          origin: 'upstream',
          cause,
        })
      : new CodedError(DOWNSTREAM_DISCONNECTED, 'client disconnected before all data was written', {
          origin: 'downstream',
          cause,
        })
  }
}

/** Reads one stream into the other. */
class Side implements ByteSink {
  readonly stream: ByteStream
  bytesRead = 0
  ended = false
  readonly #onClose: (side: Side, reason: CodedError | undefined) => void
  #to!: ByteStream

  constructor(stream: ByteStream, onClose: (side: Side, reason: CodedError | undefined) => void) {
    this.stream = stream
    this.#onClose = onClose
  }

  join(other: Side): void {
    this.#to = other.stream
  }

  onData(chunk: Uint8Array): void {
    this.bytesRead += chunk.length
    if (!this.#to.write(chunk)) this.stream.pause()
  }

  onBorrowed(chunk: Uint8Array): void {
    this.bytesRead += chunk.length
    if (!writeBorrowed(this.#to, chunk)) this.stream.pause()
  }

  onEnd(): void {
    this.ended = true
    this.#to.end()
  }

  onDrain(): void {
    this.#to.resume()
  }

  onClose(reason: CodedError | undefined): void {
    this.#onClose(this, reason)
  }
}

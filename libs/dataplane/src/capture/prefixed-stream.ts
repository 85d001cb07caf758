import type { CodedError } from '@ambient-lab/std'
import { CAPTURE_EARLY_BYTES_MAX } from '../limits.ts'
import { type ByteSink, type ByteStream, deliverBorrowed, writeBorrowed } from '../stream/byte-stream.ts'

/** Reads the first bytes of a stream, before it belongs to somebody else. */
export interface PrefixReader {
  /**
   * @param bytes everything that came and was not consumed yet
   * @returns how many bytes it consumed; 0 to wait for more
   */
  onPrefix(bytes: Uint8Array): number
  /** The stream was cut while the prefix was read, or before anybody took it over. */
  onGone(reason: CodedError | undefined): void
}

/**
 * A stream whose beginning one party reads and whose rest another takes over by `start`. What arrives in between is
 * kept, up to a bound, and then delivered first: nothing that a program sends early is lost.
 */
export class PrefixedStream implements ByteStream, ByteSink {
  readonly #inner: ByteStream
  #reader: PrefixReader | undefined
  #sink: ByteSink | undefined
  /** Bytes that came before the sink was ready for them. */
  #kept: Uint8Array | undefined
  /** Everything kept was delivered: from now on events pass straight through. */
  #live = false
  #paused = false
  #held = false
  #ended = false
  #closed = false
  #reason: CodedError | undefined

  constructor(inner: ByteStream, reader: PrefixReader) {
    this.#inner = inner
    this.#reader = reader
    inner.start(this)
  }

  start(sink: ByteSink): void {
    this.#sink = sink
    this.#reader = undefined
    queueMicrotask(this.#flush)
  }

  write(chunk: Uint8Array): boolean {
    return this.#inner.write(chunk)
  }

  writeBorrowed(chunk: Uint8Array): boolean {
    return writeBorrowed(this.#inner, chunk)
  }

  end(): void {
    this.#inner.end()
  }

  pause(): void {
    this.#paused = true
    this.#inner.pause()
  }

  resume(): void {
    this.#paused = false
    if (!this.#live && this.#sink) queueMicrotask(this.#flush)
    else this.#inner.resume()
  }

  reset(reason: CodedError): void {
    this.#inner.reset(reason)
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes
  }

  onData(chunk: Uint8Array): void {
    if (this.#live) this.#sink!.onData(chunk)
    else this.#keep(chunk)
  }

  onBorrowed(chunk: Uint8Array): void {
    if (this.#live) deliverBorrowed(this.#sink!, chunk)
    else this.#keep(new Uint8Array(chunk))
  }

  onEnd(): void {
    if (this.#live) this.#sink!.onEnd()
    else this.#ended = true
  }

  onDrain(): void {
    this.#sink?.onDrain()
  }

  onClose(reason: CodedError | undefined): void {
    this.#closed = true
    this.#reason = reason
    if (this.#live) this.#sink!.onClose(reason)
    else if (this.#sink) queueMicrotask(this.#flush)
    else this.#reader?.onGone(reason)
  }

  #keep(chunk: Uint8Array): void {
    let kept = this.#kept ? concat(this.#kept, chunk) : chunk
    for (let consumed = -1; consumed !== 0 && kept.length > 0; kept = kept.subarray(consumed)) {
      consumed = this.#reader?.onPrefix(kept) ?? 0
    }
    this.#kept = kept.length > 0 ? kept : undefined
    if (!this.#held && (this.#kept?.length ?? 0) > CAPTURE_EARLY_BYTES_MAX) {
      this.#held = true
      this.#inner.pause()
    }
  }

  readonly #flush = (): void => {
    const sink = this.#sink!
    if (this.#live || (this.#paused && !this.#closed)) return
    const kept = this.#kept
    this.#kept = undefined
    if (kept && !this.#closed) sink.onData(kept)
    if (this.#paused && !this.#closed) return
    this.#live = true
    if (this.#ended) sink.onEnd()
    if (this.#closed) sink.onClose(this.#reason)
    else this.#inner.resume()
  }
}

/** Reads what is left of a stream and forgets it, so that its end is seen. */
export const DISCARD: ByteSink = {
  onData: () => {},
  onEnd: () => {},
  onDrain: () => {},
  onClose: () => {},
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

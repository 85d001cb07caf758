import { Duplex } from 'node:stream'
import { CodedError } from '@ambient-lab/std'
import type { ByteSink, ByteStream } from './byte-stream.ts'
import { STREAM_RESET } from './errors.ts'

/** A ByteStream as Node's own libraries want it: a Duplex. */
export class StreamDuplex extends Duplex implements ByteSink {
  readonly #stream: ByteStream
  /** Whoever writes is waiting for room. */
  #onRoom: (() => void) | undefined

  /** @param init.isStarted somebody else is the stream's sink, and hands its events on */
  constructor(stream: ByteStream, init: { readonly isStarted?: boolean } = {}) {
    super({ allowHalfOpen: true })
    this.#stream = stream
    if (!init.isStarted) stream.start(this)
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: () => void): void {
    if (this.#stream.write(chunk)) callback()
    else this.#onRoom = callback
  }

  override _final(callback: () => void): void {
    this.#stream.end()
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stream.reset(CodedError.is(error) ? error : new CodedError(STREAM_RESET, error?.message ?? 'destroyed'))
    callback(error)
  }

  onData(chunk: Uint8Array): void {
    if (!this.push(chunk)) this.#stream.pause()
  }

  onEnd(): void {
    this.push(null)
  }

  onDrain(): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  onClose(reason: CodedError | undefined): void {
    this.onDrain()
    this.destroy(reason)
  }
}

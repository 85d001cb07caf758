import type { CancelTimer, Clock } from '@ambient-lab/std'
import { PrefixedStream, type PrefixReader } from '../capture/prefixed-stream.ts'
import { dataplaneError } from '../errors.ts'
import { PROXY_HEADER_TIMEOUT_MS } from '../limits.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { type ProxyHeader, parseProxyHeader } from './proxy-protocol.ts'

/** Waits for the PROXY protocol header of one connection, for a limited time; hands the bytes behind it on. */
export class ProxyHeaderReader implements PrefixReader {
  readonly #stream: PrefixedStream
  readonly #onHeader: (header: ProxyHeader, stream: ByteStream) => void
  readonly #cancelTimeout: CancelTimer
  #finished = false

  constructor(stream: ByteStream, clock: Clock, onHeader: (header: ProxyHeader, stream: ByteStream) => void) {
    this.#onHeader = onHeader
    this.#cancelTimeout = clock.schedule(PROXY_HEADER_TIMEOUT_MS, () => this.#refuse('no header in time'), {
      background: true,
    })
    this.#stream = new PrefixedStream(stream, this)
  }

  onPrefix(bytes: Uint8Array): number {
    if (this.#finished) return 0
    const step = parseProxyHeader(bytes)
    if (!step) return 0
    if ('malformed' in step) {
      this.#refuse(step.malformed)
      return bytes.length
    }
    this.#finish()
    queueMicrotask(() => this.#onHeader(step.header, this.#stream))
    return step.consumed
  }

  onGone(): void {
    this.#finish()
  }

  #refuse(reason: string): void {
    this.#finish()
    this.#stream.reset(dataplaneError('PROXY_HEADER_MALFORMED', reason, { origin: 'downstream' }))
  }

  #finish(): void {
    this.#finished = true
    this.#cancelTimeout()
  }
}

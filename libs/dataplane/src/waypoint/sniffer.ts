import type { Clock, CodedError } from '@ambient-lab/std'
import { PrefixedStream, type PrefixReader } from '../capture/prefixed-stream.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { isHelloComplete, serverNameOfHello } from './client-hello.ts'
import { SNIFF_TIMEOUT_MS } from './limits.ts'
import { sniffProtocol } from './protocol-sniff.ts'

export interface SnifferInit {
  readonly stream: ByteStream
  readonly clock: Clock
  readonly onSniffed: (stream: ByteStream, protocol: 'http' | 'other', serverName: string | undefined) => void
  readonly onGone: () => void
}

/** Reads the first bytes of a connection to see what it is. Who says nothing is taken for TCP after a while. */
export class Sniffer implements PrefixReader {
  readonly #init: SnifferInit
  readonly #stream: PrefixedStream
  readonly #cancelTimeout: () => void
  #done = false

  constructor(init: SnifferInit) {
    this.#init = init
    this.#cancelTimeout = init.clock.schedule(SNIFF_TIMEOUT_MS, () => this.#decide('other', undefined), {
      background: true,
    })
    this.#stream = new PrefixedStream(init.stream, this)
  }

  drain(): void {}

  cut(reason: CodedError): void {
    this.#stream.reset(reason)
  }

  onPrefix(bytes: Uint8Array): number {
    const protocol = sniffProtocol(bytes)
    if (protocol === undefined || (protocol === 'tls' && !isHelloComplete(bytes))) return 0
    // Not from inside the read: whoever takes the stream over starts it.
    queueMicrotask(() => {
      const isHttp = protocol === 'http1' || protocol === 'http2'
      this.#decide(isHttp ? 'http' : 'other', protocol === 'tls' ? serverNameOfHello(bytes) : undefined)
    })
    return 0
  }

  onGone(): void {
    if (this.#done) return
    this.#done = true
    this.#cancelTimeout()
    this.#init.onGone()
  }

  #decide(protocol: 'http' | 'other', serverName: string | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#cancelTimeout()
    this.#init.onSniffed(this.#stream, protocol, serverName)
  }
}

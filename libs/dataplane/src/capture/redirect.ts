import type { CancelTimer, Clock, CodedError } from '@ambient-lab/std'
import type { HostPort, SocketAddress } from '../address.ts'
import { type DataplaneErrorCode, dataplaneError } from '../errors.ts'
import { CAPTURE_HANDSHAKE_TIMEOUT_MS } from '../limits.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { OUTCOMES } from '../ztunnel/response-flags.ts'
import { httpConnectAnswer, parseHttpConnect } from './http-connect.ts'
import { DISCARD, PrefixedStream, type PrefixReader } from './prefixed-stream.ts'
import { parseSocksGreeting, parseSocksRequest, SOCKS_REPLY, socksMethodAnswer, socksReply } from './socks5.ts'

/**
 * A workload's connect(), caught: who dialled, what, and the bytes. The program hears "connected" only when the far
 * end stands, which transparent capture cannot do and a proxy's client expects.
 */
export interface CapturedConnection {
  readonly source: LocalWorkload
  /** The pod's address and a port that tells its connections apart. */
  readonly sourceAddress: SocketAddress
  /** As dialled: an IP literal or a host name. */
  readonly destination: HostPort
  /** Tells the program that it is connected. Called once, instead of `reject`; early bytes are in the stream. */
  accept(): ByteStream
  /** Tells the program why not, as well as its protocol can, and hangs up. */
  reject(code: DataplaneErrorCode, reason: string): void
  /** The program hung up before an answer. */
  readonly isGone: boolean
}

/** How the answers of one capture protocol look. */
interface Dialect {
  accept(): Uint8Array
  reject(code: DataplaneErrorCode, reason: string): Uint8Array
}

const SOCKS: Dialect = {
  accept: () => socksReply(SOCKS_REPLY.succeeded),
  reject: (code) => socksReply(OUTCOMES[code].socksReply),
}

const HTTP: Dialect = {
  accept: () => httpConnectAnswer(200),
  reject: (code, reason) => httpConnectAnswer(OUTCOMES[code].httpStatus, `${reason} (${OUTCOMES[code].hint})`),
}

const SOCKS_VERSION = 5

/** Reads one program's request from a capture listener and hands the connection on. */
export class CaptureHandshake implements PrefixReader, CapturedConnection {
  readonly source: LocalWorkload
  readonly sourceAddress: SocketAddress
  destination: HostPort = { host: '', port: 0 }
  isGone = false
  readonly #stream: PrefixedStream
  readonly #clock: Clock
  readonly #onCaptured: (captured: CapturedConnection) => void
  #cancelTimeout: CancelTimer
  #dialect: Dialect | undefined
  #greeted = false
  #finished = false

  constructor(init: {
    readonly source: LocalWorkload
    readonly sourcePort: number
    readonly stream: ByteStream
    readonly clock: Clock
    readonly onCaptured: (captured: CapturedConnection) => void
  }) {
    this.source = init.source
    this.sourceAddress = { address: init.source.address, port: init.sourcePort }
    this.#clock = init.clock
    this.#onCaptured = init.onCaptured
    this.#cancelTimeout = this.#resetAfter('CAPTURE_TIMEOUT', 'no request within the time limit')
    this.#stream = new PrefixedStream(init.stream, this)
  }

  onPrefix(bytes: Uint8Array): number {
    if (this.#finished) return 0
    const first = bytes[0]!
    if (this.#greeted) return this.#onSocksRequest(bytes)
    if (first === SOCKS_VERSION) return this.#onSocksGreeting(bytes)
    // Every HTTP method begins with a capital letter; so does nothing else that comes here.
    if (first >= 65 && first <= 90) return this.#onHttpHead(bytes)
    this.#finish()
    this.#stream.reset(dataplaneError('CAPTURE_MALFORMED', 'neither SOCKS5 nor HTTP', { origin: 'downstream' }))
    return bytes.length
  }

  onGone(_reason: CodedError | undefined): void {
    this.isGone = true
    this.#finish()
  }

  accept(): ByteStream {
    this.#stream.write(this.#dialect!.accept())
    return this.#stream
  }

  reject(code: DataplaneErrorCode, reason: string): void {
    this.#hangUp(this.#dialect!.reject(code, reason))
  }

  #onSocksGreeting(bytes: Uint8Array): number {
    const greeting = parseSocksGreeting(bytes)
    if (!greeting) return 0
    if ('malformed' in greeting) return this.#refuse(bytes, socksMethodAnswer(false))
    if (!greeting.acceptsNoAuthentication) return this.#refuse(bytes, socksMethodAnswer(false))
    this.#greeted = true
    this.#stream.write(socksMethodAnswer(true))
    return greeting.consumed
  }

  #onSocksRequest(bytes: Uint8Array): number {
    const request = parseSocksRequest(bytes)
    if (!request) return 0
    if ('malformed' in request) {
      const isAddress = request.malformed.startsWith('SOCKS address')
      return this.#refuse(bytes, socksReply(isAddress ? SOCKS_REPLY.addressUnsupported : SOCKS_REPLY.failed))
    }
    if (!request.isConnect) return this.#refuse(bytes, socksReply(SOCKS_REPLY.commandUnsupported))
    this.#hand({ host: request.host, port: request.port }, SOCKS)
    return request.consumed
  }

  #onHttpHead(bytes: Uint8Array): number {
    const request = parseHttpConnect(bytes)
    if (!request) return 0
    if ('refused' in request) return this.#refuse(bytes, httpConnectAnswer(request.refused, request.reason))
    this.#hand({ host: request.host, port: request.port }, HTTP)
    return request.consumed
  }

  /** In a microtask, so that the bytes behind the request are already kept apart from it. */
  #hand(destination: HostPort, dialect: Dialect): void {
    this.destination = destination
    this.#dialect = dialect
    this.#finish()
    queueMicrotask(() => this.#onCaptured(this))
  }

  #refuse(bytes: Uint8Array, answer: Uint8Array): number {
    this.#finish()
    queueMicrotask(() => this.#hangUp(answer))
    return bytes.length
  }

  /** The answer has to arrive, so no reset; who does not hang up in turn is cut later. */
  #hangUp(answer: Uint8Array): void {
    if (this.isGone) return
    this.#stream.write(answer)
    this.#stream.end()
    this.#cancelTimeout = this.#resetAfter('CAPTURE_TIMEOUT', 'the program did not hang up')
    this.#stream.start({ ...DISCARD, onClose: () => this.#cancelTimeout() })
  }

  #finish(): void {
    this.#finished = true
    this.#cancelTimeout()
  }

  #resetAfter(code: DataplaneErrorCode, message: string): CancelTimer {
    const reset = () => this.#stream.reset(dataplaneError(code, message, { origin: 'downstream' }))
    return this.#clock.schedule(CAPTURE_HANDSHAKE_TIMEOUT_MS, reset, { background: true })
  }
}

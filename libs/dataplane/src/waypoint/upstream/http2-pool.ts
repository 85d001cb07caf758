import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { Clock } from '@ambient-lab/std'
import { type BodyFraming, type HeaderMap, HttpCodecError, type OutgoingRequest } from '../../http1/index.ts'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { StreamDuplex } from '../../stream/stream-duplex.ts'
import { headerMapOf, outgoingHeaders } from '../http2-headers.ts'
import { HTTP2_STREAMS_MAX, HTTP2_WINDOW_BYTES } from '../limits.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { connectTimeout, dialFailure } from './dial-failure.ts'
import type { PoolCustomer, ResponseObserver, UpstreamConnection, UpstreamPool } from './upstream-connection.ts'

export interface Http2PoolComponents {
  readonly clock: Clock
  readonly breaker: CircuitBreaker
  readonly dial: (options: { readonly timeoutMs: number; readonly signal: AbortSignal }) => Promise<ByteStream>
}

export interface Http2PoolInit {
  readonly connectTimeoutMs: number
}

/** HTTP/2 to one host for one client: one connection, many exchanges; another when that one is full or going away. */
export class Http2Pool implements UpstreamPool {
  readonly #components: Http2PoolComponents
  readonly #init: Http2PoolInit
  readonly #waiting: PoolCustomer[] = []
  readonly #sessions = new Set<Session>()
  #dialing = false
  #draining = false

  constructor(components: Http2PoolComponents, init: Http2PoolInit) {
    this.#components = components
    this.#init = init
  }

  get isEmpty(): boolean {
    return this.#sessions.size === 0 && !this.#dialing && this.#waiting.length === 0
  }

  acquire(customer: PoolCustomer): UpstreamConnection | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return new Http2Place(session)
    const { breaker } = this.#components
    if (!breaker.acquire('pendingRequests')) {
      queueMicrotask(() => customer.onFailure('overflow', ''))
      return undefined
    }
    this.#waiting.push(customer)
    if (!this.#dialing) this.#dial()
    return undefined
  }

  cancel(customer: PoolCustomer): void {
    const index = this.#waiting.indexOf(customer)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    this.#components.breaker.release('pendingRequests')
  }

  drain(): void {
    this.#draining = true
    for (const session of this.#sessions) session.drain()
  }

  #dial(): void {
    const { clock, breaker, dial } = this.#components
    const { connectTimeoutMs: timeoutMs } = this.#init
    // The first one is always allowed, or the host would never serve anybody.
    if (!breaker.acquire('connections')) {
      if (this.#sessions.size > 0) return
      breaker.force('connections')
    }
    this.#dialing = true
    const abort = new AbortController()
    const cancelTimeout = clock.schedule(timeoutMs, () => abort.abort(connectTimeout(timeoutMs)))
    Promise.resolve()
      .then(() => dial({ timeoutMs, signal: abort.signal }))
      .then(
        (stream) => {
          cancelTimeout()
          this.#dialing = false
          this.#connected(stream)
        },
        (error: unknown) => {
          cancelTimeout()
          this.#dialing = false
          breaker.release('connections')
          const { reason, failure } = dialFailure(error)
          for (const customer of this.#waiting.splice(0)) {
            breaker.release('pendingRequests')
            customer.onFailure(reason, failure)
          }
        },
      )
  }

  #connected(stream: ByteStream): void {
    const session: Session = new Session(stream, {
      onRoom: () => this.#serve(),
      onClosed: () => {
        this.#sessions.delete(session)
        this.#components.breaker.release('connections')
        if (this.#waiting.length > 0 && !this.#dialing) this.#dial()
      },
    })
    this.#sessions.add(session)
    this.#serve()
    if (this.#draining) session.drain()
  }

  #serve(): void {
    for (const session of this.#sessions) {
      while (session.hasRoom && this.#waiting.length > 0) {
        const customer = this.#waiting.shift()!
        this.#components.breaker.release('pendingRequests')
        customer.onConnection(new Http2Place(session))
      }
    }
  }
}

/** One connection. */
class Session {
  readonly h2: ClientHttp2Session
  readonly #onRoom: () => void
  #open = 0
  #usable = true

  constructor(
    stream: ByteStream,
    { onRoom, onClosed }: { readonly onRoom: () => void; readonly onClosed: () => void },
  ) {
    this.#onRoom = onRoom
    const socket = new StreamDuplex(stream)
    this.h2 = connect('http://upstream', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: HTTP2_WINDOW_BYTES },
    })
    this.h2.on('error', () => {}) // its close tells
    this.h2.on('goaway', () => {
      this.#usable = false
    })
    this.h2.on('close', () => {
      this.#usable = false
      onClosed()
    })
  }

  get hasRoom(): boolean {
    const limit = Math.min(HTTP2_STREAMS_MAX, this.h2.remoteSettings?.maxConcurrentStreams ?? HTTP2_STREAMS_MAX)
    return this.#usable && !this.h2.closed && !this.h2.destroyed && this.#open < limit
  }

  drain(): void {
    this.#usable = false
    if (!this.h2.destroyed) this.h2.close()
  }

  opened(): void {
    this.#open += 1
  }

  closed(): void {
    this.#open -= 1
    this.#onRoom()
  }
}

/** The place for one exchange on a connection. */
class Http2Place implements UpstreamConnection {
  readonly #session: Session
  #stream: ClientHttp2Stream | undefined
  #observer: ResponseObserver | undefined
  #trailers: HeaderMap | undefined

  constructor(session: Session) {
    this.#session = session
    session.opened()
  }

  send(request: OutgoingRequest, observer: ResponseObserver): void {
    const { method, target, headers, framing, contentLength } = request
    const fields = outgoingHeaders(headers)
    if (framing === 'length') fields['content-length'] = String(contentLength)
    const pseudo = { ':method': method, ':path': target, ':authority': headers.get('host') ?? '', ':scheme': 'http' }
    const stream = this.#session.h2.request({ ...pseudo, ...fields }, { endStream: false, waitForTrailers: true })
    this.#stream = stream
    this.#observer = observer
    stream.on('response', (answer, _flags, raw) => this.#onResponse(answer, raw as readonly string[]))
    stream.on('trailers', (_headers, _flags, raw) => this.#onTrailers(raw as readonly string[]))
    stream.on('drain', () => this.#observer?.onDrain())
    stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers ? outgoingHeaders(this.#trailers) : {}))
    stream.on('error', () => {}) // 'close' follows
    stream.on('close', () => this.#onClose())
  }

  writeBody(piece: Uint8Array): boolean {
    const stream = this.#stream
    return !stream || stream.destroyed || stream.writableEnded || stream.write(piece)
  }

  endRequest(trailers: HeaderMap | undefined): void {
    this.#trailers = trailers
    if (this.#stream && !this.#stream.destroyed) this.#stream.end()
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    this.#stream?.resume()
  }

  switchProtocols(): void {
    this.abandon()
  }

  abandon(): void {
    this.#observer = undefined
    this.#stream?.close(constants.NGHTTP2_CANCEL)
  }

  close(): void {
    if (!this.#stream) this.#session.closed()
  }

  #onResponse(answer: IncomingHttpHeaders & { readonly ':status'?: number }, raw: readonly string[]): void {
    let headers: HeaderMap
    try {
      headers = headerMapOf(raw)
    } catch (error) {
      if (!(error instanceof HttpCodecError)) throw error
      this.#take()?.onReset('protocol error', error.message)
      return this.#stream?.close(constants.NGHTTP2_PROTOCOL_ERROR)
    }
    const stream = this.#stream!
    const length = Number(answer['content-length'])
    const endStream = stream.endAfterHeaders
    const framing: BodyFraming = endStream || length === 0 ? 'none' : Number.isInteger(length) ? 'length' : 'chunked'
    this.#observer?.onHead({
      status: answer[':status'] ?? 502,
      reason: '',
      version: '1.1',
      headers,
      framing,
      contentLength: framing === 'length' ? length : 0,
      keepAlive: true,
      upgrade: undefined,
    })
    // Not before: Node tells of data at once, and of the head a tick later.
    stream.on('data', (piece: Uint8Array) => this.#observer?.onBody(piece))
    stream.on('end', () => this.#onEnd())
  }

  #onTrailers(raw: readonly string[]): void {
    try {
      this.#observer?.onTrailers(headerMapOf(raw))
    } catch (error) {
      if (!(error instanceof HttpCodecError)) throw error
    }
  }

  /** A response that ends before its request needs nothing more of that: gRPC servers refuse so. */
  #onEnd(): void {
    const observer = this.#take()
    const stream = this.#stream!
    if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    observer?.onEnd()
  }

  #onClose(): void {
    this.#session.closed()
    const { rstCode } = this.#stream!
    const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM
    const wasReset = rstCode !== constants.NGHTTP2_NO_ERROR
    const reason = isRefused ? 'remote refused stream reset' : wasReset ? 'remote reset' : 'connection termination'
    this.#take()?.onReset(reason, '')
  }

  #take(): ResponseObserver | undefined {
    const observer = this.#observer
    this.#observer = undefined
    return observer
  }
}

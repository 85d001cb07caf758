import type { CancelTimer, Clock } from '@ambient-lab/std'
import type { HeaderMap, OutgoingRequest, ResponseHead } from '../../http1/index.ts'
import {
  HTTP2_ERROR,
  type Http2ClientOwner,
  Http2ClientSession,
  type Http2ClientStream,
  type Http2ResponseSink,
  type StreamFailure,
} from '../../http2/index.ts'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { HTTP2_STREAMS_MAX, HTTP2_WINDOW_BYTES } from '../limits.ts'
import type { ResetReason } from '../router/retries.ts'
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
  /** Of a connection without exchanges. */
  readonly idleTimeoutMs: number
}

/** HTTP/2 to one host for one client: one connection, many exchanges; another when that one is full or going away. */
export class Http2Pool implements UpstreamPool {
  readonly #components: Http2PoolComponents
  readonly #init: Http2PoolInit
  readonly #waiting: PoolCustomer[] = []
  readonly #sessions = new Set<Session>()
  #dialing = false
  #cancelReap: CancelTimer | undefined
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
    this.#cancelReap?.()
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
    const session: Session = new Session(stream, this.#components.clock, {
      onRoom: () => {
        this.#serve()
        if (session.isIdle) this.#rest(session)
      },
      onClosed: () => {
        this.#sessions.delete(session)
        this.#components.breaker.release('connections')
        if (this.#waiting.length > 0 && !this.#dialing) this.#dial()
      },
    })
    this.#sessions.add(session)
    this.#serve()
    if (this.#draining) session.drain()
    else if (session.isIdle) this.#rest(session)
  }

  #rest(session: Session): void {
    session.idleSinceMs = this.#components.clock.monotonic()
    if (!this.#cancelReap && !this.#draining) this.#armReap(this.#init.idleTimeoutMs)
  }

  /** One timer for all, set once for as long as there are idle connections: requests pay nothing for it. */
  #armReap(delayMs: number): void {
    this.#cancelReap = this.#components.clock.schedule(delayMs, () => this.#reap(), { background: true })
  }

  #reap(): void {
    this.#cancelReap = undefined
    const dueMs = this.#components.clock.monotonic() - this.#init.idleTimeoutMs
    const idle = [...this.#sessions].filter(({ isIdle }) => isIdle)
    for (const session of idle) if (session.idleSinceMs <= dueMs) session.drain()
    const rest = idle.filter(({ idleSinceMs }) => idleSinceMs > dueMs)
    if (rest.length > 0) this.#armReap(Math.min(...rest.map(({ idleSinceMs }) => idleSinceMs)) - dueMs)
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
  readonly h2: Http2ClientSession
  readonly #onRoom: () => void
  idleSinceMs = 0
  /** Places that were given away. */
  #open = 0

  constructor(stream: ByteStream, clock: Clock, owner: Http2ClientOwner) {
    this.#onRoom = owner.onRoom
    this.h2 = new Http2ClientSession(
      { stream, clock },
      { owner, streamsMax: HTTP2_STREAMS_MAX, streamWindowBytes: HTTP2_WINDOW_BYTES },
    )
    stream.start(this.h2)
  }

  get hasRoom(): boolean {
    return this.h2.isUsable && this.#open < this.h2.placesMax
  }

  get isIdle(): boolean {
    return this.#open === 0 && this.h2.isUsable
  }

  drain(): void {
    this.h2.drain()
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
class Http2Place implements UpstreamConnection, Http2ResponseSink {
  readonly #session: Session
  #stream: Http2ClientStream | undefined
  #observer: ResponseObserver | undefined
  #isGivenBack = false

  constructor(session: Session) {
    this.#session = session
    session.opened()
  }

  send(request: OutgoingRequest, observer: ResponseObserver): void {
    this.#stream = this.#session.h2.request(request, 'http', this)
    this.#observer = observer
  }

  writeBody(piece: Uint8Array): boolean {
    return this.#stream?.write(piece) ?? true
  }

  endRequest(trailers: HeaderMap | undefined): void {
    this.#stream?.end(trailers)
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
    this.#stream?.reset(HTTP2_ERROR.CANCEL)
    this.#giveBack()
  }

  close(): void {
    this.#giveBack()
  }

  // Http2ResponseSink

  onHead(head: ResponseHead): void {
    this.#observer?.onHead(head)
  }

  onData(piece: Uint8Array): void {
    this.#observer?.onBody(piece)
  }

  /** A response that ends before its request needs nothing more of that: gRPC servers refuse so. */
  onEnd(trailers: HeaderMap | undefined): void {
    const observer = this.#take()
    if (trailers) observer?.onTrailers(trailers)
    this.#stream!.reset(HTTP2_ERROR.NO_ERROR)
    this.#giveBack()
    observer?.onEnd()
  }

  onDrain(): void {
    this.#observer?.onDrain()
  }

  onFailure(failure: StreamFailure): void {
    const observer = this.#take()
    this.#giveBack()
    const text = failure === 'malformed' ? 'the upstream sent no message of HTTP/2, or more than it may' : ''
    observer?.onReset(REASONS[failure], text)
  }

  #giveBack(): void {
    if (this.#isGivenBack) return
    this.#isGivenBack = true
    this.#session.closed()
  }

  #take(): ResponseObserver | undefined {
    const observer = this.#observer
    this.#observer = undefined
    return observer
  }
}

const REASONS: Readonly<Record<StreamFailure, ResetReason>> = {
  refused: 'remote refused stream reset',
  reset: 'remote reset',
  malformed: 'protocol error',
  gone: 'connection termination',
  stalled: 'local reset',
}

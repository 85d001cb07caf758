import type { CancelTimer, Clock, Random } from '@ambient-lab/std'
import type { Http2Options } from '@ambient-lab/xds'
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
  readonly random: Random
  readonly breaker: CircuitBreaker
  readonly dial: (options: { readonly timeoutMs: number; readonly signal: AbortSignal }) => Promise<ByteStream>
}

export interface Http2PoolInit extends Http2Options {
  readonly connectTimeoutMs: number
  /** Of a connection without exchanges; 0: for ever. */
  readonly idleTimeoutMs: number
  /** 0: no limit. @default 0 */
  readonly maxRequestsPerConnection?: number
  readonly maxConnectionDurationMs?: number | undefined
}

/** HTTP/2 to one host for one client: one connection, many exchanges; more when that one is full or going away. */
export class Http2Pool implements UpstreamPool {
  readonly #components: Http2PoolComponents
  readonly #init: Http2PoolInit
  readonly #waiting: PoolCustomer[] = []
  readonly #sessions = new Set<Session>()
  /** Under way. */
  #dials = 0
  #cancelReap: CancelTimer | undefined
  #draining = false

  constructor(components: Http2PoolComponents, init: Http2PoolInit) {
    this.#components = components
    this.#init = init
  }

  get isEmpty(): boolean {
    return this.#sessions.size === 0 && this.#dials === 0 && this.#waiting.length === 0
  }

  acquire(customer: PoolCustomer): UpstreamConnection | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return new Http2Place(session)
    const { breaker } = this.#components
    if (!breaker.acquire('pendingRequests')) {
      queueMicrotask(() => customer.onFailure('overflow', ''))
      return undefined
    }
    this.#waiting.push(customer)
    this.#dialAsNeeded()
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

  /** As many connections as those who wait would fill. */
  #dialAsNeeded(): void {
    const places = Math.min(this.#placesMax, this.#init.maxRequestsPerConnection || Number.POSITIVE_INFINITY)
    while (this.#waiting.length > this.#dials * places && this.#mayDial()) this.#dial()
  }

  get #placesMax(): number {
    return Math.min(HTTP2_STREAMS_MAX, this.#init.maxConcurrentStreams ?? HTTP2_STREAMS_MAX)
  }

  /** Takes the place for a connection. The first one is always allowed, or the host would never serve anybody. */
  #mayDial(): boolean {
    const { breaker } = this.#components
    if (breaker.acquire('connections')) return true
    if (this.#sessions.size + this.#dials > 0) return false
    breaker.force('connections')
    return true
  }

  #dial(): void {
    const { clock, breaker, dial } = this.#components
    const { connectTimeoutMs: timeoutMs } = this.#init
    this.#dials += 1
    const abort = new AbortController()
    const cancelTimeout = clock.schedule(timeoutMs, () => abort.abort(connectTimeout(timeoutMs)))
    Promise.resolve()
      .then(() => dial({ timeoutMs, signal: abort.signal }))
      .then(
        (stream) => {
          cancelTimeout()
          this.#dials -= 1
          this.#connected(stream)
        },
        (error: unknown) => {
          cancelTimeout()
          this.#dials -= 1
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
    const owner: Http2ClientOwner = {
      onRoom: () => {
        this.#serve()
        if (session.isIdle) this.#rest(session)
      },
      onClosed: () => {
        this.#sessions.delete(session)
        this.#components.breaker.release('connections')
        this.#dialAsNeeded()
      },
    }
    const session: Session = new Session(stream, this.#components, {
      ...this.#init,
      streamsMax: this.#placesMax,
      owner,
    })
    this.#sessions.add(session)
    this.#serve()
    this.#dialAsNeeded()
    if (this.#draining) session.drain()
    else if (session.isIdle) this.#rest(session)
  }

  #rest(session: Session): void {
    session.idleSinceMs = this.#components.clock.monotonic()
    const { idleTimeoutMs } = this.#init
    if (!this.#cancelReap && !this.#draining && idleTimeoutMs > 0) this.#armReap(idleTimeoutMs)
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

interface SessionInit extends Http2PoolInit {
  readonly owner: Http2ClientOwner
  readonly streamsMax: number
}

/** One connection. */
class Session {
  readonly h2: Http2ClientSession
  readonly #onRoom: () => void
  idleSinceMs = 0
  /** Places that were given away. */
  #open = 0
  /** Places that may be given away still. */
  #left: number
  readonly #cancelDuration: CancelTimer | undefined

  constructor(stream: ByteStream, { clock, random }: Pick<Http2PoolComponents, 'clock' | 'random'>, init: SessionInit) {
    const { owner, streamsMax, keepalive, maxRequestsPerConnection, maxConnectionDurationMs } = init
    this.#onRoom = owner.onRoom
    this.#left = maxRequestsPerConnection || Number.POSITIVE_INFINITY
    if (maxConnectionDurationMs) this.#cancelDuration = clock.schedule(maxConnectionDurationMs, () => this.#retire())
    const onClosed = () => {
      this.#cancelDuration?.()
      owner.onClosed()
    }
    this.h2 = new Http2ClientSession(
      { stream, clock },
      {
        ...{ streamsMax, streamWindowBytes: HTTP2_WINDOW_BYTES, owner: { onRoom: owner.onRoom, onClosed } },
        keepalive: keepalive && { ...keepalive, random },
      },
    )
    stream.start(this.h2)
  }

  get hasRoom(): boolean {
    return this.#left > 0 && this.h2.isUsable && this.#open < this.h2.placesMax
  }

  get isIdle(): boolean {
    return this.#open === 0 && this.h2.isUsable
  }

  drain(): void {
    this.h2.drain()
  }

  opened(): void {
    this.#open += 1
    this.#left -= 1
  }

  closed(): void {
    this.#open -= 1
    if (this.#left === 0) this.#retire()
    this.#onRoom()
  }

  /** Nothing new. A place that was given away and not yet used would find a closed connection: so it is closed behind them all. */
  #retire(): void {
    this.#left = 0
    if (this.#open === 0) this.h2.drain()
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

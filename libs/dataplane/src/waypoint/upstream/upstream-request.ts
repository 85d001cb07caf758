import type { Clock } from '@ambient-lab/std'
import { type HeaderMap, HttpCodecError, type OutgoingRequest, type ResponseHead } from '../../http1/index.ts'
import type { DownstreamPeer } from '../request-record.ts'
import type { ResetReason } from '../router/retries.ts'
import type { Cluster } from './cluster.ts'
import type { UpstreamHost } from './host.ts'
import type { PoolCustomer, ResponseObserver, UpstreamConnection, UpstreamPool } from './upstream-connection.ts'

/** Who made the try. */
export interface TryObserver {
  /** The head was sent: the body may follow. */
  onReady(): void
  onResponseHead(head: ResponseHead): void
  onResponseBody(piece: Uint8Array): void
  onResponseEnd(trailers: HeaderMap | undefined): void
  onRequestDrain(): void
  /** The try has failed, before a response or within it. @param requestSent whether the head had been sent */
  onReset(reason: ResetReason, failure: string, requestSent: boolean): void
}

/** One try: a connection to a host, a request on it, its response. */
export class UpstreamRequest implements PoolCustomer, ResponseObserver {
  readonly host: UpstreamHost
  /** When the head was sent. */
  sentMs = 0
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #head: OutgoingRequest
  readonly #observer: TryObserver
  readonly #pool: UpstreamPool
  #connection: UpstreamConnection | undefined
  #trailers: HeaderMap | undefined
  #status = 0
  #over = false

  constructor(init: {
    readonly cluster: Cluster
    readonly clock: Clock
    readonly host: UpstreamHost
    /** Undefined: the proxy itself. */
    readonly peer: DownstreamPeer | undefined
    readonly head: OutgoingRequest
    /** Whether the client spoke HTTP/2, for clusters that follow it. */
    readonly isHttp2: boolean
    readonly observer: TryObserver
  }) {
    this.host = init.host
    this.#cluster = init.cluster
    this.#clock = init.clock
    this.#head = init.head
    this.#observer = init.observer
    this.#pool = init.cluster.poolOf(init.host, init.peer, init.isHttp2)
  }

  get isReady(): boolean {
    return this.#connection !== undefined
  }

  start(): void {
    if (!this.#cluster.breaker.acquire('requests')) {
      this.#over = true
      queueMicrotask(() => this.#observer.onReset('overflow', '', false))
      return
    }
    this.host.activeRequests += 1
    const connection = this.#pool.acquire(this)
    if (connection) this.onConnection(connection)
  }

  writeBody(piece: Uint8Array): boolean {
    return this.#connection?.writeBody(piece) ?? true
  }

  end(trailers: HeaderMap | undefined): void {
    this.#connection?.endRequest(trailers)
  }

  /** Its outcome is of no interest any more. */
  cancel(): void {
    if (this.#over) return
    this.#finish()
    if (this.#connection) this.#connection.abandon()
    else this.#pool.cancel(this)
  }

  pauseResponse(): void {
    this.#connection?.pause()
  }

  resumeResponse(): void {
    this.#connection?.resume()
  }

  /** Both ends of the exchange carry another protocol from now on. */
  switchProtocols(): void {
    this.#connection?.switchProtocols()
  }

  onConnection(connection: UpstreamConnection): void {
    try {
      connection.send(this.#head, this)
    } catch (error) {
      if (!(error instanceof HttpCodecError)) throw error
      this.#finish()
      connection.close()
      return this.#observer.onReset('protocol error', error.message, false)
    }
    this.#connection = connection
    this.sentMs = this.#clock.monotonic()
    this.#observer.onReady()
  }

  onFailure(reason: ResetReason, failure: string): void {
    if (this.#over) return
    if (reason !== 'overflow') this.#cluster.record(this.host, 'local-origin-failure')
    this.#finish()
    this.#observer.onReset(reason, failure, false)
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status
    if (head.status !== 101) this.#cluster.record(this.host, { status: head.status })
    this.#observer.onResponseHead(head)
  }

  onBody(piece: Uint8Array): void {
    this.#observer.onResponseBody(piece)
  }

  onTrailers(trailers: HeaderMap): void {
    this.#trailers = trailers
  }

  onEnd(): void {
    if (this.#over) return
    this.#finish()
    this.#observer.onResponseEnd(this.#trailers)
  }

  onDrain(): void {
    this.#observer.onRequestDrain()
  }

  onReset(reason: ResetReason, failure: string): void {
    if (this.#over) return
    if (this.#status === 0) this.#cluster.record(this.host, 'local-origin-failure')
    this.#finish()
    this.#observer.onReset(reason, failure, true)
  }

  #finish(): void {
    this.#over = true
    this.host.activeRequests -= 1
    this.#cluster.breaker.release('requests')
  }
}

import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { ByteStream } from '../../stream/byte-stream.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { connectTimeout, dialFailure } from './dial-failure.ts'
import { type ConnectionOwner, Http1Connection } from './http1-connection.ts'
import type { PoolCustomer, UpstreamPool } from './upstream-connection.ts'

export interface ConnectionPoolComponents {
  readonly clock: Clock
  readonly breaker: CircuitBreaker
  readonly dial: (options: { readonly timeoutMs: number; readonly signal: AbortSignal }) => Promise<ByteStream>
}

export interface ConnectionPoolInit {
  readonly connectTimeoutMs: number
  /** 0: for ever. */
  readonly idleTimeoutMs: number
  /** 0: no limit. */
  readonly maxRequestsPerConnection: number
  readonly maxConnectionDurationMs: number | undefined
}

/** The connections to one host for one client. Those used last are used next, so that the others can be let go. */
export class ConnectionPool implements UpstreamPool, ConnectionOwner {
  readonly #components: ConnectionPoolComponents
  readonly #init: ConnectionPoolInit
  readonly #idle: Http1Connection[] = []
  readonly #waiting: PoolCustomer[] = []
  readonly #dials = new Set<AbortController>()
  #open = 0
  #cancelReap: CancelTimer | undefined
  #draining = false

  constructor(components: ConnectionPoolComponents, init: ConnectionPoolInit) {
    this.#components = components
    this.#init = init
  }

  get isEmpty(): boolean {
    return this.#open === 0 && this.#waiting.length === 0
  }

  acquire(customer: PoolCustomer): Http1Connection | undefined {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isUsable && !this.#isWornOut(connection)) return connection
      connection.close()
    }
    const { breaker } = this.#components
    if (!breaker.acquire('pendingRequests')) {
      // Not from inside the call: the customer has not even kept its own state yet.
      queueMicrotask(() => customer.onFailure('overflow', ''))
      return undefined
    }
    this.#waiting.push(customer)
    // A host gets one connection whatever the limit says, or it would never serve anybody (Envoy does so too).
    if (this.#dials.size < this.#waiting.length && (breaker.acquire('connections') || this.#forceFirst())) this.#dial()
    return undefined
  }

  /** The customer does not want a connection any more. */
  cancel(customer: PoolCustomer): void {
    const index = this.#waiting.indexOf(customer)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    this.#components.breaker.release('pendingRequests')
  }

  /** The host is gone or the configuration is another: nothing new; what is in use ends with its exchange. */
  drain(): void {
    this.#draining = true
    for (const connection of this.#idle.splice(0)) connection.close()
    this.#cancelReap?.()
    if (this.#waiting.length === 0) for (const dial of this.#dials) dial.abort(poolDrained())
  }

  onIdle(connection: Http1Connection): void {
    const customer = this.#waiting.shift()
    if (customer) {
      this.#components.breaker.release('pendingRequests')
      if (!this.#isWornOut(connection)) return customer.onConnection(connection)
      connection.close()
      this.#waiting.unshift(customer)
      this.#components.breaker.acquire('pendingRequests')
      return
    }
    if (this.#draining || this.#isWornOut(connection)) return connection.close()
    connection.idleSinceMs = this.#components.clock.monotonic()
    this.#idle.push(connection)
    const { idleTimeoutMs } = this.#init
    if (!this.#cancelReap && idleTimeoutMs > 0) this.#armReap(idleTimeoutMs)
  }

  onClosed(connection: Http1Connection): void {
    this.#open -= 1
    this.#components.breaker.release('connections')
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#serveWaiting()
  }

  #forceFirst(): boolean {
    const { breaker } = this.#components
    if (this.#open + this.#dials.size > 0) return false
    breaker.force('connections')
    return true
  }

  /** Somebody may have been waiting for a place, not for this connection. */
  #serveWaiting(): void {
    if (this.#waiting.length === 0 || this.#dials.size >= this.#waiting.length) return
    if (this.#components.breaker.acquire('connections') || this.#forceFirst()) this.#dial()
  }

  #isWornOut(connection: Http1Connection): boolean {
    const { maxRequestsPerConnection, maxConnectionDurationMs } = this.#init
    if (maxRequestsPerConnection > 0 && connection.requests >= maxRequestsPerConnection) return true
    if (maxConnectionDurationMs === undefined) return false
    return this.#components.clock.monotonic() - connection.openedMs >= maxConnectionDurationMs
  }

  #dial(): void {
    const { clock } = this.#components
    const { connectTimeoutMs } = this.#init
    const abort = new AbortController()
    this.#dials.add(abort)
    const cancelTimeout = clock.schedule(connectTimeoutMs, () => {
      abort.abort(connectTimeout(connectTimeoutMs))
    })
    this.#open += 1
    this.#tryDial({ timeoutMs: connectTimeoutMs, signal: abort.signal }).then(
      (stream) => {
        cancelTimeout()
        this.#dials.delete(abort)
        this.#connected(stream)
      },
      (error: unknown) => {
        cancelTimeout()
        this.#dials.delete(abort)
        this.#open -= 1
        this.#components.breaker.release('connections')
        this.#failWaiting(error)
      },
    )
  }

  /** A dial that cannot even begin fails like any other. */
  async #tryDial(options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<ByteStream> {
    return this.#components.dial(options)
  }

  #connected(stream: ByteStream): void {
    const connection = new Http1Connection(stream, this, this.#components.clock.monotonic())
    const customer = this.#waiting.shift()
    if (!customer) return this.onIdle(connection)
    this.#components.breaker.release('pendingRequests')
    customer.onConnection(connection)
  }

  /** Everybody who waits hears of it, as with Envoy: who may try again will try another host. */
  #failWaiting(error: unknown): void {
    const { reason, failure } = dialFailure(error)
    for (const customer of this.#waiting.splice(0)) {
      this.#components.breaker.release('pendingRequests')
      customer.onFailure(reason, failure)
    }
  }

  /** One timer for all: the one that is idle for the longest time is the first of the list. */
  #armReap(delayMs: number): void {
    this.#cancelReap = this.#components.clock.schedule(delayMs, () => this.#reap(), { background: true })
  }

  #reap(): void {
    this.#cancelReap = undefined
    const { idleTimeoutMs } = this.#init
    const nowMs = this.#components.clock.monotonic()
    while (this.#idle.length > 0 && nowMs - this.#idle[0]!.idleSinceMs >= idleTimeoutMs) this.#idle.shift()!.close()
    const oldest = this.#idle[0]
    if (oldest) this.#armReap(idleTimeoutMs - (nowMs - oldest.idleSinceMs))
  }
}

function poolDrained(): CodedError {
  return new CodedError('POOL_DRAINING', 'pool draining')
}

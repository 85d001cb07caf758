import { formatSpiffeId, type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import { tunnelError } from './errors.ts'
import { CONNECT_ATTEMPTS_MAX, POOL_IDLE_RELEASE_MS, POOL_SESSIONS_PER_KEY_MAX } from './limits.ts'
import type { ConnectedStream, ConnectRequest, DialTarget, Transport, TunnelSession } from './transport.ts'

/** Whom to reach, and as whom. Every field but the names of nodes decides which tunnel may be shared. */
export interface PoolTarget extends DialTarget {
  /** The client pod's address: two pods never share a tunnel, even with one identity (ambient.md §2.5). */
  readonly sourceIp: string
}

export interface PooledStream extends ConnectedStream {
  readonly session: TunnelSession
  /** Whether the tunnel had been there before. */
  readonly reused: boolean
}

export interface TunnelPoolComponents {
  readonly transport: Transport
  readonly clock: Clock
}

export interface TunnelPoolInit {
  /** How long a tunnel without streams is kept. @default 5 min */
  readonly idleReleaseMs?: number
}

interface Pooled {
  readonly session: TunnelSession
  /** Has been asked for a stream before. */
  used: boolean
  cancelRelease: CancelTimer
}

/** The tunnels of one key. */
interface Pool {
  readonly tunnels: Pooled[]
  /** The one dial under way; whoever needs a tunnel meanwhile waits for it. */
  dialing: { readonly promise: Promise<Pooled>; readonly abort: AbortController; waiting: number } | undefined
}

/** Tunnels, shared by those who may share them: opened when wanted, one dial at a time, released when idle. */
export class TunnelPool implements AsyncDisposable {
  readonly #components: TunnelPoolComponents
  readonly #idleReleaseMs: number
  readonly #pools = new Map<string, Pool>()
  #draining = false

  constructor(components: TunnelPoolComponents, init: TunnelPoolInit = {}) {
    this.#components = components
    this.#idleReleaseMs = init.idleReleaseMs ?? POOL_IDLE_RELEASE_MS
  }

  /** How many tunnels stand. */
  get size(): number {
    return [...this.#pools.values()].reduce((sum, pool) => sum + pool.tunnels.length, 0)
  }

  /**
   * Asks for a stream to `request.authority` through a tunnel to `target`. A tunnel that served before and turns out to
   * be dying is replaced; a fresh one that fails is not.
   * @throws CodedError those of `Transport.dial` and of `TunnelSession.connect`, POOL_DRAINING, POOL_FULL
   */
  async connect(target: PoolTarget, request: ConnectRequest, signal?: AbortSignal): Promise<PooledStream> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      if (this.#draining) throw poolDraining()
      const pooled = await this.#tunnelTo(target, signal)
      const reused = pooled.used
      pooled.used = true
      pooled.cancelRelease()
      try {
        return { ...(await pooled.session.connect(request, signal)), session: pooled.session, reused }
      } catch (error) {
        if (!mayRetry(error, reused, attempt)) throw error
      }
    }
  }

  /** Nothing new; each tunnel closes when its last stream ends. */
  drain(): void {
    this.#draining = true
    for (const { dialing, tunnels } of this.#pools.values()) {
      dialing?.abort.abort(poolDraining())
      for (const { session } of [...tunnels]) session.drain()
    }
  }

  /** Drains the tunnels of one identity, because its certificate was replaced or its workload is gone. */
  drainSource(source: SpiffeId): void {
    for (const { tunnels } of this.#pools.values()) {
      for (const { session } of [...tunnels]) if (sameSpiffeId(session.local, source)) session.drain()
    }
  }

  /** Drains and cuts what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.drain()
    const reason = tunnelError('SESSION_CLOSED', 'connection failed to drain within the timeout')
    for (const { tunnels } of this.#pools.values()) for (const { session } of [...tunnels]) session.close(reason)
  }

  async #tunnelTo(target: PoolTarget, signal: AbortSignal | undefined): Promise<Pooled> {
    const key = poolKey(target)
    const pool = this.#pools.get(key) ?? { tunnels: [], dialing: undefined }
    this.#pools.set(key, pool)
    const free = pool.tunnels.find(({ session }) => session.acceptsStreams && !session.isFull)
    if (free) return free
    if (pool.tunnels.length >= POOL_SESSIONS_PER_KEY_MAX) {
      throw tunnelError('POOL_FULL', `${pool.tunnels.length} tunnels are open to ${target.serverName}`)
    }
    pool.dialing ??= this.#dial(target, key, pool)
    return shareDial(pool.dialing, signal)
  }

  #dial(target: PoolTarget, key: string, pool: Pool): NonNullable<Pool['dialing']> {
    const abort = new AbortController()
    const promise = this.#components.transport
      .dial(target, abort.signal)
      .then((session) => this.#adopt(session, key, pool))
      .finally(() => {
        pool.dialing = undefined
        this.#forgetWhenEmpty(key, pool)
      })
    promise.catch(() => {}) // whoever waits is told; perhaps nobody waits any more
    return { promise, abort, waiting: 0 }
  }

  #adopt(session: TunnelSession, key: string, pool: Pool): Pooled {
    const pooled: Pooled = { session, used: false, cancelRelease: () => {} }
    pool.tunnels.push(pooled)
    session.onClose(() => {
      pooled.cancelRelease()
      pool.tunnels.splice(pool.tunnels.indexOf(pooled), 1)
      this.#forgetWhenEmpty(key, pool)
    })
    session.onIdle(() => this.#releaseLater(pooled))
    this.#releaseLater(pooled)
    if (this.#draining) session.drain()
    return pooled
  }

  #releaseLater(pooled: Pooled): void {
    pooled.cancelRelease()
    const release = () => {
      if (pooled.session.openStreams === 0) pooled.session.drain()
    }
    pooled.cancelRelease = this.#components.clock.schedule(this.#idleReleaseMs, release, { background: true })
  }

  #forgetWhenEmpty(key: string, pool: Pool): void {
    if (pool.tunnels.length === 0 && !pool.dialing && this.#pools.get(key) === pool) this.#pools.delete(key)
  }
}

/** Waits for a dial that others may wait for too: it is given up when the last of them is. */
async function shareDial(dialing: NonNullable<Pool['dialing']>, signal: AbortSignal | undefined): Promise<Pooled> {
  if (!signal) {
    dialing.waiting += 1
    return dialing.promise
  }
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => {
    dialing.waiting -= 1
    if (dialing.waiting === 0) dialing.abort.abort(signal.reason)
    reject(signal.reason)
  }
  dialing.waiting += 1
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([dialing.promise, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The key that ztunnel uses, and the SNI: our listeners serve a whole node, theirs one pod. */
function poolKey(target: PoolTarget): string {
  const { source, expectedIds, address, serverName, sourceIp } = target
  const ids = expectedIds.map(formatSpiffeId).sort()
  return JSON.stringify([formatSpiffeId(source), ids, address.host, address.port, serverName, sourceIp])
}

function mayRetry(error: unknown, reused: boolean, attempt: number): boolean {
  if (!CodedError.is(error)) return false
  // Nothing was sent: the tunnel filled up between our look and our asking.
  if (error.code === 'SESSION_FULL') return reused
  if (attempt >= CONNECT_ATTEMPTS_MAX) return false
  return error.retry === 'yes' || (error.retry === 'if-reused' && reused)
}

function poolDraining(): CodedError {
  return tunnelError('POOL_DRAINING', 'pool draining')
}

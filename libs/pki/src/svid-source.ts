import {
  Backoff,
  type CancelTimer,
  type Clock,
  type CodedError,
  Emitter,
  errorMessage,
  formatDuration,
  type Random,
} from '@ambient-lab/std'
import { pkiError } from './errors.ts'
import {
  SVID_CLOCK_CHECK_MS,
  SVID_FETCHES_MAX,
  SVID_RETRY_MS_FIRST,
  SVID_RETRY_MS_MAX,
  SVID_ROTATION_MS_MIN,
  SVID_TTL_SECONDS_DEFAULT,
} from './limits.ts'
import { formatSpiffeId, type SpiffeId } from './spiffe-id.ts'
import { abortable, type CertificateSigner, requestSvid } from './svid-request.ts'
import type { TrustBundle } from './trust-bundle.ts'
import type { X509Svid } from './x509-svid.ts'

/** In order of urgency: somebody waits; somebody will; the old one still serves. */
export type SvidPriority = 'realtime' | 'warmup' | 'background'

export type SvidState =
  | { readonly phase: 'Initializing' }
  | { readonly phase: 'Available'; readonly svid: X509Svid }
  | { readonly phase: 'Unavailable' /** ztunnel's sentence, with the cause and the delay. */; readonly reason: string }

/** `svid` is the certificate that holds now; without one the identity became unavailable or was forgotten. */
export interface SvidChange {
  readonly id: SpiffeId
  /** `trusts-more` and `trusts-less`: the same certificate with other roots, in the second case without one that it had. */
  readonly kind: 'available' | 'trusts-more' | 'trusts-less' | 'unavailable' | 'forgotten'
  readonly svid?: X509Svid
}

export interface SvidSourceComponents {
  readonly clock: Clock
  readonly random: Random
  readonly signer: CertificateSigner
}

export interface SvidSourceInit {
  /** Asked for; the signer may give less. @default 86400 */
  readonly ttlSeconds?: number
  /** Requests under way at once. @default 8 */
  readonly fetchesMax?: number
}

/** One identity. It is either queued, or being fetched, or waiting for its timer; the timer's purpose does not matter. */
interface Entry {
  readonly id: SpiffeId
  readonly backoff: Backoff
  /** The last certificate that was good; perhaps expired by now. */
  svid: X509Svid | undefined
  /** When `svid` should be replaced, in wall time. */
  rotateAtMs: number
  failure: string | undefined
  queued: SvidPriority | undefined
  fetching: AbortController | undefined
  waiting: PromiseWithResolvers<X509Svid> | undefined
  cancelTimer: CancelTimer
}

const PRIORITIES: readonly SvidPriority[] = ['realtime', 'warmup', 'background']

/**
 * The certificates of the identities on this node: fetched when first wanted, replaced at half-life, kept through
 * failures of the signer until they expire. Only new connections see a new certificate.
 * Holds as many entries as there are identities in use; who learns that the last user is gone calls `forget`.
 */
export class SvidSource implements AsyncDisposable {
  readonly #components: SvidSourceComponents
  readonly #ttlSeconds: number
  readonly #fetchesMax: number
  readonly #entries = new Map<string, Entry>()
  readonly #changes = new Emitter<SvidChange>()
  /** What the control plane says is trusted; undefined where it says so with each certificate only. */
  #trusted: TrustBundle | undefined
  #fetches = 0
  #disposed = false

  constructor({
    components,
    init = {},
  }: { readonly components: SvidSourceComponents; readonly init?: SvidSourceInit }) {
    this.#components = components
    this.#ttlSeconds = init.ttlSeconds ?? SVID_TTL_SECONDS_DEFAULT
    this.#fetchesMax = init.fetchesMax ?? SVID_FETCHES_MAX
  }

  /** The certificate to use now, if there is one that is valid; never waits, never fetches. */
  current(id: SpiffeId): X509Svid | undefined {
    const entry = this.#entries.get(formatSpiffeId(id))
    return entry && this.#valid(entry)
  }

  /**
   * The certificate to use now: the one at hand, or a new one if this identity was never fetched or is being fetched for
   * the first time. While fetching fails it throws at once, as ztunnel does, instead of making connections wait.
   * @throws CodedError CERTIFICATE_UNAVAILABLE, CERTIFICATE_FORGOTTEN; the signal's reason
   */
  async fetch(
    id: SpiffeId,
    options: { /** @default 'realtime' */ readonly priority?: SvidPriority; readonly signal?: AbortSignal } = {},
  ): Promise<X509Svid> {
    options.signal?.throwIfAborted()
    if (this.#disposed) throw forgotten(id)
    const entry = this.#entry(id, options.priority ?? 'realtime')
    const valid = this.#valid(entry)
    if (valid) {
      this.#rotateIfOverdue(entry)
      return valid
    }
    if (entry.failure !== undefined) throw unavailable(id, entry.failure)
    entry.waiting ??= silent(Promise.withResolvers<X509Svid>())
    // An expired certificate with no failure behind it: the clock jumped. Its fetch does not wait for the timer.
    this.#enqueue(entry, options.priority ?? 'realtime')
    return abortable(entry.waiting.promise, options.signal)
  }

  /** Has the certificate fetched soon, because a workload with this identity has appeared. */
  prefetch(id: SpiffeId): void {
    if (!this.#disposed) this.#entry(id, 'warmup')
  }

  /** Undefined for an identity that was never wanted, or is forgotten. */
  state(id: SpiffeId): SvidState | undefined {
    const entry = this.#entries.get(formatSpiffeId(id))
    return entry && this.#stateOf(entry)
  }

  /** Every identity, in the order in which they were first wanted. */
  states(): { readonly id: SpiffeId; readonly state: SvidState }[] {
    return [...this.#entries.values()].map((entry) => ({ id: entry.id, state: this.#stateOf(entry) }))
  }

  /** Drops key and certificate; who waits for it gets CERTIFICATE_FORGOTTEN. */
  forget(id: SpiffeId): void {
    const entry = this.#entries.get(formatSpiffeId(id))
    if (!entry) return
    const error = forgotten(id)
    this.#entries.delete(formatSpiffeId(id))
    entry.cancelTimer()
    entry.queued = undefined
    entry.fetching?.abort(error)
    entry.waiting?.reject(error)
    this.#changes.emit({ id, kind: 'forgotten' })
  }

  /** Fetches a new certificate although the old one is good: a root was rotated, or a person wants to see it. */
  refresh(id: SpiffeId): void {
    const entry = this.#entries.get(formatSpiffeId(id))
    if (entry) this.#enqueue(entry, 'background')
  }

  /**
   * The roots of the mesh are others now: from here on every certificate of this source believes these, whatever roots it
   * came with. Certificates and keys stay as they are.
   */
  trust(bundle: TrustBundle): void {
    this.#trusted = bundle
    for (const entry of this.#entries.values()) {
      const before = entry.svid?.bundle
      if (!entry.svid || !before || before.equals(bundle)) continue
      entry.svid = entry.svid.withBundle(bundle)
      this.#changes.emit({
        id: entry.id,
        kind: bundle.includes(before) ? 'trusts-more' : 'trusts-less',
        svid: entry.svid,
      })
    }
  }

  /**
   * The signer can be reached again: what failed is fetched now instead of after its backoff, and who wants it waits
   * for that instead of hearing of the old failure.
   */
  retryFailed(): void {
    for (const entry of this.#entries.values()) {
      if (entry.backoff.attempts === 0) continue
      entry.backoff.reset()
      entry.failure = undefined
      this.#enqueue(entry, this.#valid(entry) ? 'background' : 'warmup')
    }
  }

  /** Returns the way to unsubscribe. */
  onChange(listener: (change: SvidChange) => void): () => void {
    return this.#changes.on(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    for (const entry of [...this.#entries.values()]) this.forget(entry.id)
  }

  #entry(id: SpiffeId, priority: SvidPriority): Entry {
    const key = formatSpiffeId(id)
    const known = this.#entries.get(key)
    if (known) {
      if (known.queued) this.#enqueue(known, priority)
      return known
    }
    const entry: Entry = {
      id,
      backoff: new Backoff({
        initialMs: SVID_RETRY_MS_FIRST,
        maxMs: SVID_RETRY_MS_MAX,
        random: this.#components.random.fork(key),
      }),
      svid: undefined,
      rotateAtMs: 0,
      failure: undefined,
      queued: undefined,
      fetching: undefined,
      waiting: undefined,
      cancelTimer: () => {},
    }
    this.#entries.set(key, entry)
    this.#enqueue(entry, priority)
    return entry
  }

  #valid(entry: Entry): X509Svid | undefined {
    return entry.svid?.isValidAt(this.#components.clock.now()) ? entry.svid : undefined
  }

  #stateOf(entry: Entry): SvidState {
    const svid = this.#valid(entry)
    if (svid) return { phase: 'Available', svid }
    return entry.failure === undefined ? { phase: 'Initializing' } : { phase: 'Unavailable', reason: entry.failure }
  }

  /** Queues a fetch, or makes a queued one more urgent; one that is under way serves everybody. */
  #enqueue(entry: Entry, priority: SvidPriority): void {
    if (entry.fetching) return
    const isUrgent = !entry.queued || PRIORITIES.indexOf(priority) < PRIORITIES.indexOf(entry.queued)
    if (isUrgent) entry.queued = priority
    entry.cancelTimer()
    this.#fetchNext()
  }

  #fetchNext(): void {
    while (this.#fetches < this.#fetchesMax) {
      const entry = this.#mostUrgent()
      if (!entry) return
      void this.#fetchOne(entry)
    }
  }

  #mostUrgent(): Entry | undefined {
    let best: Entry | undefined
    for (const entry of this.#entries.values()) {
      if (!entry.queued) continue
      if (entry.queued === 'realtime') return entry
      if (!best || PRIORITIES.indexOf(entry.queued) < PRIORITIES.indexOf(best.queued!)) best = entry
    }
    return best
  }

  async #fetchOne(entry: Entry): Promise<void> {
    const abort = new AbortController()
    entry.queued = undefined
    entry.fetching = abort
    this.#fetches += 1
    try {
      const svid = await requestSvid(this.#components, { id: entry.id, ttlSeconds: this.#ttlSeconds, abort })
      if (!abort.signal.aborted) this.#succeed(entry, svid)
    } catch (error) {
      if (this.#entries.get(formatSpiffeId(entry.id)) === entry) this.#fail(entry, error)
    } finally {
      this.#fetches -= 1
      this.#fetchNext()
    }
  }

  #succeed(entry: Entry, fetched: X509Svid): void {
    // Roots are told to everybody at once; those that came with this certificate may be of before or after.
    const trusted = this.#trusted
    const svid = trusted && !trusted.equals(fetched.bundle) ? fetched.withBundle(trusted) : fetched
    entry.fetching = undefined
    entry.failure = undefined
    entry.backoff.reset()
    entry.svid = svid
    entry.rotateAtMs = rotationInstant(svid, this.#components.clock.now())
    this.#waitUntil(entry, entry.rotateAtMs)
    entry.waiting?.resolve(svid)
    entry.waiting = undefined
    this.#changes.emit({ id: entry.id, kind: 'available', svid })
  }

  #fail(entry: Entry, error: unknown): void {
    const nowMs = this.#components.clock.now()
    const delayMs = entry.backoff.nextMs()
    const valid = this.#valid(entry)
    entry.fetching = undefined
    if (valid) {
      // The certificate at hand serves on. Its end is the last moment at which trying again can save a connection.
      this.#waitUntil(entry, Math.min(nowMs + delayMs, valid.notAfterMs))
      return
    }
    const reason = errorMessage(error)
    const delay = formatDuration(delayMs)
    entry.failure = `certificate fetch failed (${reason}) and no valid existing certificate; will retry in ${delay}`
    this.#waitUntil(entry, nowMs + delayMs)
    entry.waiting?.reject(unavailable(entry.id, entry.failure, error))
    entry.waiting = undefined
    this.#changes.emit({ id: entry.id, kind: 'unavailable' })
  }

  /** Waits in slices, so that a wall clock that was set forward is seen before the old delay has passed. */
  #waitUntil(entry: Entry, dueMs: number): void {
    const { clock } = this.#components
    const leftMs = Math.max(0, dueMs - clock.now())
    const arm = () => this.#waitUntil(entry, dueMs)
    const fetch = () => this.#enqueue(entry, this.#valid(entry) ? 'background' : 'warmup')
    const isLastSlice = leftMs <= SVID_CLOCK_CHECK_MS
    entry.cancelTimer = clock.schedule(isLastSlice ? leftMs : SVID_CLOCK_CHECK_MS, isLastSlice ? fetch : arm, {
      background: true,
    })
  }

  /** Half-life has passed although the timer has not run: the clock jumped, or the machine slept. */
  #rotateIfOverdue(entry: Entry): void {
    if (entry.backoff.attempts === 0 && this.#components.clock.now() >= entry.rotateAtMs)
      this.#enqueue(entry, 'background')
  }
}

/**
 * Half-life exactly. A certificate that lives hardly longer than it is dated back would be past that on arrival, so a
 * quarter of what is left is waited in any case.
 */
function rotationInstant(svid: X509Svid, nowMs: number): number {
  const halfLifeMs = svid.notBeforeMs + (svid.notAfterMs - svid.notBeforeMs) / 2
  return Math.max(halfLifeMs, nowMs + (svid.notAfterMs - nowMs) / 4, nowMs + SVID_ROTATION_MS_MIN)
}

function unavailable(id: SpiffeId, reason: string, cause?: unknown): CodedError {
  return pkiError('CERTIFICATE_UNAVAILABLE', reason, { where: formatSpiffeId(id), retry: 'yes', cause })
}

function forgotten(id: SpiffeId): CodedError {
  return pkiError(
    'CERTIFICATE_FORGOTTEN',
    `identity ${formatSpiffeId(id)} is used by no workload of this node any more`,
    {
      where: formatSpiffeId(id),
    },
  )
}

/** Nobody may be left waiting when a fetch fails; that is no unhandled rejection. */
function silent<T>(waiting: PromiseWithResolvers<T>): PromiseWithResolvers<T> {
  waiting.promise.catch(() => {})
  return waiting
}

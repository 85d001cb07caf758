import { Backoff, type Clock, CodedError, errorCode, errorMessage, type Random } from '@ambient-lab/std'
import { discoveryError, isFinal } from './errors.ts'
import { RECONNECT_INITIAL_MS, RECONNECT_MAX_MS, SIGN_TIMEOUT_MS } from './limits.ts'
import type { MessageLink } from './link/message-link.ts'
import type {
  AgentMessage,
  Call,
  CallMethods,
  ControlPlaneMessage,
  Delta,
  Hello,
  Reject,
  Report,
  SignResponse,
  Welcome,
  WorkloadReport,
} from './messages.ts'
import { ReportBuffer } from './report-buffer.ts'
import { ASSIGNMENT_TYPE, TYPE_URLS, type TypeUrl } from './resources/index.ts'

export interface DiscoveryClientComponents {
  readonly clock: Clock
  readonly random: Random
  /** Opens a link; the client calls it again, with backoff, whenever the last one ended. */
  connect(signal: AbortSignal): Promise<MessageLink<ControlPlaneMessage, AgentMessage>>
  readonly handlers: DiscoveryClientHandlers
}

/** What an agent does with what it is told. */
export interface DiscoveryClientHandlers {
  /** Said on every connection; ports and the like may have changed. */
  hello(): Omit<Hello, 'type'>
  onWelcome?(welcome: Welcome): void
  /**
   * Takes over one push.
   * @param bytes of the whole message, for those who count
   * @returns the resources that cannot be taken, each with its reason; all others must have been applied
   */
  apply(typeUrl: TypeUrl, upserts: Delta['upserts'], removed: readonly string[], bytes: number): Reject['errors']
  readonly calls: { [M in keyof CallMethods]: (params: CallMethods[M]['params']) => Promise<CallMethods[M]['result']> }
  /** `connected` after each welcome; `disconnected` with the reason after each loss and each failed attempt. */
  onState?(state: { readonly connected: true } | { readonly connected: false; readonly reason: CodedError }): void
  /** The control plane will not have this agent, and trying again is in vain. */
  onRefused(reason: CodedError): void
}

export interface DiscoveryClientInit {
  /** @default RECONNECT_INITIAL_MS */
  readonly reconnectInitialMs?: number
  /** @default RECONNECT_MAX_MS */
  readonly reconnectMaxMs?: number
}

interface PendingSign {
  readonly resolve: (signed: Signed) => void
  readonly reject: (error: CodedError) => void
  readonly cancelTimeout: () => void
}

export type Signed = Omit<Extract<SignResponse, { chainPem: unknown }>, 'type' | 'id'>

/**
 * An agent's end of the link to its control plane: connects, and connects again; subscribes to everything, resuming
 * where the last link ended; applies and acknowledges pushes; asks for certificates; reports; answers questions.
 * Losing the link loses nothing of what was applied.
 */
export class DiscoveryClient implements AsyncDisposable {
  readonly #components: DiscoveryClientComponents
  readonly #backoff: Backoff
  readonly #abort = new AbortController()
  /** Per type: name → version of what this agent holds. A type without an entry was never complete. */
  readonly #versions = new Map<TypeUrl, Map<string, string>>()
  readonly #signs = new Map<number, PendingSign>()
  readonly #pending = new ReportBuffer()
  /** Last report of each workload that is assigned here: a new control plane, or one that marked us gone, hears all. */
  readonly #lastReports = new Map<string, WorkloadReport>()
  #link: MessageLink<ControlPlaneMessage, AgentMessage> | undefined
  #welcomed = false
  #clogged = false
  #cancelRetry: (() => void) | undefined
  #flushQueued = false
  #nextSign = 1

  constructor(components: DiscoveryClientComponents, init: DiscoveryClientInit = {}) {
    this.#components = components
    this.#backoff = new Backoff({
      initialMs: init.reconnectInitialMs ?? RECONNECT_INITIAL_MS,
      maxMs: init.reconnectMaxMs ?? RECONNECT_MAX_MS,
      random: components.random,
    })
  }

  start(): void {
    void this.#connect()
  }

  get connected(): boolean {
    return this.#welcomed
  }

  /** Types whose first push has not been applied yet: an agent is ready when there is none. */
  get pendingTypes(): TypeUrl[] {
    return TYPE_URLS.filter((typeUrl) => !this.#versions.has(typeUrl))
  }

  /**
   * Has a certificate signed.
   * @throws CodedError CONTROL_PLANE_UNREACHABLE, SIGN_TIMEOUT, or the CA's own code (NOT_PLACED_HERE)
   */
  sign(csrPem: string, ttlSeconds: number): Promise<Signed> {
    if (!this.#welcomed) {
      return Promise.reject(discoveryError('CONTROL_PLANE_UNREACHABLE', 'not connected to the control plane'))
    }
    const id = this.#nextSign++
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#components.clock.schedule(SIGN_TIMEOUT_MS, () => {
        this.#signs.delete(id)
        reject(discoveryError('SIGN_TIMEOUT', `no certificate within ${SIGN_TIMEOUT_MS} ms`))
      })
      this.#signs.set(id, { resolve, reject, cancelTimeout })
      this.#send({ type: 'sign', id, csrPem, ttlSeconds })
    })
  }

  /** Reports news. While the link is slow or down states are merged and the oldest events dropped. */
  report(report: Omit<Report, 'type'>): void {
    for (const workload of report.workloads ?? []) this.#lastReports.set(workload.uid, workload)
    this.#pending.add(report)
    if (this.#flushQueued) return
    // What is reported in one turn travels in one message.
    this.#flushQueued = true
    queueMicrotask(() => {
      this.#flushQueued = false
      this.#flushReports()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#abort.signal.aborted) return
    const reason = discoveryError('SHUTTING_DOWN', 'the agent stops')
    this.#abort.abort(reason)
    this.#cancelRetry?.()
    this.#link?.close(reason)
    this.#lost(reason)
  }

  async #connect(): Promise<void> {
    try {
      const link = await this.#components.connect(this.#abort.signal)
      if (this.#abort.signal.aborted) return link.close(this.#abort.signal.reason)
      this.#link = link
      link.start({
        onMessage: (message, bytes) => this.#receive(message, bytes),
        onClose: (reason) => this.#closed(reason),
        onDrain: () => {
          this.#clogged = false
          this.#flushReports()
        },
      })
      this.#send({ type: 'hello', ...this.#components.handlers.hello() })
    } catch (error) {
      this.#retry(
        CodedError.is(error) ? error : discoveryError('CONTROL_PLANE_UNREACHABLE', errorMessage(error), error),
      )
    }
  }

  #receive(message: ControlPlaneMessage, bytes: number): void {
    if (message.type === 'welcome') this.#join(message)
    else if (message.type === 'delta') this.#apply(message, bytes)
    else if (message.type === 'signed') this.#signed(message)
    else void this.#answer(message)
  }

  #join(welcome: Welcome): void {
    this.#welcomed = true
    this.#backoff.reset()
    this.#components.handlers.onWelcome?.(welcome)
    for (const typeUrl of TYPE_URLS) {
      const initialVersions = Object.fromEntries(this.#versions.get(typeUrl) ?? [])
      this.#send({ type: 'subscribe', typeUrl, initialVersions })
    }
    this.#pending.add({ workloads: [...this.#lastReports.values()] })
    this.#flushReports()
    this.#components.handlers.onState?.({ connected: true })
  }

  #apply(delta: Delta, bytes: number): void {
    const { typeUrl, nonce, upserts, removed } = delta
    const errors = this.#components.handlers.apply(typeUrl, upserts, removed, bytes)
    const refused = new Set(errors.map(({ name }) => name))
    const held = this.#versions.get(typeUrl) ?? new Map<string, string>()
    this.#versions.set(typeUrl, held)
    for (const { name, version } of upserts) if (!refused.has(name)) held.set(name, version)
    for (const name of removed) {
      held.delete(name)
      if (typeUrl === ASSIGNMENT_TYPE) this.#lastReports.delete(name)
    }
    if (errors.length === 0) this.#send({ type: 'ack', typeUrl, nonce })
    else this.#send({ type: 'nack', typeUrl, nonce, errors })
  }

  #signed(message: SignResponse): void {
    const pending = this.#signs.get(message.id)
    if (!pending) return // came after its time-out
    this.#signs.delete(message.id)
    pending.cancelTimeout()
    if ('error' in message) pending.reject(new CodedError(message.error.code, message.error.message, { retry: 'yes' }))
    else pending.resolve({ chainPem: message.chainPem, rootsPem: message.rootsPem })
  }

  async #answer({ id, method, params }: Call): Promise<void> {
    const { calls } = this.#components.handlers
    try {
      const handler = calls[method] as (params: unknown) => Promise<unknown>
      this.#send({ type: 'result', id, result: await handler(params) })
    } catch (error) {
      const code = errorCode(error) ?? 'INTERNAL'
      this.#send({ type: 'result', id, error: { code, message: errorMessage(error) } })
    }
  }

  #flushReports(): void {
    if (!this.#welcomed || this.#clogged) return
    const report = this.#pending.take()
    if (report) this.#send(report)
  }

  #send(message: AgentMessage): void {
    if (this.#link && !this.#link.send(message)) this.#clogged = true
  }

  #closed(reason: CodedError): void {
    if (this.#abort.signal.aborted) return
    this.#lost(reason)
    if (isFinal(reason)) this.#components.handlers.onRefused(reason)
    else this.#retry(reason)
  }

  #lost(reason: CodedError): void {
    this.#link = undefined
    this.#welcomed = false
    this.#clogged = false
    for (const { reject, cancelTimeout } of this.#signs.values()) {
      cancelTimeout()
      reject(discoveryError('CONTROL_PLANE_UNREACHABLE', `the link closed: ${reason.message}`, reason))
    }
    this.#signs.clear()
  }

  #retry(reason: CodedError): void {
    if (this.#abort.signal.aborted) return
    this.#components.handlers.onState?.({ connected: false, reason })
    this.#cancelRetry = this.#components.clock.schedule(this.#backoff.nextMs(), () => void this.#connect())
  }
}

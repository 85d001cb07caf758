import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'
import { discoveryError } from './errors.ts'
import {
  CALL_TIMEOUT_MS,
  CALLS_IN_FLIGHT_MAX,
  HELLO_TIMEOUT_MS,
  PUSH_INTERVAL_MS,
  SIGNS_IN_FLIGHT_MAX,
} from './limits.ts'
import type { MessageLink } from './link/message-link.ts'
import type {
  Acknowledge,
  AgentMessage,
  CallMethod,
  CallMethods,
  CallResult,
  ControlPlaneMessage,
  Hello,
  Reject,
  Report,
  SignRequest,
  SignResponse,
  Subscribe,
  Welcome,
} from './messages.ts'
import { PushState } from './push-state.ts'
import { TYPE_URLS, type TypeUrl } from './resources/index.ts'
import type { VersionedResources } from './versioned-resources.ts'

export interface DiscoverySessionComponents {
  readonly link: MessageLink<AgentMessage, ControlPlaneMessage>
  readonly resources: VersionedResources
  readonly clock: Clock
  readonly handlers: DiscoverySessionHandlers
}

/** What the owner of a session is asked and told. */
export interface DiscoverySessionHandlers {
  /** Admits the agent, or throws the CodedError that the link is closed with. */
  onHello(hello: Hello): Welcome
  onSign(request: SignRequest): Promise<Extract<SignResponse, { chainPem: unknown }>>
  onReport(report: Report): void
  onReject(reject: Reject): void
  /** The agent acknowledged (with or without refusals) everything that was pushed of a type so far. */
  onAcknowledge(typeUrl: TypeUrl): void
  onClose(reason: CodedError): void
}

interface PendingCall {
  readonly resolve: (result: never) => void
  readonly reject: (error: CodedError) => void
  readonly cancelTimeout: () => void
}

/**
 * The control plane's end of one agent's link: says welcome, pushes what changed, asks and answers.
 * Of each type at most one push is unacknowledged; what changes meanwhile is merged into the next.
 */
export class DiscoverySession {
  readonly #components: DiscoverySessionComponents
  readonly #pushes = new Map<TypeUrl, PushState>()
  readonly #calls = new Map<number, PendingCall>()
  readonly #unwatch: () => void
  readonly #cancelHelloTimeout: () => void
  #hello: Hello | undefined
  #cancelPush: (() => void) | undefined
  #pushedAtMs = Number.NEGATIVE_INFINITY
  #nextCall = 1
  #signs = 0
  #clogged = false
  #closed = false

  constructor(components: DiscoverySessionComponents) {
    this.#components = components
    const { link, resources, clock } = components
    this.#unwatch = resources.onChange(({ typeUrl, name }) => {
      const push = this.#pushes.get(typeUrl)
      if (push?.touch(name)) this.#schedulePush()
    })
    this.#cancelHelloTimeout = clock.schedule(HELLO_TIMEOUT_MS, () => {
      this.close(discoveryError('HELLO_TIMEOUT', `no hello within ${HELLO_TIMEOUT_MS} ms`))
    })
    link.start({
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.#end(reason),
      onDrain: () => {
        this.#clogged = false
        this.#push()
      },
    })
  }

  /** The agent's hello, once it was admitted. */
  get hello(): Hello | undefined {
    return this.#hello
  }

  /** The version of a resource that the agent acknowledged to hold; undefined: none yet, or it refused it. */
  acknowledgedVersion(typeUrl: TypeUrl, name: string): string | undefined {
    return this.#pushes.get(typeUrl)?.acknowledgedVersion(name)
  }

  /**
   * Asks the agent.
   * @throws CodedError CALL_TIMEOUT, LINK_CLOSED, or the agent's own code
   */
  call<M extends CallMethod>(
    method: M,
    params: CallMethods[M]['params'],
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<CallMethods[M]['result']> {
    if (this.#closed || !this.#hello) return Promise.reject(discoveryError('LINK_CLOSED', 'the agent is not connected'))
    if (this.#calls.size >= CALLS_IN_FLIGHT_MAX) {
      return Promise.reject(new CodedError('BUSY', 'too many questions to one agent', { retry: 'yes' }))
    }
    const id = this.#nextCall++
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#components.clock.schedule(timeoutMs, () => {
        this.#calls.delete(id)
        reject(discoveryError('CALL_TIMEOUT', `no answer to ${method} within ${timeoutMs} ms`))
      })
      this.#calls.set(id, { resolve, reject, cancelTimeout })
      this.#send({ type: 'call', id, method, params })
    })
  }

  /** Nothing is pushed, asked or timed from now on; the link closes when it has said why. */
  close(reason: CodedError): void {
    this.#release(reason)
    this.#components.link.close(reason)
  }

  #receive(message: AgentMessage): void {
    const { handlers } = this.#components
    if (message.type === 'hello') this.#admit(message)
    else if (!this.#hello) this.#violation(`${message.type} before hello`)
    else if (message.type === 'subscribe') this.#subscribe(message)
    else if (message.type === 'ack') this.#settle(message, [])
    else if (message.type === 'nack') this.#settle(message, message.errors)
    else if (message.type === 'sign') void this.#sign(message)
    else if (message.type === 'report') handlers.onReport(message)
    else this.#answered(message)
  }

  #admit(hello: Hello): void {
    this.#cancelHelloTimeout()
    try {
      if (this.#hello) throw discoveryError('PROTOCOL_VIOLATION', 'a second hello')
      const welcome = this.#components.handlers.onHello(hello)
      this.#hello = hello
      this.#send(welcome)
    } catch (error) {
      if (!CodedError.is(error)) throw error
      this.close(error)
    }
  }

  #subscribe({ typeUrl, initialVersions }: Subscribe): void {
    if (this.#pushes.has(typeUrl)) {
      this.#violation(`a second subscription to ${typeUrl}`)
      return
    }
    const { resources } = this.#components
    this.#pushes.set(typeUrl, new PushState(typeUrl, resources, this.#hello!.node, initialVersions))
    this.#push()
  }

  #settle({ typeUrl, nonce }: Acknowledge | Reject, errors: Reject['errors']): void {
    // An answer to anything but the outstanding push is stale or invented; neither changes what the agent holds.
    if (!this.#pushes.get(typeUrl)?.settle(nonce, errors)) return
    const { handlers } = this.#components
    if (errors.length > 0) handlers.onReject({ type: 'nack', typeUrl, nonce, errors })
    handlers.onAcknowledge(typeUrl)
    this.#schedulePush()
  }

  async #sign(request: SignRequest): Promise<void> {
    const { id } = request
    if (this.#signs >= SIGNS_IN_FLIGHT_MAX) {
      this.#send({ type: 'signed', id, error: { code: 'BUSY', message: 'too many requests at once' } })
      return
    }
    this.#signs += 1
    try {
      this.#send({ ...(await this.#components.handlers.onSign(request)), id })
    } catch (error) {
      const code = CodedError.is(error) ? error.code : 'SIGN_FAILED'
      this.#send({ type: 'signed', id, error: { code, message: errorMessage(error) } })
    } finally {
      this.#signs -= 1
    }
  }

  #answered(message: CallResult): void {
    const call = this.#calls.get(message.id)
    if (!call) return // came after its time-out
    this.#calls.delete(message.id)
    call.cancelTimeout()
    if ('error' in message) call.reject(new CodedError(message.error.code, message.error.message))
    else call.resolve(message.result as never)
  }

  #schedulePush(): void {
    if (this.#cancelPush) return
    const { clock } = this.#components
    const waitMs = this.#pushedAtMs + PUSH_INTERVAL_MS - clock.monotonic()
    const push = () => {
      this.#cancelPush = undefined
      this.#push()
    }
    this.#cancelPush = waitMs > 0 ? clock.schedule(waitMs, push) : soon(push)
  }

  /**
   * Types go in the order of TYPE_URLS: nodes and policies before the workloads that name them, the end of a proxy
   * before the end of what it runs on. Where news of one has to wait for an acknowledgement, later types wait too.
   */
  #push(): void {
    for (const typeUrl of TYPE_URLS) {
      if (this.#clogged || this.#closed) return
      const push = this.#pushes.get(typeUrl)
      const delta = push?.next()
      if (delta) {
        this.#pushedAtMs = this.#components.clock.monotonic()
        this.#send(delta)
      } else if (push?.isWaiting) return
    }
  }

  #send(message: ControlPlaneMessage): void {
    if (!this.#components.link.send(message)) this.#clogged = true
  }

  #violation(what: string): void {
    this.close(discoveryError('PROTOCOL_VIOLATION', what))
  }

  #end(reason: CodedError): void {
    this.#release(reason)
    this.#components.handlers.onClose(reason)
  }

  #release(reason: CodedError): void {
    if (this.#closed) return
    this.#closed = true
    this.#unwatch()
    this.#cancelHelloTimeout()
    this.#cancelPush?.()
    for (const call of this.#calls.values()) {
      call.cancelTimeout()
      call.reject(discoveryError('LINK_CLOSED', `the link closed: ${reason.message}`))
    }
    this.#calls.clear()
  }
}

/** With the turn that this is, once all of it has been done. */
function soon(work: () => void): () => void {
  let cancelled = false
  queueMicrotask(() => {
    if (!cancelled) work()
  })
  return () => {
    cancelled = true
  }
}

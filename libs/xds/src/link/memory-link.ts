import type { Clock, CodedError } from '@ambient-lab/std'
import { type Decode, decodeAgentMessage, decodeControlPlaneMessage } from '../decode.ts'
import { discoveryError } from '../errors.ts'
import type { AgentMessage, ControlPlaneMessage } from '../messages.ts'
import type { LinkHandlers, MessageLink } from './message-link.ts'

export interface MemoryLinkInit {
  /** @default 0 */
  readonly latencyMs?: number
  /** Messages under way from which `send` answers false. @default 64 */
  readonly queueHigh?: number
}

export interface MemoryLinkPair {
  readonly agent: MemoryLink<ControlPlaneMessage, AgentMessage>
  readonly controlPlane: MemoryLink<AgentMessage, ControlPlaneMessage>
}

/**
 * Two ends of one link in one process. Messages pass through JSON and the same decoder as on the wire; each arrives
 * `latencyMs` later on the clock, so that a simulation replays exactly.
 */
export function createMemoryLinkPair(clock: Clock, init: MemoryLinkInit = {}): MemoryLinkPair {
  const agent = new MemoryLink<ControlPlaneMessage, AgentMessage>(clock, decodeControlPlaneMessage, init)
  const controlPlane = new MemoryLink<AgentMessage, ControlPlaneMessage>(clock, decodeAgentMessage, init)
  agent.connect(controlPlane)
  controlPlane.connect(agent)
  return { agent, controlPlane }
}

type Frame = { readonly text: string } | { readonly close: CodedError }

/** What one end needs to know of the other. */
interface Peer {
  arrive(frame: Frame): void
}

export class MemoryLink<Incoming, Outgoing> implements MessageLink<Incoming, Outgoing> {
  readonly #clock: Clock
  readonly #decode: Decode<Incoming>
  readonly #latencyMs: number
  readonly #queueHigh: number
  #peer: Peer | undefined
  #handlers: LinkHandlers<Incoming> | undefined
  readonly #early: Frame[] = []
  readonly #sending: string[] = []
  #underWay = 0
  #clogged = false
  #stalled = false
  #closing = false
  #closed = false
  /** Why it closed, kept for handlers that come later. */
  #ended: CodedError | undefined

  constructor(clock: Clock, decode: Decode<Incoming>, init: MemoryLinkInit) {
    this.#clock = clock
    this.#decode = decode
    this.#latencyMs = init.latencyMs ?? 0
    this.#queueHigh = init.queueHigh ?? 64
  }

  /** For the pair only: names the other end. */
  connect(peer: Peer): void {
    this.#peer = peer
  }

  send(message: Outgoing): boolean {
    return this.sendText(JSON.stringify(message))
  }

  /** Raw text, for tests of the decoder. */
  sendText(text: string): boolean {
    if (this.#closed || this.#closing) return true
    this.#underWay += 1
    if (this.#stalled) this.#sending.push(text)
    else this.#dispatch({ text })
    this.#clogged = this.#underWay >= this.#queueHigh
    return !this.#clogged
  }

  start(handlers: LinkHandlers<Incoming>): void {
    this.#handlers = handlers
    for (const frame of this.#early.splice(0)) this.#handle(frame)
    if (this.#ended) handlers.onClose(this.#ended)
  }

  close(reason: CodedError): void {
    if (this.#closed || this.#closing) return
    this.#closing = true
    this.#dispatch({ close: reason })
    this.#clock.schedule(this.#latencyMs, () => this.#end(reason))
  }

  /** Holds back what this end sends until `resume`, as a peer that does not read. */
  stall(): void {
    this.#stalled = true
  }

  resume(): void {
    this.#stalled = false
    for (const text of this.#sending.splice(0)) this.#dispatch({ text })
  }

  /** Breaks the link at once at both ends; what was under way is lost. */
  cut(reason = discoveryError('LINK_DEAD', 'the link was cut')): void {
    const peer = this.#peer
    this.#end(reason)
    if (peer instanceof MemoryLink) peer.#end(reason)
  }

  /** Called by the other end. */
  arrive(frame: Frame): void {
    if (this.#closed) return
    if (this.#handlers) this.#handle(frame)
    else this.#early.push(frame)
  }

  #dispatch(frame: Frame): void {
    this.#clock.schedule(this.#latencyMs, () => {
      if ('text' in frame) this.#sent()
      if (!this.#closed) this.#peer?.arrive(frame)
    })
  }

  #sent(): void {
    this.#underWay -= 1
    if (!this.#clogged || this.#underWay > this.#queueHigh / 2) return
    this.#clogged = false
    if (!this.#closed) this.#handlers?.onDrain?.()
  }

  #handle(frame: Frame): void {
    if (this.#closed) return
    if ('close' in frame) this.#end(frame.close)
    else if (!this.#closing) this.#receive(frame.text)
  }

  #receive(text: string): void {
    let message: Incoming
    try {
      message = this.#decode(text)
    } catch (error) {
      this.close(error as CodedError)
      return
    }
    this.#handlers?.onMessage(message, Buffer.byteLength(text))
  }

  #end(reason: CodedError): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#handlers) this.#handlers.onClose(reason)
    else this.#ended = reason
  }
}

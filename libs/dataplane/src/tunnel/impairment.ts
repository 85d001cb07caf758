import {
  type CancelTimer,
  type Clock,
  type CodedError,
  Emitter,
  type Random,
  SeededRandom,
  sleep,
} from '@ambient-lab/std'
import type { LinkFault } from '@ambient-lab/xds'
import { type ByteSink, type ByteStream, deliverBorrowed } from '../stream/byte-stream.ts'
import { CUT_CONNECTION_HOLD_MS, HANDSHAKE_ROUND_TRIPS, LINK_QUEUE_BYTES_MAX } from './limits.ts'
import type { LinkConditions } from './link-conditions.ts'

/** What happens to bytes that go one way over a link, now. */
interface Impairment {
  readonly isCut: boolean
  readonly delayMs: number
  readonly jitterMs: number
}

const UNIMPAIRED: Impairment = { isCut: false, delayMs: 0, jitterMs: 0 }

/**
 * The faults on the links between nodes, as one node knows them. Each node holds back what it sends itself, so a fault
 * both ways needs both ends to know it. Faults that hold together add their delays; a fault ends by itself.
 */
export class LinkFaults implements LinkConditions {
  readonly #clock: Clock
  readonly #changed = new Emitter<void>()
  #faults: readonly { readonly fault: LinkFault; readonly random: Random }[] = []
  #cancelEnd: CancelTimer = () => {}

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Replaces all faults. One that was there before goes on with its own chance. */
  set(faults: readonly LinkFault[]): void {
    const known = new Map(this.#faults.map((entry) => [entry.fault.name, entry]))
    this.#faults = faults.map((fault) => {
      const before = known.get(fault.name)
      const random = before?.fault.seed === fault.seed ? before.random : new SeededRandom(fault.seed)
      return { fault, random }
    })
    this.#refresh()
  }

  /** Those that hold now. */
  get active(): readonly LinkFault[] {
    return this.#faults.map(({ fault }) => fault).filter((fault) => this.#holds(fault))
  }

  async passHandshake(fromNode: string, toNode: string, signal: AbortSignal): Promise<void> {
    for (let trip = 0; trip < HANDSHAKE_ROUND_TRIPS; trip += 1) {
      await this.#pass(fromNode, toNode, signal)
      await this.#pass(toNode, fromNode, signal)
    }
  }

  shape(carrier: ByteStream, fromNode: string, toNode: string): ByteStream {
    return new ImpairedStream(carrier, {
      clock: this.#clock,
      impairment: () => this.#between(fromNode, toNode),
      delayMs: () => this.#drawDelay(fromNode, toNode),
      onChange: (listener) => this.#changed.on(listener),
    })
  }

  /** Resolves when a message sent now would arrive. */
  async #pass(fromNode: string, toNode: string, signal: AbortSignal): Promise<void> {
    while (this.#between(fromNode, toNode).isCut) await this.#nextChange(signal)
    const delayMs = this.#drawDelay(fromNode, toNode)
    if (delayMs > 0) await sleep(this.#clock, delayMs, signal)
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => reject(signal.reason)
    const stop = this.#changed.on(resolve)
    signal.addEventListener('abort', onAbort, { once: true })
    return promise.finally(() => {
      stop()
      signal.removeEventListener('abort', onAbort)
    })
  }

  #between(fromNode: string, toNode: string): Impairment {
    if (this.#faults.length === 0) return UNIMPAIRED
    const mine = this.#affecting(fromNode, toNode)
    if (mine.length === 0) return UNIMPAIRED
    const delays = mine.filter(({ fault }) => fault.type === 'delay')
    return {
      isCut: mine.some(({ fault }) => fault.type === 'partition'),
      delayMs: delays.reduce((sum, { fault }) => sum + fault.delayMs, 0),
      jitterMs: delays.reduce((sum, { fault }) => sum + fault.jitterMs, 0),
    }
  }

  #drawDelay(fromNode: string, toNode: string): number {
    const draws = this.#affecting(fromNode, toNode).map(({ fault, random }) =>
      fault.type === 'delay' ? fault.delayMs + fault.jitterMs * (2 * random.next() - 1) : 0,
    )
    return Math.max(
      0,
      draws.reduce((sum, delayMs) => sum + delayMs, 0),
    )
  }

  #affecting(fromNode: string, toNode: string) {
    return this.#faults.filter(({ fault }) => this.#holds(fault) && affects(fault, fromNode, toNode))
  }

  #holds(fault: LinkFault): boolean {
    return fault.endsAtMs === undefined || this.#clock.now() < fault.endsAtMs
  }

  /** Tells those who hold bytes back, now and when the next fault ends. */
  #refresh(): void {
    this.#cancelEnd()
    const endings = this.active.flatMap(({ endsAtMs }) => (endsAtMs === undefined ? [] : [endsAtMs]))
    if (endings.length > 0) {
      const nextMs = Math.min(...endings) - this.#clock.now()
      this.#cancelEnd = this.#clock.schedule(nextMs, () => this.#refresh(), { background: true })
    }
    this.#changed.emit()
  }
}

function affects(fault: LinkFault, fromNode: string, toNode: string): boolean {
  const forth = fault.from.includes(fromNode) && fault.to.includes(toNode)
  return forth || (!fault.oneway && fault.from.includes(toNode) && fault.to.includes(fromNode))
}

interface Link {
  readonly clock: Clock
  impairment(): Impairment
  delayMs(): number
  onChange(listener: () => void): () => void
}

interface Held {
  /** Undefined is our half-close. */
  readonly chunk: Uint8Array | undefined
  readonly dueMs: number
}

/**
 * A carrier whose writes take as long as the link makes them. Nothing is lost and nothing overtakes: behind a
 * partition bytes wait, as TCP's would, until it heals or somebody loses patience. Unimpaired, a write passes through.
 */
class ImpairedStream implements ByteStream {
  readonly #carrier: ByteStream
  readonly #link: Link
  readonly #held: Held[] = []
  #heldBytes = 0
  #lastDueMs = 0
  #cancelTimer: CancelTimer = () => {}
  #stopListening: (() => void) | undefined
  #starved = false
  #carrierBlocked = false
  #sink: ByteSink | undefined
  #abandoned = false

  constructor(carrier: ByteStream, link: Link) {
    this.#carrier = carrier
    this.#link = link
  }

  start(sink: ByteSink): void {
    this.#sink = sink
    this.#carrier.start({
      onData: (chunk) => this.#abandoned || sink.onData(chunk),
      onBorrowed: (chunk) => this.#abandoned || deliverBorrowed(sink, chunk),
      onEnd: () => this.#abandoned || sink.onEnd(),
      onDrain: () => this.#onCarrierDrain(),
      onClose: (reason) => this.#onCarrierClose(reason),
    })
  }

  write(chunk: Uint8Array): boolean {
    const impairment = this.#link.impairment()
    if (this.#held.length === 0 && impairment === UNIMPAIRED) return this.#carrier.write(chunk)
    this.#hold(new Uint8Array(chunk))
    if (this.#heldBytes >= LINK_QUEUE_BYTES_MAX) this.#starved = true
    return !this.#starved
  }

  end(): void {
    if (this.#held.length === 0 && this.#link.impairment() === UNIMPAIRED) this.#carrier.end()
    else this.#hold(undefined)
  }

  pause(): void {
    this.#carrier.pause()
  }

  resume(): void {
    this.#carrier.resume()
  }

  /**
   * Across a partition the peer does not learn of it: the connection under us stays for a while, deaf and mute, and
   * the peer finds out by its own means.
   */
  reset(reason: CodedError): void {
    if (this.#abandoned) return
    this.#release()
    if (!this.#link.impairment().isCut) {
      this.#carrier.reset(reason)
      return
    }
    this.#abandoned = true
    this.#link.clock.schedule(CUT_CONNECTION_HOLD_MS, () => this.#carrier.reset(reason), { background: true })
    const heal = this.#link.onChange(() => {
      if (this.#link.impairment().isCut) return
      heal()
      this.#carrier.reset(reason)
    })
    queueMicrotask(() => this.#sink?.onClose(reason))
  }

  get bufferedBytes(): number {
    // What we hold is a copy: its writer may use its own memory again.
    return this.#heldBytes === 0 ? this.#carrier.bufferedBytes : 0
  }

  #hold(chunk: Uint8Array | undefined): void {
    const dueMs = this.#link.clock.monotonic() + this.#link.delayMs()
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs)
    this.#held.push({ chunk, dueMs: this.#lastDueMs })
    this.#heldBytes += chunk?.length ?? 0
    this.#stopListening ??= this.#link.onChange(() => this.#pass())
    if (this.#held.length === 1) this.#pass()
  }

  /** Gives the carrier what is due; comes again when the next is. */
  #pass(): void {
    this.#cancelTimer()
    for (let next = this.#held[0]; next; next = this.#held[0]) {
      if (this.#carrierBlocked || this.#link.impairment().isCut) return
      const waitMs = next.dueMs - this.#link.clock.monotonic()
      if (waitMs > 0) {
        this.#cancelTimer = this.#link.clock.schedule(waitMs, () => this.#pass())
        return
      }
      this.#held.shift()
      this.#heldBytes -= next.chunk?.length ?? 0
      if (next.chunk) this.#carrierBlocked = !this.#carrier.write(next.chunk)
      else this.#carrier.end()
    }
    this.#stopListening?.()
    this.#stopListening = undefined
    this.#tellDrained()
  }

  #onCarrierDrain(): void {
    this.#carrierBlocked = false
    if (this.#held.length > 0) this.#pass()
    else if (!this.#abandoned) this.#sink?.onDrain()
  }

  #tellDrained(): void {
    if (!this.#starved) return
    this.#starved = false
    if (!this.#carrierBlocked) this.#sink?.onDrain()
  }

  #onCarrierClose(reason: CodedError | undefined): void {
    this.#release()
    if (!this.#abandoned) this.#sink?.onClose(reason)
  }

  #release(): void {
    this.#cancelTimer()
    this.#stopListening?.()
    this.#held.length = 0
    this.#heldBytes = 0
  }
}

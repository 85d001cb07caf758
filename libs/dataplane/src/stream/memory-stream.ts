import { assert, type CancelTimer, type Clock, CodedError, type Random } from '@ambient-lab/std'
import type { ByteSink, ByteStream } from './byte-stream.ts'
import { STREAM_RESET } from './errors.ts'
import { MEMORY_STREAM_HIGH_MARK_BYTES } from './limits.ts'

export interface MemoryPairInit {
  readonly clock: Clock
  /** Each way. @default 0: as soon as the running promise jobs are done */
  readonly latencyMs?: number
  /** Cuts what is written into pieces of random size, as a network may; absent: chunks arrive as they were written. */
  readonly slicing?: { readonly random: Random; readonly bytesMax: number }
}

/** Two ends of one connection inside this process: what one writes, the other receives. Deterministic over its clock. */
export function memoryPair(init: MemoryPairInit): [MemoryStream, MemoryStream] {
  const near = new MemoryStream(init)
  const far = new MemoryStream(init)
  near.attach(far)
  far.attach(near)
  return [near, far]
}

type Delivery = { readonly dueMs: number } & ({ readonly chunk: Uint8Array } | { readonly end: true })

/** One end of a memoryPair. */
export class MemoryStream implements ByteStream {
  readonly #init: MemoryPairInit
  /** What the peer sent and our sink has not had. */
  #inbox: Delivery[] = []
  /** How many of the inbox were delivered; they are dropped together, so that a long inbox stays cheap. */
  #delivered = 0
  #inboxBytes = 0
  #peer!: MemoryStream
  #sink: ByteSink | undefined
  #paused = false
  #ended = false
  #peerEnded = false
  #starved = false
  #closed = false
  #reason: CodedError | undefined
  #wake: CancelTimer | undefined
  #wakeQueued = false

  constructor(init: MemoryPairInit) {
    this.#init = init
  }

  attach(peer: MemoryStream): void {
    this.#peer = peer
  }

  start(sink: ByteSink): void {
    assert(!this.#sink, 'a stream is started once')
    this.#sink = sink
    if (this.#closed) queueMicrotask(() => sink.onClose(this.#reason))
    else this.#wakeSoon()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed) return true
    assert(!this.#ended, 'write after end')
    for (const piece of this.#slice(chunk)) this.#peer.#receive({ dueMs: this.#dueMs(), chunk: piece })
    // Once said, a stop holds until onDrain, though the reader may have made a little room meanwhile.
    if (this.bufferedBytes >= MEMORY_STREAM_HIGH_MARK_BYTES) this.#starved = true
    return !this.#starved
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#peer.#receive({ dueMs: this.#dueMs(), end: true })
    this.#closeWhenBothEnded()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#wakeSoon()
  }

  reset(reason: CodedError): void {
    if (this.#closed) return
    this.#close(reason)
    const lost = () => this.#peer.#close(new CodedError(STREAM_RESET, 'the peer reset the connection'))
    if (this.#init.latencyMs) this.#init.clock.schedule(this.#init.latencyMs, lost)
    else lost()
  }

  get bufferedBytes(): number {
    return this.#closed ? 0 : this.#peer.#inboxBytes
  }

  *#slice(chunk: Uint8Array): Generator<Uint8Array> {
    const { slicing } = this.#init
    // A copy, because the writer may reuse its buffer as soon as we say that nothing is buffered.
    const copy = new Uint8Array(chunk)
    if (!slicing) return yield copy
    for (let offset = 0; offset < copy.length; ) {
      const bytes = 1 + slicing.random.integer(slicing.bytesMax)
      yield copy.subarray(offset, offset + bytes)
      offset += bytes
    }
  }

  #dueMs(): number {
    return this.#init.clock.monotonic() + (this.#init.latencyMs ?? 0)
  }

  #receive(delivery: Delivery): void {
    if (this.#closed) return
    this.#inbox.push(delivery)
    if ('chunk' in delivery) this.#inboxBytes += delivery.chunk.length
    this.#wakeSoon()
  }

  /** Everything that calls the sink goes through here, so that nothing does so from inside the caller's own call. */
  #wakeSoon(): void {
    if (this.#wakeQueued) return
    this.#wakeQueued = true
    queueMicrotask(() => {
      this.#wakeQueued = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const sink = this.#sink
    this.#wake?.()
    while (sink && !this.#closed && !this.#paused) {
      const delivery = this.#inbox[this.#delivered]
      if (!delivery) break
      const waitMs = delivery.dueMs - this.#init.clock.monotonic()
      if (waitMs > 0) {
        this.#wake = this.#init.clock.schedule(waitMs, () => this.#deliver())
        break
      }
      this.#forgetFirst()
      if ('chunk' in delivery) this.#deliverChunk(sink, delivery.chunk)
      else this.#deliverEnd(sink)
    }
  }

  #forgetFirst(): void {
    this.#delivered += 1
    if (this.#delivered < 1024 && this.#delivered < this.#inbox.length) return
    this.#inbox = this.#inbox.slice(this.#delivered)
    this.#delivered = 0
  }

  #deliverChunk(sink: ByteSink, chunk: Uint8Array): void {
    this.#inboxBytes -= chunk.length
    sink.onData(chunk)
    const writer = this.#peer
    if (writer.#starved && this.#inboxBytes === 0 && !writer.#closed) {
      writer.#starved = false
      writer.#sink?.onDrain()
    }
  }

  #deliverEnd(sink: ByteSink): void {
    this.#peerEnded = true
    sink.onEnd()
    this.#closeWhenBothEnded()
  }

  #closeWhenBothEnded(): void {
    if (this.#ended && this.#peerEnded && !this.#closed) this.#close(undefined)
  }

  #close(reason: CodedError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#wake?.()
    this.#inbox = []
    this.#delivered = 0
    this.#inboxBytes = 0
    this.#reason = reason
    const sink = this.#sink
    if (sink) queueMicrotask(() => sink.onClose(reason))
  }
}

import { assert, type CodedError } from '@ambient-lab/std'
import { ByteQueue } from '../stream/byte-queue.ts'
import { type ByteSink, type ByteStream, deliverBorrowed } from '../stream/byte-stream.ts'
import {
  SEND_COPIED_HIGH_MARK_BYTES,
  SEND_HIGH_MARK_BYTES,
  SEND_LOW_MARK_BYTES,
  STREAM_WINDOW_BYTES_INITIAL,
  STREAM_WINDOW_BYTES_MAX,
} from './limits.ts'

/** What a stream needs of its session. */
export interface MuxStreamOwner {
  /** The stream has bytes, or its FIN, that it may send now. */
  onSendable(stream: MuxStream): void
  /** Puts as many of the bytes as may go into what leaves next; returns how many. */
  sendNow(stream: MuxStream, chunk: Uint8Array): number
  /** Whether another chunk would go the same way; if not, `onRoom` is called when it would. */
  hasRoom(stream: MuxStream): boolean
  /** A reader took bytes: the connection's credit for them can go back. */
  onConsumed(bytes: number): void
  grant(stream: MuxStream, bytes: number): void
  /** Tells the peer that the stream is reset. */
  sendReset(stream: MuxStream, reason: CodedError): void
  /** Both directions ended, or the stream was reset: the session forgets it. */
  onGone(stream: MuxStream): void
  /** Runs the callback later in this turn, outside of the caller's call. */
  later(callback: () => void): void
}

/**
 * One stream of a session. The session's writer takes bytes out of it, the session's reader puts bytes into it; to
 * everybody else it is a ByteStream. An idle one holds no buffer.
 */
export class MuxStream implements ByteStream {
  readonly id: number
  /** Bytes that the peer lets us send. */
  sendWindow: number
  /** The writer's list of streams that can send. */
  nextReady: MuxStream | undefined
  isReady = false

  readonly #owner: MuxStreamOwner
  #sink: ByteSink | undefined
  #unsent: ByteQueue | undefined
  /** Received and not yet taken by the sink. */
  #unread: ByteQueue | undefined
  #paused = false
  #starved = false
  #ended = false
  #finSent = false
  #peerEnded = false
  #endDelivered = false
  #closed = false
  #closeReason: CodedError | undefined
  /** Size of the window that the peer works with; grows while the reader keeps up. */
  #windowBytes = STREAM_WINDOW_BYTES_INITIAL
  /** Of it, what the peer may still send. */
  #receiveWindow = STREAM_WINDOW_BYTES_INITIAL
  /** Taken by the sink and not yet granted again. */
  #ungranted = 0

  constructor(owner: MuxStreamOwner, id: number, sendWindow: number) {
    this.#owner = owner
    this.id = id
    this.sendWindow = sendWindow
  }

  start(sink: ByteSink): void {
    assert(!this.#sink, 'a stream is started once')
    this.#sink = sink
    // Whoever closes it from now on tells the sink.
    if (this.#closed) this.#owner.later(() => sink.onClose(this.#closeReason))
    else this.#owner.later(() => this.#deliver())
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed) return true
    assert(!this.#ended, 'write after end')
    if (chunk.length === 0) return !this.#starved
    this.#unsent ??= new ByteQueue()
    this.#unsent.push(chunk)
    if (this.sendWindow > 0) this.#owner.onSendable(this)
    // Once said, a stop holds until onDrain, though a little may have left meanwhile.
    if (this.#unsent.bytes >= SEND_HIGH_MARK_BYTES) this.#starved = true
    return !this.#starved
  }

  writeBorrowed(chunk: Uint8Array): boolean {
    if (this.#closed) return true
    assert(!this.#ended, 'write after end')
    const sent = this.#unsent ? 0 : this.#owner.sendNow(this, chunk)
    if (sent < chunk.length) {
      this.#unsent ??= new ByteQueue()
      this.#unsent.pushCopy(sent === 0 ? chunk : chunk.subarray(sent))
      if (this.sendWindow > 0) this.#owner.onSendable(this)
      if (this.#unsent.bytes >= SEND_COPIED_HIGH_MARK_BYTES) this.#starved = true
    } else if (!this.#owner.hasRoom(this)) {
      this.#starved = true
    }
    return !this.#starved
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    if (this.bufferedBytes === 0) this.#owner.onSendable(this)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#unread || this.#peerEnded) this.#owner.later(() => this.#deliver())
  }

  reset(reason: CodedError): void {
    if (this.#closed) return
    this.#owner.sendReset(this, reason)
    this.close(reason)
  }

  get bufferedBytes(): number {
    return this.#unsent?.bytes ?? 0
  }

  /** Whether the writer would find something to send, credit of the connection aside. */
  get isSendable(): boolean {
    if (this.#closed) return false
    return this.bufferedBytes > 0 ? this.sendWindow > 0 : this.owesFin
  }

  /** Everything before our FIN has been sent, and the FIN itself has not. */
  get owesFin(): boolean {
    return this.#ended && !this.#finSent && !this.#closed && this.bufferedBytes === 0
  }

  /** The writer takes `bytes` unsent bytes. Returns the offset behind them. */
  takeInto(target: Uint8Array, offset: number, bytes: number): number {
    const unsent = this.#unsent!
    const end = unsent.takeInto(target, offset, bytes)
    this.sendWindow -= bytes
    if (unsent.bytes === 0) this.#unsent = undefined
    if (unsent.bytes <= SEND_LOW_MARK_BYTES) this.onRoom()
    return end
  }

  /** Whoever was told to stop may go on. */
  onRoom(): void {
    if (!this.#starved || this.bufferedBytes > SEND_LOW_MARK_BYTES) return
    this.#starved = false
    this.#owner.later(() => {
      if (!this.#closed && !this.#ended) this.#sink?.onDrain()
    })
  }

  onFinSent(): void {
    this.#finSent = true
    this.#forgetWhenBothEnded()
  }

  /** The peer granted bytes. Returns the whole window. */
  onGranted(bytes: number): number {
    this.sendWindow += bytes
    if (this.isSendable) this.#owner.onSendable(this)
    return this.sendWindow
  }

  /** The head of a DATA frame has come; false when it breaks the window. */
  expect(bytes: number): boolean {
    this.#receiveWindow -= bytes
    return this.#receiveWindow >= 0
  }

  /** @param piece borrowed: overwritten when this returns */
  receive(piece: Uint8Array): void {
    if (this.#closed) {
      this.#owner.onConsumed(piece.length)
      return
    }
    if (this.#sink && !this.#paused && !this.#unread) {
      deliverBorrowed(this.#sink, piece)
      this.#consumed(piece.length)
      return
    }
    this.#unread ??= new ByteQueue()
    this.#unread.pushCopy(piece)
  }

  onPeerEnd(): void {
    this.#peerEnded = true
    this.#forgetWhenBothEnded()
    this.#deliver()
  }

  get peerEnded(): boolean {
    return this.#peerEnded
  }

  /** The end of everything, from either side or from the session. Tells the sink later, once. */
  close(reason: CodedError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeReason = reason
    this.#owner.onConsumed(this.#unread?.bytes ?? 0)
    this.#unread?.clear()
    this.#unsent?.clear()
    this.#unread = undefined
    this.#unsent = undefined
    this.#owner.onGone(this)
    if (this.#sink) this.#owner.later(() => this.#sink!.onClose(reason))
  }

  #deliver(): void {
    const sink = this.#sink
    while (sink && this.#unread && !this.#paused) {
      const unread = this.#unread
      const piece = unread.shift()!
      if (unread.bytes === 0) this.#unread = undefined
      deliverBorrowed(sink, piece)
      unread.settle()
      this.#consumed(piece.length)
    }
    if (!sink || this.#unread || this.#paused || this.#closed || !this.#peerEnded || this.#endDelivered) return
    this.#endDelivered = true
    sink.onEnd()
    this.#closeWhenBothEnded()
  }

  #consumed(bytes: number): void {
    this.#owner.onConsumed(bytes)
    this.#ungranted += bytes
    if (this.#closed || this.#peerEnded || this.#ungranted < this.#windowBytes / 2) return
    const growth = Math.min(this.#windowBytes, STREAM_WINDOW_BYTES_MAX - this.#windowBytes)
    const granted = this.#ungranted + growth
    this.#windowBytes += growth
    this.#receiveWindow += granted
    this.#ungranted = 0
    this.#owner.grant(this, granted)
  }

  #forgetWhenBothEnded(): void {
    if (!this.#finSent || !this.#peerEnded) return
    this.#owner.onGone(this)
    this.#closeWhenBothEnded()
  }

  #closeWhenBothEnded(): void {
    if (this.#finSent && this.#endDelivered) this.close(undefined)
  }
}

import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { HeaderMap } from '../http1/headers.ts'
import { copyOf } from '../http1/message-decoder.ts'
import { isForbiddenTrailer } from '../http1/trailers.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import { atTurnEnd } from '../stream/turn-end.ts'
import { ClosedStreams } from './closed-streams.ts'
import { DataSender } from './data-sender.ts'
import { ConnectionFault, HTTP2_ERROR, HTTP2_FAULTS, type Http2FaultName } from './errors.ts'
import { FLAG, FRAME, readUint31, readUint32, WINDOW_INITIAL, WINDOW_MAX } from './frame.ts'
import { FrameBudget } from './frame-budget.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { checkFrameHead, priorityFault } from './frame-rules.ts'
import { FrameWriter } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { encodeHeaders, HpackEncoder } from './hpack-encoder.ts'
import type { Http2SessionComponents, Http2SessionInit } from './http2-session-init.ts'
import type { Http2Stream } from './http2-stream.ts'
import {
  CONNECTION_WINDOW_BYTES,
  LINGER_MS,
  OUTPUT_BYTES_MAX,
  SENT_FRAME_BYTES_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from './limits.ts'
import { MessageFields } from './message-fields.ts'
import { PeerSettings } from './peer-settings.ts'
import { ReceiveWindow } from './receive-window.ts'

/**
 * One connection of HTTP/2, what both of its sides have in common (RFC 9113): frames in and out, settings, windows, the
 * tables of HPACK, and the limits of what a peer may ask for. It is the ByteSink of a stream that its owner starts.
 */
export abstract class Http2Session implements ByteSink, FrameSink {
  protected readonly writer: FrameWriter
  protected readonly encoder = new HpackEncoder()
  protected readonly fields = new MessageFields()
  protected readonly streams = new Map<number, Http2Stream>()
  protected readonly closed = new ClosedStreams()
  /** The highest number of a stream that the peer opened. */
  protected lastPeerStream = 0
  protected readonly peer = new PeerSettings()
  protected readonly streamWindowBytes: number
  protected readonly streamsMax: number
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #reader = new FrameReader(this)
  readonly #decoder = new HpackDecoder()
  readonly #budget: FrameBudget
  readonly #connectionWindowBytes: number
  readonly #sender: DataSender
  readonly #window: ReceiveWindow
  #hasSettings = false
  readonly #block = new HeaderBlock()
  /** The stream of the DATA frame that is being read; undefined when nobody reads it. */
  #dataStream: Http2Stream | undefined
  #dataEnds = false
  #dataBytes = 0
  #isBorrowed = false
  #goodbyeSent = false
  #over = false
  #cancelLinger: CancelTimer | undefined

  constructor(components: Http2SessionComponents, init: Http2SessionInit) {
    const { stream, clock } = components
    this.#stream = stream
    this.#clock = clock
    this.streamsMax = init.streamsMax ?? STREAMS_MAX
    this.streamWindowBytes = init.streamWindowBytes ?? STREAM_WINDOW_BYTES
    this.#connectionWindowBytes = init.connectionWindowBytes ?? CONNECTION_WINDOW_BYTES
    this.#window = new ReceiveWindow(this.#connectionWindowBytes)
    this.#budget = new FrameBudget({ clock })
    this.writer = new FrameWriter(
      { stream, atTurnEnd: components.atTurnEnd ?? atTurnEnd },
      { beforeFlush: () => this.beforeFlush() },
    )
    this.#sender = new DataSender(this.writer)
  }

  /** Streams that are open, or half open. */
  get streamCount(): number {
    return this.streams.size
  }

  /** The connection is over, or about to be: nothing more is read. */
  get over(): boolean {
    return this.#over
  }

  /** To be called at intervals: what the peer has let wait for several of them is reset. */
  resetStalled(): void {
    for (const stream of this.#sender.takeStalled()) {
      this.sendReset(stream.id, HTTP2_ERROR.CANCEL)
      stream.fail('stalled')
    }
  }

  // ByteSink

  onData(chunk: Uint8Array): void {
    this.#read(chunk, false)
  }

  onBorrowed(chunk: Uint8Array): void {
    this.#read(chunk, true)
  }

  onEnd(): void {
    this.#stop()
    this.writer.end()
  }

  onDrain(): void {
    this.writer.hasRoom = true
    this.#sender.pumpAll()
  }

  onClose(_reason: CodedError | undefined): void {
    this.#cancelLinger?.()
    this.writer.stop()
    this.#stop()
    this.onOver()
  }

  // For streams.

  /** @returns how many bytes of the piece were sent */
  sendData(stream: Http2Stream, piece: Uint8Array): number {
    return this.#sender.send(stream, piece)
  }

  /** The last frame of our message. */
  sendEnd(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    if (trailers === undefined || trailers.size === 0) {
      this.writer.endStream(stream.id)
    } else {
      this.encoder.begin()
      encodeHeaders(this.encoder, trailers)
      this.sendHeaders(stream.id, true)
    }
    this.localEnd(stream)
  }

  sendReset(id: number, code: number): void {
    this.closed.addReset(id)
    if (!this.writer.ended) this.writer.word(FRAME.RST_STREAM, id, code)
  }

  /** Bytes of DATA were taken by whoever they were for, or have nobody. */
  consumed(bytes: number): void {
    const granted = this.#window.consume(bytes)
    if (granted > 0 && !this.#over) this.writer.word(FRAME.WINDOW_UPDATE, 0, granted)
  }

  /** Whether so many bytes are worth a WINDOW_UPDATE. */
  mustGrant(bytes: number): boolean {
    return 2 * bytes >= this.streamWindowBytes && !this.#over
  }

  sendGrant(id: number, bytes: number): void {
    this.writer.word(FRAME.WINDOW_UPDATE, id, bytes)
  }

  /** It has something that cannot be sent now. */
  wait(stream: Http2Stream): void {
    this.#sender.wait(stream)
  }

  remove(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return
    this.closed.add(stream.id)
    this.onStreamClosed()
  }

  // FrameSink

  onFrameHead(type: number, flags: number, stream: number, length: number): void {
    if (!this.#hasSettings) {
      if (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0) fault('PREFACE_INVALID')
      this.#hasSettings = true
    }
    const { stream: gathering } = this.#block
    if (gathering !== 0 ? type !== FRAME.CONTINUATION || stream !== gathering : type === FRAME.CONTINUATION) {
      fault('HEADER_BLOCK_INTERRUPTED')
    }
    checkFrameHead(type, flags, stream, length)
    if (type === FRAME.DATA) this.#beginData(stream, flags, length)
  }

  onDataPiece(bytes: Uint8Array, from: number, to: number): void {
    const stream = this.#dataStream
    const length = to - from
    if (stream === undefined || stream.over) return this.consumed(length)
    if (stream.bodyBytesLeft >= 0) {
      stream.bodyBytesLeft -= length
      if (stream.bodyBytesLeft < 0) {
        this.consumed(length)
        return this.#malformed(stream)
      }
    }
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    stream.receive(this.#isBorrowed ? copyOf(piece) : piece)
  }

  onDataEnd(unread: number): void {
    if (unread > 0) {
      this.consumed(unread)
      if (unread === this.#dataBytes) this.#budget.spend()
    }
    const stream = this.#dataStream
    this.#dataStream = undefined
    if (stream === undefined || stream.over || !this.#dataEnds) return
    if (stream.bodyBytesLeft > 0) return this.#malformed(stream)
    this.#remoteEnd(stream, undefined)
  }

  onFrame(type: number, flags: number, stream: number, bytes: Uint8Array, from: number, to: number): void {
    switch (type) {
      case FRAME.HEADERS:
        return this.#takeHeaders(stream, flags, bytes, from, to)
      case FRAME.CONTINUATION:
        return this.#continueBlock(flags, bytes, from, to)
      case FRAME.PRIORITY:
        return this.#takePriority(stream, bytes, from, to)
      case FRAME.RST_STREAM:
        return this.#takeReset(stream, readUint32(bytes, from))
      case FRAME.SETTINGS:
        if ((flags & FLAG.ACK) !== 0) return this.#budget.spend()
        return this.#takeSettings(bytes, from, to)
      case FRAME.PING:
        return this.#takePing(flags, bytes.subarray(from, to))
      case FRAME.GOAWAY:
        this.#budget.spend()
        return this.takeGoaway(readUint31(bytes, from), readUint32(bytes, from + 4))
      case FRAME.WINDOW_UPDATE:
        return this.#takeWindowUpdate(stream, readUint31(bytes, from))
      default:
        // RFC 9113 §5.5: what is not known is passed over.
        this.#budget.spend()
    }
  }

  // For the two sides.

  /** Whether the peer opens the streams: then it may not open and reset them for ever. */
  protected abstract readonly isServer: boolean

  /** A header block on a stream that is not open. */
  protected abstract takeNewHeaders(id: number, endStream: boolean): void
  /** The head of a stream that is open; what it says is in `fields`. */
  protected abstract takeHead(stream: Http2Stream, endStream: boolean): void
  protected abstract takeGoaway(last: number, code: number): void
  /** @returns whether we had asked for it */
  protected abstract takePingAck(payload: Uint8Array): boolean
  /** Whether nobody ever opened the stream. */
  protected abstract isIdle(id: number): boolean
  /** Room for another stream, perhaps. */
  protected abstract onStreamClosed(): void
  /** The peer's settings have changed. */
  protected abstract onSettings(): void
  /** The connection is gone; once. */
  protected abstract onOver(): void

  protected beforeFlush(): void {}

  /** Our settings, and the window of the connection. */
  protected sendPreface(settings: readonly (readonly [id: number, value: number])[]): void {
    this.writer.settings(settings)
    const more = this.#connectionWindowBytes - WINDOW_INITIAL
    if (more > 0) this.writer.word(FRAME.WINDOW_UPDATE, 0, more)
  }

  /** The block that the encoder has made. */
  protected sendHeaders(id: number, endStream: boolean): void {
    this.writer.headers(id, this.encoder, this.#sender.frameBytesMax, endStream)
  }

  /** We sent END_STREAM. */
  protected localEnd(stream: Http2Stream): void {
    stream.localEnded = true
    if (stream.remoteEnded) this.remove(stream)
  }

  /** The last GOAWAY: streams behind `last` are not served. */
  protected sayGoodbye(last: number): void {
    this.writer.goaway(last, HTTP2_ERROR.NO_ERROR)
    this.#goodbyeSent = true
  }

  /** Says goodbye, if that was not said or something is wrong, and ends when it is written. */
  protected close(code: number = HTTP2_ERROR.NO_ERROR, debug = ''): void {
    if (this.writer.ended) return
    if (!this.#goodbyeSent || code !== HTTP2_ERROR.NO_ERROR) this.writer.goaway(this.lastPeerStream, code, debug)
    this.#goodbyeSent = true
    this.#stop()
    this.writer.end()
    this.#cancelLinger = this.#clock.schedule(
      LINGER_MS,
      () => this.#stream.reset(new CodedError('CONNECTION_CLOSED', 'the connection was over')),
      { background: true },
    )
  }

  /** A request or response that is none (RFC 9113 §8.1.1). */
  protected refuse(id: number, code: number): void {
    this.sendReset(id, code)
    this.#budget.spend()
  }

  protected headEnds(stream: Http2Stream): void {
    // An answer that says how long its body is, and has none.
    if (stream.bodyBytesLeft > 0) return this.#malformed(stream)
    this.#remoteEnd(stream, undefined)
  }

  protected takePreface(_bytes: Uint8Array): number {
    return 0
  }

  #read(chunk: Uint8Array, isBorrowed: boolean): void {
    if (this.#over) return
    this.#isBorrowed = isBorrowed
    try {
      this.#checkOutput()
      this.#reader.read(chunk, this.takePreface(chunk))
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      const { code, meaning } = HTTP2_FAULTS[error.fault]
      this.close(code, meaning)
    }
  }

  /** Whatever was open is over. */
  #stop(): void {
    if (this.#over) return
    this.#over = true
    this.#reader.stop()
    for (const stream of [...this.streams.values()]) stream.fail('gone')
  }

  #beginData(id: number, flags: number, length: number): void {
    if (!this.#window.take(length)) fault('WINDOW_EXCEEDED')
    this.#dataEnds = (flags & FLAG.END_STREAM) !== 0
    this.#dataBytes = length
    if (length === 0 && !this.#dataEnds) this.#budget.spend()
    const stream = this.streams.get(id)
    this.#dataStream = undefined
    if (stream === undefined) {
      if (this.isIdle(id)) fault('STREAM_IDLE')
      // What crossed our reset on its way is nobody's fault.
      if (!this.closed.wasReset(id)) this.refuse(id, HTTP2_ERROR.STREAM_CLOSED)
      return
    }
    if (stream.remoteEnded) {
      this.refuse(id, HTTP2_ERROR.STREAM_CLOSED)
      return stream.fail('malformed')
    }
    if (!stream.hasHead) return this.#malformed(stream)
    stream.receiveWindow -= length
    if (stream.receiveWindow < 0) {
      this.refuse(id, HTTP2_ERROR.FLOW_CONTROL_ERROR)
      return stream.fail('malformed')
    }
    this.#dataStream = stream
  }

  #takeHeaders(id: number, flags: number, bytes: Uint8Array, from: number, to: number): void {
    const block = this.#block
    block.readFragment(id, flags, bytes, from, to)
    if ((flags & FLAG.END_HEADERS) !== 0) return this.#takeBlock(id, flags, bytes, block.start, block.end)
    block.begin(id, flags, bytes)
  }

  #continueBlock(flags: number, bytes: Uint8Array, from: number, to: number): void {
    const block = this.#block
    block.add(bytes, from, to)
    if ((flags & FLAG.END_HEADERS) === 0) return
    const id = block.stream
    block.stream = 0
    this.#takeBlock(id, block.flags, block.bytes, 0, block.bytes.length)
  }

  #takeBlock(id: number, flags: number, bytes: Uint8Array, from: number, to: number): void {
    const { fields } = this
    fields.begin()
    this.#decoder.decode(bytes, from, to, fields)
    const endStream = (flags & FLAG.END_STREAM) !== 0
    const stream = this.streams.get(id)
    if (stream === undefined) return this.takeNewHeaders(id, endStream)
    if (stream.remoteEnded) {
      this.refuse(id, HTTP2_ERROR.STREAM_CLOSED)
      return stream.fail('malformed')
    }
    if (!stream.hasHead) return this.takeHead(stream, endStream)
    // RFC 9113 §8.1: the second block ends the stream.
    if (!endStream || fields.malformed || fields.tooLarge || fields.hasPseudo || stream.bodyBytesLeft > 0) {
      return this.#malformed(stream)
    }
    this.#takeTrailers(stream)
  }

  #takeTrailers(stream: Http2Stream): void {
    const { fields } = this
    // What frames or routes a message cannot come behind it.
    if (fields.contentLength >= 0 || fields.host !== undefined) return this.#malformed(stream)
    const trailers = fields.takeHeaders()
    trailers.deleteWhere(isForbiddenTrailer)
    this.#remoteEnd(stream, trailers.size > 0 ? trailers : undefined)
  }

  #remoteEnd(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    stream.remoteEnded = true
    // Its owner is told first: of what is over it would hear no more.
    stream.receiveEnd(trailers)
    if (stream.localEnded) this.remove(stream)
  }

  #malformed(stream: Http2Stream): void {
    this.refuse(stream.id, HTTP2_ERROR.PROTOCOL_ERROR)
    stream.fail('malformed')
  }

  /** RFC 9113 §5.3.2: nobody goes by priorities any more. */
  #takePriority(id: number, bytes: Uint8Array, from: number, to: number): void {
    this.#budget.spend()
    const wrong = priorityFault(id, bytes, from, to)
    if (wrong === undefined) return
    // RST_STREAM cannot be sent on a stream that never was.
    if (this.isIdle(id)) fault(wrong)
    this.refuse(id, HTTP2_FAULTS[wrong].code)
    this.streams.get(id)?.fail('malformed')
  }

  #takeReset(id: number, code: number): void {
    if (this.isIdle(id)) fault('STREAM_IDLE')
    const stream = this.streams.get(id)
    if (stream === undefined) return this.#budget.spend()
    if (this.isServer) this.#budget.spendReset()
    stream.fail(code === HTTP2_ERROR.REFUSED_STREAM ? 'refused' : 'reset')
  }

  #takeSettings(bytes: Uint8Array, from: number, to: number): void {
    this.#budget.spend()
    const { peer } = this
    const before = peer.windowBytes
    peer.take(bytes, from, to)
    this.encoder.limitTable(peer.headerTableBytes)
    this.#sender.frameBytesMax = Math.min(peer.frameBytesMax, SENT_FRAME_BYTES_MAX)
    const more = peer.windowBytes - before
    for (const stream of this.streams.values()) {
      stream.sendWindow += more
      if (stream.sendWindow > WINDOW_MAX) fault('WINDOW_SETTING_INVALID')
    }
    if (more > 0) this.#sender.pumpAll()
    this.writer.frame(FRAME.SETTINGS, FLAG.ACK, 0, NOTHING)
    this.onSettings()
  }

  #takePing(flags: number, payload: Uint8Array): void {
    const isAck = (flags & FLAG.ACK) !== 0
    if (isAck && this.takePingAck(payload)) return
    this.#budget.spendReply(this.#sender.takeFrameCount())
    if (!isAck) this.writer.frame(FRAME.PING, FLAG.ACK, 0, payload)
  }

  #takeWindowUpdate(id: number, increment: number): void {
    this.#budget.spendReply(this.#sender.takeFrameCount())
    if (id === 0) {
      if (increment === 0) fault('WINDOW_INCREMENT_ZERO')
      if (!this.#sender.grant(increment)) fault('WINDOW_OVERFLOW')
      return
    }
    if (this.isIdle(id)) fault('STREAM_IDLE')
    const stream = this.streams.get(id)
    if (stream === undefined) return
    stream.sendWindow += increment
    if (increment === 0 || stream.sendWindow > WINDOW_MAX) {
      this.refuse(id, increment === 0 ? HTTP2_ERROR.PROTOCOL_ERROR : HTTP2_ERROR.FLOW_CONTROL_ERROR)
      return stream.fail('malformed')
    }
    this.#sender.pump(stream)
  }

  /** What is answered at once and not read piles up. */
  #checkOutput(): void {
    if (!this.writer.hasRoom && this.writer.pendingBytes > OUTPUT_BYTES_MAX) fault('OUTPUT_NOT_READ')
  }
}

const NOTHING = new Uint8Array(0)

function fault(name: Http2FaultName): never {
  throw new ConnectionFault(name)
}

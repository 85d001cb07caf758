import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { HeaderMap } from '../http1/headers.ts'
import { isForbiddenTrailer } from '../http1/trailers.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import { type AtTurnEnd, atTurnEnd } from '../stream/turn-end.ts'
import { TokenBucket } from '../token-bucket.ts'
import { ClosedStreams } from './closed-streams.ts'
import { ConnectionFault, HTTP2_ERROR, HTTP2_FAULTS, type Http2FaultName } from './errors.ts'
import {
  FLAG,
  FRAME,
  FRAME_BYTES_DEFAULT,
  FRAME_BYTES_LIMIT,
  readUint31,
  readUint32,
  SETTING,
  WINDOW_INITIAL,
  WINDOW_MAX,
  writeUint32,
} from './frame.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { encodeHeaders, HpackEncoder } from './hpack-encoder.ts'
import type { Http2Stream } from './http2-stream.ts'
import {
  CONNECTION_WINDOW_BYTES,
  CONTINUATIONS_MAX,
  EMPTY_FRAMES,
  HEADER_BLOCK_BYTES_MAX,
  LINGER_MS,
  OUTPUT_BYTES_MAX,
  RESETS,
  SENT_FRAME_BYTES_MAX,
  STALLED_LOOKS_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
  WINDOW_UPDATES_PER_DATA,
} from './limits.ts'
import { MessageFields } from './message-fields.ts'

export interface Http2SessionComponents {
  readonly stream: ByteStream
  readonly clock: Clock
  /** When the frames of a turn leave. @default after the present turn of the event loop */
  readonly atTurnEnd?: AtTurnEnd
}

export interface Http2SessionInit {
  /** @default 100 */
  readonly streamsMax?: number
  /** @default 256 KiB */
  readonly streamWindowBytes?: number
  /** @default 4 MiB */
  readonly connectionWindowBytes?: number
}

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
  /** What the peer's settings say. */
  protected peerStreamsMax = Number.POSITIVE_INFINITY
  protected streamSendWindow = WINDOW_INITIAL
  protected readonly streamWindowBytes: number
  protected readonly streamsMax: number
  readonly #stream: ByteStream
  readonly #clock: Clock
  readonly #reader = new FrameReader(this)
  readonly #decoder = new HpackDecoder()
  readonly #resets: TokenBucket
  readonly #emptyFrames: TokenBucket
  readonly #connectionWindowBytes: number
  #frameBytesMax = FRAME_BYTES_DEFAULT
  #sendWindow = WINDOW_INITIAL
  #receiveWindow: number
  /** Taken by those whom it was for, and not granted again. */
  #consumedBytes = 0
  #windowUpdatesDue = 0
  #hasSettings = false
  /** Streams with something that no window or stream had room for, in the order of their turns. */
  #waiting: Http2Stream[] = []
  // The header block that is in pieces.
  #blockStream = 0
  #blockFlags = 0
  #block: Buffer | undefined
  #blockBytes = 0
  #continuations = 0
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
    this.#receiveWindow = this.#connectionWindowBytes
    this.#resets = new TokenBucket({ clock }, RESETS)
    this.#emptyFrames = new TokenBucket({ clock }, EMPTY_FRAMES)
    this.writer = new FrameWriter(
      { stream, atTurnEnd: components.atTurnEnd ?? atTurnEnd },
      { beforeFlush: () => this.beforeFlush() },
    )
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
    for (const stream of [...this.#waiting]) {
      stream.stalledLooks += 1
      if (stream.over || stream.stalledLooks <= STALLED_LOOKS_MAX) continue
      this.sendReset(stream.id, HTTP2_ERROR.CANCEL)
      stream.fail('stalled')
    }
    this.#waiting = this.#waiting.filter((stream) => !stream.over)
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
    this.#pumpAll()
    if (!this.writer.hasRoom) return
    for (const stream of this.streams.values()) if (!stream.isWaiting) stream.drained()
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
    const { writer } = this
    let sent = 0
    while (sent < piece.length && writer.hasRoom) {
      const room = Math.min(piece.length - sent, stream.sendWindow, this.#sendWindow, this.#frameBytesMax)
      if (room <= 0) break
      writer.data(stream.id, room === piece.length ? piece : piece.subarray(sent, sent + room), false)
      stream.sendWindow -= room
      this.#sendWindow -= room
      sent += room
      stream.stalledLooks = 0
      this.#windowUpdatesDue = Math.min(this.#windowUpdatesDue + WINDOW_UPDATES_PER_DATA, EMPTY_FRAMES.maxTokens)
    }
    return sent
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
    this.closed.add(id, true)
    if (!this.writer.ended) this.writer.word(FRAME.RST_STREAM, id, code)
  }

  /** Bytes of DATA were taken by whoever they were for, or have nobody. */
  consumed(bytes: number): void {
    this.#consumedBytes += bytes
    if (2 * this.#consumedBytes < this.#connectionWindowBytes || this.#over) return
    this.writer.word(FRAME.WINDOW_UPDATE, 0, this.#consumedBytes)
    this.#receiveWindow += this.#consumedBytes
    this.#consumedBytes = 0
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
    this.#waiting.push(stream)
  }

  remove(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return
    this.closed.add(stream.id, false)
    this.onStreamClosed()
  }

  // FrameSink

  onFrameHead(type: number, flags: number, stream: number, length: number): void {
    if (!this.#hasSettings) {
      if (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0) fault('PREFACE_INVALID')
      this.#hasSettings = true
    }
    if (
      this.#blockStream !== 0
        ? type !== FRAME.CONTINUATION || stream !== this.#blockStream
        : type === FRAME.CONTINUATION
    ) {
      fault('HEADER_BLOCK_INTERRUPTED')
    }
    switch (type) {
      case FRAME.DATA:
        if (stream === 0) fault('FRAME_STREAM_INVALID')
        return this.#beginData(stream, flags, length)
      case FRAME.HEADERS:
      case FRAME.PRIORITY:
        if (stream === 0) fault('FRAME_STREAM_INVALID')
        return
      case FRAME.RST_STREAM:
        if (stream === 0) fault('FRAME_STREAM_INVALID')
        if (length !== 4) fault('FRAME_SIZE_INVALID')
        return
      case FRAME.SETTINGS:
        if (stream !== 0) fault('FRAME_STREAM_INVALID')
        if (length % 6 !== 0 || ((flags & FLAG.ACK) !== 0 && length > 0)) fault('FRAME_SIZE_INVALID')
        return
      case FRAME.PUSH_PROMISE:
        return fault('PUSH_UNEXPECTED')
      case FRAME.PING:
        if (stream !== 0) fault('FRAME_STREAM_INVALID')
        if (length !== 8) fault('FRAME_SIZE_INVALID')
        return
      case FRAME.GOAWAY:
        if (stream !== 0) fault('FRAME_STREAM_INVALID')
        if (length < 8) fault('FRAME_SIZE_INVALID')
        return
      case FRAME.WINDOW_UPDATE:
        if (length !== 4) fault('FRAME_SIZE_INVALID')
        return
    }
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
      if (unread === this.#dataBytes) this.#spend()
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
        if ((flags & FLAG.ACK) !== 0) return this.#spend()
        return this.#takeSettings(bytes, from, to)
      case FRAME.PING:
        return this.#takePing(flags, bytes.subarray(from, to))
      case FRAME.GOAWAY:
        this.#spend()
        return this.takeGoaway(readUint31(bytes, from), readUint32(bytes, from + 4))
      case FRAME.WINDOW_UPDATE:
        return this.#takeWindowUpdate(stream, readUint31(bytes, from))
      default:
        // RFC 9113 §5.5: what is not known is passed over.
        this.#spend()
    }
  }

  // For the two sides.

  /** A header block on a stream that is not open. */
  protected abstract takeNewHeaders(id: number, endStream: boolean): void
  /** The head of a stream that is open; what it says is in `fields`. */
  protected abstract takeHead(stream: Http2Stream, endStream: boolean): void
  protected abstract takeGoaway(last: number, code: number): void
  protected abstract takePingAck(payload: Uint8Array): void
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
    const payload = new Uint8Array(6 * settings.length)
    for (const [index, [id, value]] of settings.entries()) {
      payload[6 * index + 1] = id
      writeUint32(payload, 6 * index + 2, value)
    }
    this.writer.frame(FRAME.SETTINGS, 0, 0, payload)
    const more = this.#connectionWindowBytes - WINDOW_INITIAL
    if (more > 0) this.writer.word(FRAME.WINDOW_UPDATE, 0, more)
  }

  /** The block that the encoder has made. */
  protected sendHeaders(id: number, endStream: boolean): void {
    const { encoder } = this
    this.writer.headers(id, encoder.block, encoder.length, this.#frameBytesMax, endStream)
  }

  /** We sent END_STREAM. */
  protected localEnd(stream: Http2Stream): void {
    stream.localEnded = true
    if (stream.remoteEnded) this.remove(stream)
  }

  protected sendGoaway(last: number, code: number, debug = ''): void {
    const payload = Buffer.alloc(8 + debug.length)
    writeUint32(payload, 0, last)
    writeUint32(payload, 4, code)
    payload.write(debug, 8, 'latin1')
    this.writer.frame(FRAME.GOAWAY, 0, 0, payload)
  }

  /** The last GOAWAY: streams behind `last` are not served. */
  protected sayGoodbye(last: number): void {
    this.sendGoaway(last, HTTP2_ERROR.NO_ERROR)
    this.#goodbyeSent = true
  }

  /** Says goodbye, if that was not said or something is wrong, and ends when it is written. */
  protected close(code: number = HTTP2_ERROR.NO_ERROR, debug = ''): void {
    if (this.writer.ended) return
    if (!this.#goodbyeSent || code !== HTTP2_ERROR.NO_ERROR) this.sendGoaway(this.lastPeerStream, code, debug)
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
    this.#spend()
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
    this.#receiveWindow -= length
    if (this.#receiveWindow < 0) fault('WINDOW_EXCEEDED')
    this.#dataEnds = (flags & FLAG.END_STREAM) !== 0
    this.#dataBytes = length
    if (length === 0 && !this.#dataEnds) this.#spend()
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
    let start = from
    let end = to
    if ((flags & FLAG.PADDED) !== 0) {
      if (start === end) fault('FRAME_SIZE_INVALID')
      end -= bytes[start]!
      start += 1
    }
    let isSelfDependent = false
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (start + 5 > to) fault('FRAME_SIZE_INVALID')
      isSelfDependent = readUint31(bytes, start) === id
      start += 5
    }
    if (start > end) fault('PADDING_INVALID')
    if (isSelfDependent) fault('STREAM_ID_INVALID')
    if ((flags & FLAG.END_HEADERS) !== 0) return this.#takeBlock(id, flags, bytes, start, end)
    this.#blockStream = id
    this.#blockFlags = flags
    this.#blockBytes = 0
    this.#continuations = 0
    this.#gather(bytes, start, end)
  }

  #continueBlock(flags: number, bytes: Uint8Array, from: number, to: number): void {
    this.#continuations += 1
    if (this.#continuations > CONTINUATIONS_MAX) fault('CONTINUATION_FLOOD')
    this.#gather(bytes, from, to)
    if ((flags & FLAG.END_HEADERS) === 0) return
    const id = this.#blockStream
    const block = this.#block!
    this.#blockStream = 0
    this.#block = undefined
    this.#takeBlock(id, this.#blockFlags, block, 0, this.#blockBytes)
  }

  #gather(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.#blockBytes + to - from
    if (needed > HEADER_BLOCK_BYTES_MAX) fault('HEADER_BLOCK_TOO_LARGE')
    const block = Buffer.allocUnsafe(needed)
    if (this.#block) this.#block.copy(block, 0, 0, this.#blockBytes)
    block.set(bytes.subarray(from, to), this.#blockBytes)
    this.#block = block
    this.#blockBytes = needed
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
    this.#spend()
    const code =
      to - from !== 5
        ? HTTP2_ERROR.FRAME_SIZE_ERROR
        : readUint31(bytes, from) === id
          ? HTTP2_ERROR.PROTOCOL_ERROR
          : HTTP2_ERROR.NO_ERROR
    if (code === HTTP2_ERROR.NO_ERROR) return
    // RST_STREAM cannot be sent on a stream that never was.
    if (this.isIdle(id)) fault(to - from !== 5 ? 'FRAME_SIZE_INVALID' : 'STREAM_ID_INVALID')
    this.refuse(id, code)
    this.streams.get(id)?.fail('malformed')
  }

  #takeReset(id: number, code: number): void {
    if (this.isIdle(id)) fault('STREAM_IDLE')
    const stream = this.streams.get(id)
    if (stream === undefined) return this.#spend()
    if (!this.#resets.take()) fault('RESET_FLOOD')
    stream.fail(code === HTTP2_ERROR.REFUSED_STREAM ? 'refused' : 'reset')
  }

  #takeSettings(bytes: Uint8Array, from: number, to: number): void {
    this.#spend()
    for (let at = from; at < to; at += 6) {
      this.#takeSetting((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2))
    }
    this.writer.frame(FRAME.SETTINGS, FLAG.ACK, 0, NOTHING)
    this.onSettings()
  }

  #takeSetting(id: number, value: number): void {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        return this.encoder.limitTable(value)
      case SETTING.ENABLE_PUSH:
        if (value > 1) fault('SETTINGS_INVALID')
        return
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.peerStreamsMax = value
        return
      case SETTING.INITIAL_WINDOW_SIZE: {
        if (value > WINDOW_MAX) fault('WINDOW_SETTING_INVALID')
        const more = value - this.streamSendWindow
        this.streamSendWindow = value
        for (const stream of this.streams.values()) {
          stream.sendWindow += more
          if (stream.sendWindow > WINDOW_MAX) fault('WINDOW_SETTING_INVALID')
        }
        if (more > 0) this.#pumpAll()
        return
      }
      case SETTING.MAX_FRAME_SIZE:
        if (value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_LIMIT) fault('SETTINGS_INVALID')
        this.#frameBytesMax = Math.min(value, SENT_FRAME_BYTES_MAX)
        return
    }
  }

  #takePing(flags: number, payload: Uint8Array): void {
    this.#spend()
    if ((flags & FLAG.ACK) !== 0) return this.takePingAck(payload)
    this.writer.frame(FRAME.PING, FLAG.ACK, 0, payload)
  }

  #takeWindowUpdate(id: number, increment: number): void {
    if (this.#windowUpdatesDue > 0) this.#windowUpdatesDue -= 1
    else this.#spend()
    if (id === 0) {
      if (increment === 0) fault('WINDOW_INCREMENT_ZERO')
      this.#sendWindow += increment
      if (this.#sendWindow > WINDOW_MAX) fault('WINDOW_OVERFLOW')
      return this.#pumpAll()
    }
    if (this.isIdle(id)) fault('STREAM_IDLE')
    const stream = this.streams.get(id)
    if (stream === undefined) return
    stream.sendWindow += increment
    if (increment === 0 || stream.sendWindow > WINDOW_MAX) {
      this.refuse(id, increment === 0 ? HTTP2_ERROR.PROTOCOL_ERROR : HTTP2_ERROR.FLOW_CONTROL_ERROR)
      return stream.fail('malformed')
    }
    if (!stream.isWaiting || !stream.pump()) return
    this.#waiting = this.#waiting.filter((one) => one !== stream)
    stream.drained()
  }

  /** Whoever waits gets a turn; who needs more of the windows goes to the end of the line. */
  #pumpAll(): void {
    for (let left = this.#waiting.length; left > 0 && this.#sendWindow > 0 && this.writer.hasRoom; left -= 1) {
      const stream = this.#waiting.shift()!
      if (stream.over) continue
      if (stream.pump()) stream.drained()
      else this.#waiting.push(stream)
    }
  }

  /** A frame that is no use by itself. */
  #spend(): void {
    if (!this.#emptyFrames.take()) fault('FRAME_FLOOD')
  }

  /** What is answered at once and not read piles up. */
  #checkOutput(): void {
    if (!this.writer.hasRoom && this.writer.pendingBytes > OUTPUT_BYTES_MAX) fault('OUTPUT_NOT_READ')
  }
}

const NOTHING = new Uint8Array(0)

/** From Node's pool where it is small. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length)
  copy.set(bytes)
  return copy
}

function fault(name: Http2FaultName): never {
  throw new ConnectionFault(name)
}

import { tunnelError } from './errors.ts'
import { FRAME, FRAME_HEAD_BYTES, FRAME_RULES, type FrameType, readU32 } from './frame.ts'

/** What a decoder finds. Views are into the chunk that was pushed, or into memory of their own: the handler's to keep. */
export interface FrameHandler {
  /** Any frame but DATA, whole. */
  onFrame(type: FrameType, stream: number, payload: Uint8Array): void
  /** The head of a DATA frame: judged before its bytes are here. */
  onDataHead(stream: number, bytes: number): void
  /** A piece of the DATA frame whose head came last. Pieces follow the chunks of the network, not frames. */
  onData(stream: number, piece: Uint8Array): void
  /** WebSocket's own ping. */
  onWebSocketPing(payload: Uint8Array): void
  /** WebSocket's closing handshake. */
  onWebSocketClose(): void
}

const BINARY = 0x2
const CLOSE = 0x8
const PING = 0x9
const PONG = 0xa
/** Longest head: 2 + 8 + 4 of the message, then type and stream. */
const HEAD_BYTES_MAX = 14 + FRAME_HEAD_BYTES
const CONTROL_BYTES_MAX = 125

/**
 * Turns the bytes of one direction of a WebSocket into frames. It holds at most one head or one control frame, so
 * what a peer can make it keep is bounded by `FRAME_RULES`; payloads of DATA pass through as views, without a copy.
 */
export class Decoder {
  readonly #handler: FrameHandler
  readonly #masked: boolean
  readonly #head = new Uint8Array(HEAD_BYTES_MAX)
  #headBytes = 0
  #opcode = 0
  #type: FrameType = FRAME.SETTINGS
  #stream = 0
  /** Payload bytes still to come; -1 while the head is incomplete. */
  #left = -1
  /** Zero for peers like us, whose masks change nothing. */
  #mask = 0
  /** Payload bytes seen: where in the mask we are. */
  #maskAt = 0
  /** The payload of a control frame that came in pieces. */
  #partial: Uint8Array | undefined
  #partialBytes = 0

  /** @param masked whether the peer must mask: true for the peer of an accepting end (RFC 6455 §5.1) */
  constructor(handler: FrameHandler, masked: boolean) {
    this.#handler = handler
    this.#masked = masked
  }

  /** @throws CodedError FRAME_MALFORMED, FRAME_TOO_LARGE, and what the handler throws; nothing may be pushed after that */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#left < 0) {
        at = this.#readHead(chunk, at)
        if (this.#left !== 0) continue
      }
      at = this.#readPayload(chunk, at)
    }
  }

  /** Collects the head byte by byte until its length is known, then judges it. */
  #readHead(chunk: Uint8Array, offset: number): number {
    const head = this.#head
    let at = offset
    while (at < chunk.length) {
      head[this.#headBytes++] = chunk[at++]!
      if (this.#headBytes < 2) continue
      const bytes = this.#headLength()
      if (this.#headBytes < bytes) continue
      this.#openFrame(bytes)
      break
    }
    return at
  }

  /** How long the head is, as far as what we have of it tells. Refuses what cannot become a frame. */
  #headLength(): number {
    const [first, second] = [this.#head[0]!, this.#head[1]!]
    const shortLength = second & 0x7f
    const messageHead = 2 + (shortLength === 126 ? 2 : shortLength === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0)
    if (this.#headBytes > 2) return (first & 0x0f) === BINARY ? messageHead + FRAME_HEAD_BYTES : messageHead
    const opcode = first & 0x0f
    if (first & 0x70) throw malformed('reserved bits are set')
    if (!(first & 0x80) || opcode === 0) throw malformed('message is fragmented')
    if (second >>> 7 !== (this.#masked ? 1 : 0))
      throw malformed(this.#masked ? 'message is not masked' : 'message is masked')
    if (opcode === BINARY) {
      if (shortLength < FRAME_HEAD_BYTES) throw malformed(`message of ${shortLength} bytes`)
      return messageHead + FRAME_HEAD_BYTES
    }
    if (opcode !== CLOSE && opcode !== PING && opcode !== PONG) throw malformed(`message of type ${opcode}`)
    if (shortLength > CONTROL_BYTES_MAX) throw malformed('control message is too long')
    return messageHead
  }

  #openFrame(headBytes: number): void {
    const head = this.#head
    this.#headBytes = 0
    this.#opcode = head[0]! & 0x0f
    const shortLength = head[1]! & 0x7f
    let length = shortLength
    let at = 2
    if (shortLength === 126) {
      length = (head[2]! << 8) | head[3]!
      at = 4
    } else if (shortLength === 127) {
      if (readU32(head, 2) !== 0) throw tunnelError('FRAME_TOO_LARGE', 'message of 4 GiB or more')
      length = readU32(head, 6)
      at = 10
    }
    this.#mask = this.#masked ? readU32(head, at) : 0
    this.#maskAt = 0
    if (this.#opcode !== BINARY) {
      this.#left = length
      return
    }
    if (length < FRAME_HEAD_BYTES) throw malformed(`message of ${length} bytes`)
    if (this.#mask !== 0) this.#unmask(head.subarray(headBytes - FRAME_HEAD_BYTES, headBytes))
    this.#judge(head[headBytes - FRAME_HEAD_BYTES]!, readU32(head, headBytes - 4), length - FRAME_HEAD_BYTES)
  }

  #judge(type: number, stream: number, bytes: number): void {
    const rule = FRAME_RULES[type]
    if (!rule) throw malformed(`frame of type ${type}`)
    if (bytes > rule.bytesMax) throw tunnelError('FRAME_TOO_LARGE', `${rule.name} of ${bytes} bytes`)
    if (bytes < rule.bytesMin) throw malformed(`${rule.name} of ${bytes} bytes`)
    if (rule.on !== 'both' && (rule.on === 'connection') !== (stream === 0))
      throw malformed(`${rule.name} on stream ${stream}`)
    this.#type = type as FrameType
    this.#stream = stream
    this.#left = bytes
    if (type === FRAME.DATA) this.#handler.onDataHead(stream, bytes)
  }

  #readPayload(chunk: Uint8Array, offset: number): number {
    const end = Math.min(chunk.length, offset + this.#left)
    const piece = offset === 0 && end === chunk.length ? chunk : chunk.subarray(offset, end)
    if (this.#mask !== 0) this.#unmask(piece)
    this.#left -= piece.length
    if (this.#opcode === BINARY && this.#type === FRAME.DATA) {
      if (this.#left === 0) this.#left = -1
      this.#handler.onData(this.#stream, piece)
    } else {
      this.#collect(piece)
    }
    return end
  }

  /** Control frames are handed on whole. */
  #collect(piece: Uint8Array): void {
    if (this.#left > 0 && !this.#partial) {
      this.#partial = new Uint8Array(piece.length + this.#left)
      this.#partialBytes = 0
    }
    if (this.#partial) {
      this.#partial.set(piece, this.#partialBytes)
      this.#partialBytes += piece.length
    }
    if (this.#left > 0) return
    const payload = this.#partial ?? piece
    this.#partial = undefined
    this.#left = -1
    if (this.#opcode === BINARY) this.#handler.onFrame(this.#type, this.#stream, payload)
    else if (this.#opcode === PING) this.#handler.onWebSocketPing(payload)
    else if (this.#opcode === CLOSE) this.#handler.onWebSocketClose()
  }

  #unmask(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index += 1) {
      bytes[index] = bytes[index]! ^ (this.#mask >>> (24 - 8 * (this.#maskAt & 3)))
      this.#maskAt += 1
    }
  }
}

function malformed(what: string): Error {
  return tunnelError('FRAME_MALFORMED', what)
}

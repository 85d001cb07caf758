import { DATA_BYTES_MAX, HEADER_BYTES_MAX, REASON_BYTES_MAX } from './limits.ts'

/**
 * The frames of `hbone.v1`. Each is one binary WebSocket message (RFC 6455), never fragmented:
 *
 *     type  u8 | stream u32 | payload, to the end of the message          numbers are big endian
 *
 * Stream 0 is the connection. The dialling end opens odd streams, the accepting end even ones, always upwards.
 */
export const FRAME = {
  /** First of each end: streams that we accept u32, bytes that a fresh stream may get u32, and the connection u32. */
  SETTINGS: 0,
  /** Opens a stream: fields as JSON, see `connect.ts`. */
  CONNECT: 1,
  /** Answers CONNECT: status and fields as JSON. Only after 200 may bytes flow. */
  RESPONSE: 2,
  DATA: 3,
  /** Grants bytes u32 to send, to a stream or (0) to the connection. */
  WINDOW: 4,
  /** No more DATA from this end. */
  FIN: 5,
  /** Ends a stream both ways: code u32, text. */
  RESET: 6,
  /** 8 bytes that PONG gives back. */
  PING: 7,
  PONG: 8,
  /** No new streams: the last stream u32 that will be worked on, code u32, text. */
  GOAWAY: 9,
} as const

export type FrameType = (typeof FRAME)[keyof typeof FRAME]

interface FrameRule {
  readonly name: string
  readonly bytesMin: number
  readonly bytesMax: number
  /** Which stream ids are allowed. */
  readonly on: 'connection' | 'stream' | 'both'
}

/** By type. */
export const FRAME_RULES: readonly FrameRule[] = [
  { name: 'SETTINGS', bytesMin: 12, bytesMax: 12, on: 'connection' },
  { name: 'CONNECT', bytesMin: 2, bytesMax: HEADER_BYTES_MAX, on: 'stream' },
  { name: 'RESPONSE', bytesMin: 2, bytesMax: HEADER_BYTES_MAX, on: 'stream' },
  { name: 'DATA', bytesMin: 1, bytesMax: DATA_BYTES_MAX, on: 'stream' },
  { name: 'WINDOW', bytesMin: 4, bytesMax: 4, on: 'both' },
  { name: 'FIN', bytesMin: 0, bytesMax: 0, on: 'stream' },
  { name: 'RESET', bytesMin: 4, bytesMax: 4 + REASON_BYTES_MAX, on: 'stream' },
  { name: 'PING', bytesMin: 8, bytesMax: 8, on: 'connection' },
  { name: 'PONG', bytesMin: 8, bytesMax: 8, on: 'connection' },
  { name: 'GOAWAY', bytesMin: 8, bytesMax: 8 + REASON_BYTES_MAX, on: 'connection' },
]

/** Type and stream id. */
export const FRAME_HEAD_BYTES = 5
/** Of any frame: WebSocket's 2, 8 of length, 4 of mask; and ours. */
export const HEAD_BYTES_MAX = 14 + FRAME_HEAD_BYTES

const FIN_BINARY = 0x82
const MASKED = 0x80

/**
 * Writes everything that stands before a frame's payload. A client's frames are masked with a key of zeros, which
 * changes no byte: masking protects plaintext proxies (RFC 6455 §10.3), and nothing between our two ends can read.
 * @returns the offset at which the payload begins
 */
export function writeHead(
  target: Uint8Array,
  offset: number,
  head: { readonly type: FrameType; readonly stream: number; readonly bytes: number; readonly masked: boolean },
): number {
  let at = writeMessageHead(target, offset, FRAME_HEAD_BYTES + head.bytes, head.masked)
  target[at++] = head.type
  return writeU32(target, at, head.stream)
}

function writeMessageHead(target: Uint8Array, offset: number, bytes: number, masked: boolean): number {
  const mask = masked ? MASKED : 0
  let at = offset
  target[at++] = FIN_BINARY
  if (bytes <= 125) {
    target[at++] = mask | bytes
  } else if (bytes <= 0xffff) {
    target[at++] = mask | 126
    target[at++] = bytes >>> 8
    target[at++] = bytes
  } else {
    target[at++] = mask | 127
    at = writeU32(target, writeU32(target, at, 0), bytes)
  }
  return masked ? writeU32(target, at, 0) : at
}

/** @returns the offset behind the number */
export function writeU32(target: Uint8Array, offset: number, value: number): number {
  target[offset] = value >>> 24
  target[offset + 1] = value >>> 16
  target[offset + 2] = value >>> 8
  target[offset + 3] = value
  return offset + 4
}

export function readU32(source: Uint8Array, offset: number): number {
  return source[offset]! * 0x1000000 + ((source[offset + 1]! << 16) | (source[offset + 2]! << 8) | source[offset + 3]!)
}

/** One whole frame, for those that carry no stream's bytes. */
export function encodeFrame(masked: boolean, type: FrameType, stream: number, payload: Uint8Array = EMPTY): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES_MAX + payload.length)
  const at = writeHead(frame, 0, { type, stream, bytes: payload.length, masked })
  frame.set(payload, at)
  return frame.subarray(0, at + payload.length)
}

/** A payload of numbers and, behind them, text cut to its limit. */
export function encodeNumbers(numbers: readonly number[], text = ''): Uint8Array {
  const tail = Buffer.from(text).subarray(0, REASON_BYTES_MAX)
  const payload = new Uint8Array(4 * numbers.length + tail.length)
  let at = 0
  for (const number of numbers) at = writeU32(payload, at, number)
  payload.set(tail, at)
  return payload
}

/** The text behind `offset` bytes of numbers, made fit for a log line. */
export function readText(payload: Uint8Array, offset: number): string {
  return Buffer.from(payload.buffer, payload.byteOffset + offset, payload.length - offset)
    .toString('utf8')
    .replace(/\p{Cc}/gu, ' ')
}

const EMPTY = new Uint8Array(0)

/** WebSocket control messages, for peers that use a WebSocket library's own keepalive and close. */
export function encodePong(masked: boolean, payload: Uint8Array): Uint8Array {
  return encodeWebSocketControl(0x8a, masked, payload)
}

export function encodeClose(masked: boolean, status: number): Uint8Array {
  return encodeWebSocketControl(0x88, masked, new Uint8Array([status >>> 8, status]))
}

function encodeWebSocketControl(opcode: number, masked: boolean, payload: Uint8Array): Uint8Array {
  const head = masked ? [opcode, MASKED | payload.length, 0, 0, 0, 0] : [opcode, payload.length]
  return Uint8Array.from([...head, ...payload])
}

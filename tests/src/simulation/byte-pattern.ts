/**
 * Bytes that say whose they are: every byte of a stream can be computed from the stream's key and its offset, so that
 * either end knows at once when one was lost, swapped, doubled, or belongs to somebody else.
 */
export function patternByte(key: number, offset: number): number {
  return Math.imul((offset + 1) ^ key, 0x9e3779b1) >>> 24
}

export function patternBytes(key: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index += 1) bytes[index] = patternByte(key, offset + index)
  return bytes
}

/** @returns the offset of the first byte that is not the pattern's, or -1 */
export function firstMismatch(key: number, offset: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) {
    if (bytes[index] !== patternByte(key, offset + index)) return offset + index
  }
  return -1
}

/** The answers of a stream have another pattern than its questions: an echo that went astray is no answer. */
export function answerKey(key: number): number {
  return ~key
}

/** What a client says first, so that a server knows what to expect. */
export interface StreamHeader {
  readonly connection: number
  readonly key: number
  /** The server half-closes after this many bytes of answer; 0: when the client has. */
  readonly serverEndsAfter: number
}

export const HEADER_BYTES = 16
const MAGIC = 0xa3b1_e27f

export function encodeHeader(header: StreamHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, header.connection)
  view.setUint32(8, header.key >>> 0)
  view.setUint32(12, header.serverEndsAfter)
  return bytes
}

/** @returns undefined for bytes that no client of ours ever sent */
export function decodeHeader(bytes: Uint8Array): StreamHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0) !== MAGIC) return undefined
  return { connection: view.getUint32(4), key: view.getUint32(8), serverEndsAfter: view.getUint32(12) }
}

import { Buffer } from 'node:buffer'

/** Node has them without a declaration, for any view; a tenth of a head's time faster than `Buffer.from`. */
const { latin1Write: write, latin1Slice: slice } = Buffer.prototype as unknown as {
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number
  latin1Slice(this: Uint8Array, start: number, end: number): string
}

/** Writes text whose characters are bytes into `target`, which has room for it. Returns the offset behind it. */
export function putLatin1(target: Uint8Array, offset: number, text: string): number {
  write.call(target, text, offset, text.length)
  return offset + text.length
}

/** Text whose characters are bytes, as bytes. */
export function latin1Bytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length)
  putLatin1(bytes, 0, text)
  return bytes
}

/** Bytes as text, a character for each. */
export function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  return slice.call(bytes, start, end)
}

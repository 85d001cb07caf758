import type { Random } from '@ambient-lab/std'
import { latin1Text } from './latin1.ts'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Eight hex digits. */
export function hex8(random: Random): string {
  const bits = random.integer(2 ** 32)
  return HEX[bits >>> 24]! + HEX[(bits >>> 16) & 255]! + HEX[(bits >>> 8) & 255]! + HEX[bits & 255]!
}

/** Where a UUID is written: from there it becomes a string in one piece. */
const text = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1')

/** A UUID of version 4 (RFC 9562 §5.4). */
export function uuid(random: Random): string {
  const [a, b, c, d] = [
    random.integer(2 ** 32),
    random.integer(2 ** 32),
    random.integer(2 ** 32),
    random.integer(2 ** 32),
  ]
  putHex4(a >>> 16, 0)
  putHex4(a, 4)
  putHex4(b >>> 16, 9)
  putHex4((b & 0x0fff) | 0x4000, 14)
  putHex4(((c >>> 16) & 0x3fff) | 0x8000, 19)
  putHex4(c, 24)
  putHex4(d >>> 16, 28)
  putHex4(d, 32)
  return latin1Text(text, 0, text.length)
}

/** Four hex digits of the lower sixteen bits. */
function putHex4(bits: number, at: number): void {
  for (let index = 3, rest = bits; index >= 0; index -= 1, rest >>>= 4) text[at + index] = DIGITS[rest & 15]!
}

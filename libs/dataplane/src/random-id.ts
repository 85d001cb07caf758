import type { Random } from '@ambient-lab/std'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Eight hex digits. */
export function hex8(random: Random): string {
  const bits = random.integer(2 ** 32)
  return HEX[bits >>> 24]! + HEX[(bits >>> 16) & 255]! + HEX[(bits >>> 8) & 255]! + HEX[bits & 255]!
}

/** A UUID of version 4 (RFC 9562 §5.4). */
export function uuid(random: Random): string {
  const [a, b, c, d] = [hex8(random), hex8(random), hex8(random), hex8(random)]
  const variant = '89ab'[random.integer(4)]
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${d}`
}

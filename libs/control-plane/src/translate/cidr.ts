import { isIP } from 'node:net'

/**
 * `10.0.0.5/24` → `10.0.0.0/24`; a bare address gets its whole length. Undefined for anything else.
 */
export function parseCidr(text: string): string | undefined {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const family = isIP(address)
  if (family === 0) return undefined
  const bits = family === 4 ? 32 : 128
  const lengthText = slash < 0 ? String(bits) : text.slice(slash + 1)
  const length = Number(lengthText)
  if (!/^\d{1,3}$/.test(lengthText) || length > bits) return undefined
  return `${length === bits ? address : maskAddress(address, family, length)}/${length}`
}

function maskAddress(address: string, family: number, length: number): string {
  const groupBits = family === 4 ? 8 : 16
  const groups = family === 4 ? address.split('.').map(Number) : expandIpv6(address)
  const masked = groups.map((group, index) => {
    const kept = Math.min(groupBits, Math.max(0, length - index * groupBits))
    return group & ~((1 << (groupBits - kept)) - 1) & ((1 << groupBits) - 1)
  })
  if (family === 4) return masked.join('.')
  // URL normalizes to the shortest form of RFC 5952.
  return new URL(`http://[${masked.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1)
}

function expandIpv6(address: string): number[] {
  const normal = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = normal.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}

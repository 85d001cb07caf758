/** An IP address as numbers: one 32-bit word for IPv4, four for IPv6. IPv4-mapped IPv6 is IPv4. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly words: readonly number[]
}

/** A range of addresses, host bits cleared. */
export interface Cidr extends IpAddress {
  readonly prefixLength: number
}

const COLON = 58
const DOT = 46

/** Parses a literal without brackets, port or zone; undefined for anything else. */
export function parseIp(text: string): IpAddress | undefined {
  if (text.length < 2 || text.length > 45) return undefined
  if (text.includes(':')) return parseIpv6(text)
  const word = parseIpv4(text, 0, text.length)
  return word === undefined ? undefined : { family: 4, words: [word] }
}

/** Dotted quad in [start, end) as an unsigned word. Leading zeros are refused: some readers take them for octal. */
function parseIpv4(text: string, start: number, end: number): number | undefined {
  let word = 0
  let octet = 0
  let digits = 0
  let octets = 1
  for (let index = start; index < end; index += 1) {
    const code = text.charCodeAt(index)
    if (code === DOT) {
      if (digits === 0 || octets === 4) return undefined
      word = word * 256 + octet
      octet = 0
      digits = 0
      octets += 1
      continue
    }
    const digit = code - 48
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return undefined
    octet = octet * 10 + digit
    digits += 1
    if (octet > 255) return undefined
  }
  return octets === 4 && digits > 0 ? word * 256 + octet : undefined
}

function parseIpv6(text: string): IpAddress | undefined {
  const gap = text.indexOf('::')
  if (gap >= 0 && text.indexOf('::', gap + 1) >= 0) return undefined
  const head = parseGroups(gap < 0 ? text : text.slice(0, gap), gap < 0)
  const tail = gap < 0 ? [] : parseGroups(text.slice(gap + 2), true)
  if (!head || !tail) return undefined
  const missing = 8 - head.length - tail.length
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const words = [0, 2, 4, 6].map((index) => groups[index]! * 65_536 + groups[index + 1]!)
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  return mapped ? { family: 4, words: [words[3]!] } : { family: 6, words }
}

/** 16-bit groups of one side of `::`; the last may be a dotted quad. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (mayEndInIpv4 && index === parts.length - 1 && part.includes('.')) {
      const word = parseIpv4(part, 0, part.length)
      if (word === undefined) return undefined
      groups.push(Math.floor(word / 65_536), word % 65_536)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups.length > 8 ? undefined : groups
}

/** RFC 5952's text: lower case, the longest run of zero groups as `::`. */
export function formatIp(ip: IpAddress): string {
  if (ip.family === 4) {
    const word = ip.words[0]!
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
  }
  const groups = ip.words.flatMap((word) => [word >>> 16, word & 0xffff])
  const { start, length } = longestZeroRun(groups)
  const hex = (slice: number[]) => slice.map((group) => group.toString(16)).join(':')
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 }
  for (let start = 0; start < groups.length; start += 1) {
    let end = start
    while (end < groups.length && groups[end] === 0) end += 1
    if (end - start > best.length) best = { start, length: end - start }
  }
  return best
}

/** The one spelling of an address, so that addresses can be map keys; undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  if (!text.includes(':')) return parseIpv4(text, 0, text.length) === undefined ? undefined : text
  const ip = parseIp(text)
  return ip && formatIp(ip)
}

/** `10.0.0.0/8`, `fd00::/64`, or an address alone (the whole length); host bits are cleared. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/')
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash))
  if (!ip) return undefined
  const bits = ip.family === 4 ? 32 : 128
  const suffix = slash < 0 ? String(bits) : text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix) || Number(suffix) > bits) return undefined
  return maskIp(ip, Number(suffix))
}

/** The range of `prefixLength` bits that holds `ip`. */
export function maskIp(ip: IpAddress, prefixLength: number): Cidr {
  const words = ip.words.map((word, index) => (word & wordMask(prefixLength - 32 * index)) >>> 0)
  return { family: ip.family, words, prefixLength }
}

export function cidrContains(cidr: Cidr, ip: IpAddress): boolean {
  if (cidr.family !== ip.family) return false
  for (let index = 0; index < cidr.words.length; index += 1) {
    if ((ip.words[index]! & wordMask(cidr.prefixLength - 32 * index)) >>> 0 !== cidr.words[index]) return false
  }
  return true
}

/**
 * An address as text of `0` and `1` behind its family, so that a range holds exactly the addresses that its own bits
 * are a prefix of.
 */
export function ipBits(ip: IpAddress): string {
  let bits = ip.family === 4 ? '4' : '6'
  for (const word of ip.words) bits += word.toString(2).padStart(32, '0')
  return bits
}

/** The prefix that `ipBits` of every address in the range has. */
export function cidrBits(cidr: Cidr): string {
  return ipBits(cidr).slice(0, 1 + cidr.prefixLength)
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr)}/${cidr.prefixLength}`
}

/** A word whose `bits` high bits are set. JavaScript shifts modulo 32, so 0 and below need their own answer. */
function wordMask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : (-1 << (32 - bits)) >>> 0
}

/** `ip:port` with brackets around IPv6. */
export function formatSocketAddress(address: string, port: number): string {
  return address.charCodeAt(0) !== COLON && !address.includes(':') ? `${address}:${port}` : `[${address}]:${port}`
}

import { canonicalIp, formatSocketAddress } from '@ambient-lab/policy'
import { AUTHORITY_LENGTH_MAX, HOST_NAME_LENGTH_MAX } from './limits.ts'

/** An address of the lab (never the host's) and a port. */
export interface SocketAddress {
  /** Canonical IP literal without brackets. */
  readonly address: string
  readonly port: number
}

/** Where a socket of this machine listens: a host name or literal, as `connect` takes it. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `10.244.1.5:9080`, `[fd00::1]:9080`. */
export function formatAddress({ address, port }: SocketAddress): string {
  return formatSocketAddress(address, port)
}

/**
 * Splits `host:port`, `ip:port` or `[ipv6]:port`; the host of an IP comes back canonical.
 * @returns undefined when it is none of them: no port, port 0, an unbracketed IPv6 address, characters no name has
 */
export function parseAuthority(text: string): { host: string; isIp: boolean; port: number } | undefined {
  if (text.length > AUTHORITY_LENGTH_MAX) return undefined
  const colon = text.lastIndexOf(':')
  if (colon < 1) return undefined
  const port = parsePort(text, colon + 1)
  if (port === undefined) return undefined
  if (text.charCodeAt(0) === 91 /* [ */) {
    if (text.charCodeAt(colon - 1) !== 93 /* ] */) return undefined
    const inner = text.slice(1, colon - 1)
    const host = inner.includes(':') ? canonicalIp(inner) : undefined
    return host === undefined ? undefined : { host, isIp: true, port }
  }
  const name = text.slice(0, colon)
  if (name.includes(':')) return undefined
  const ip = canonicalIp(name)
  if (ip !== undefined) return { host: ip, isIp: true, port }
  return isHostName(name) ? { host: name.toLowerCase(), isIp: false, port } : undefined
}

/** Letters, digits, dash, dot, underscore; labels not empty. A final dot (the root) is allowed. */
export function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > HOST_NAME_LENGTH_MAX) return false
  let previous = 46
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index)
    const isLetter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90)
    const isDigit = code >= 48 && code <= 57
    if (code === 46 ? previous === 46 : !(isLetter || isDigit || code === 45 || code === 95)) return false
    previous = code
  }
  // A last label of digits only is a malformed IPv4 address, not a name (WHATWG URL, "ends in a number").
  return !/(^|\.)\d+\.?$/.test(name)
}

/** Decimal digits from `start` to the end, 1 to 65535. */
function parsePort(text: string, start: number): number | undefined {
  if (start >= text.length || text.length - start > 5) return undefined
  let port = 0
  for (let index = start; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return undefined
    port = port * 10 + digit
  }
  return port >= 1 && port <= 65_535 ? port : undefined
}

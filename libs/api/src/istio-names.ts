import { isIP } from 'node:net'

/** Names as Istio's validating webhook takes them. Pure. */

const LABEL = /^[a-zA-Z0-9_]([-a-zA-Z0-9_]*[a-zA-Z0-9_])?$/
const LABEL_LENGTH_MAX = 63
const FQDN_LENGTH_MAX = 255

function isDnsLabel(text: string): boolean {
  return text.length <= LABEL_LENGTH_MAX && LABEL.test(text)
}

/** A name of labels with dots between; one at the end is ignored. */
export function isFqdn(text: string): boolean {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text
  return bare !== '' && bare.length <= FQDN_LENGTH_MAX && bare.split('.').every(isDnsLabel)
}

/** A FQDN, or one whose first label is `*` or begins with it. */
export function isWildcardDomain(text: string): boolean {
  if (text === '*') return true
  const [first = '', ...rest] = text.split('.')
  if (!first.startsWith('*')) return isFqdn(text)
  const tail = first.slice(1)
  return (tail === '' || LABEL.test(tail.replace(/^-+/, ''))) && (rest.length === 0 || isFqdn(rest.join('.')))
}

/** Whether some host is meant by both; either may begin with `*`. */
export function overlap(one: string, other: string): boolean {
  if (one === other) return true
  const covers = (wide: string, narrow: string) =>
    wide.startsWith('*') && narrow.replace(/^\*/, '').endsWith(wide.slice(1))
  return covers(one, other) || covers(other, one)
}

const NAMESPACE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

export function isNamespaceName(text: string): boolean {
  return text.length <= LABEL_LENGTH_MAX && NAMESPACE.test(text)
}

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. */
export function isIpOrCidr(text: string): boolean {
  const [address = '', length, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128))
}

/** `80`, as policies spell ports. */
export function isPortText(text: string): boolean {
  return /^\d{1,5}$/.test(text) && isPort(Number(text))
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}

/** `unix:///path` or `unix://@name`, which is an abstract socket. */
export function isSocketAddress(text: string): boolean {
  return /^unix:\/\/(\/|@)./.test(text) && !text.endsWith('/')
}

/** RE2's syntax is nearly a part of ours; what only it knows, the flags in front, is taken off. */
export function isRegex(text: string): boolean {
  try {
    new RegExp(text.replace(/^\(\?[imsU]+\)/, ''))
    return text !== ''
  } catch {
    return false
  }
}

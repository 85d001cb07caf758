import { Refusal } from './errors.ts'

/** Methods of the registry, those of WebDAV included: what llhttp knows, less the ones of RTSP and HTTP/2's PRI. */
export const HTTP_METHODS = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY', 'ACL', 'BIND'],
  ...['CHECKOUT', 'COPY', 'LINK', 'LOCK', 'MERGE', 'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'M-SEARCH', 'NOTIFY'],
  ...['PROPFIND', 'PROPPATCH', 'PURGE', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'UNBIND', 'UNLINK'],
  ...['UNLOCK', 'UNSUBSCRIBE'],
] as const

/** By length, the usual ones first: a method is found without a string being made of it. */
const METHODS_BY_LENGTH: readonly (readonly string[])[] = Array.from({ length: 12 }, (_, length) =>
  HTTP_METHODS.filter((method) => method.length === length),
)

/** @param text begins with the method @throws Refusal METHOD_UNKNOWN */
export function methodOf(text: string, length: number): string {
  for (const method of METHODS_BY_LENGTH[length] ?? []) {
    if (text.startsWith(method)) return method
  }
  throw new Refusal('METHOD_UNKNOWN')
}

/** RFC 9112 §3.2, taken apart. */
export interface RequestTarget {
  /** Of the absolute form alone. */
  readonly scheme: 'http' | 'https' | undefined
  /** Of the absolute form and of CONNECT. */
  readonly authority: string | undefined
  /** Path and query, `*`, or empty for CONNECT. */
  readonly path: string
}

/** @param target without fragment @throws Refusal TARGET_INVALID, TARGET_SCHEME_INVALID */
export function parseRequestTarget(method: string, target: string): RequestTarget {
  if (method === 'CONNECT') {
    if (!AUTHORITY_WITH_PORT.test(target)) throw new Refusal('TARGET_INVALID')
    return { scheme: undefined, authority: target, path: '' }
  }
  if (target.startsWith('/') || (method === 'OPTIONS' && target === '*')) {
    return { scheme: undefined, authority: undefined, path: target }
  }
  const [, scheme, authority, path] = ABSOLUTE.exec(target) ?? []
  if (scheme === undefined || !authority || !isAuthority(authority)) throw new Refusal('TARGET_INVALID')
  const lower = scheme.toLowerCase()
  if (lower !== 'http' && lower !== 'https') throw new Refusal('TARGET_SCHEME_INVALID')
  return { scheme: lower, authority, path: pathOf(method, path!) }
}

/**
 * Whether `text` is `host`, `host:port` or either with a bracketed IPv6 address. Empty is one too: it is what Host has
 * for a target without authority (RFC 9112 §3.2). User information is not (RFC 9110 §4.2.4).
 */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text)
}

const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[-\w.~!$&'()*+,;=%]`
const AUTHORITY = new RegExp(`^${HOST}*)(?::[0-9]{0,5})?$`)
const AUTHORITY_WITH_PORT = new RegExp(`^${HOST}+):[0-9]{1,5}$`)
const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/

/** RFC 9110 §4.2.3, and RFC 9112 §3.2.4 for OPTIONS. */
function pathOf(method: string, path: string): string {
  if (path === '') return method === 'OPTIONS' ? '*' : '/'
  return path.startsWith('/') ? path : `/${path}`
}

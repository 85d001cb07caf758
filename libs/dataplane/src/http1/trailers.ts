/**
 * RFC 9110 §6.5.1: what frames, routes, authenticates or describes a message has to be known before its body, so that
 * a proxy which lets it in behind would let it past every check. Those that frame are not among these: they are refused.
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  ...['age', 'authorization', 'cache-control', 'content-encoding', 'content-range', 'content-type', 'cookie', 'date'],
  ...['expect', 'expires', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since'],
  ...['keep-alive', 'location', 'max-forwards', 'pragma', 'proxy-authenticate', 'proxy-authorization', 'range'],
  ...['retry-after', 'set-cookie', 'te', 'trailer', 'vary', 'www-authenticate'],
])

/** Whether it is dropped. @param name in lower case */
export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN.has(name)
}

import type { HeaderMap } from './headers.ts'

/** Fields between two neighbours, whatever Connection says. TE and Trailer stay: gRPC needs them end to end. */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 7:
      return name === 'upgrade'
    case 10:
      return name === 'connection' || name === 'keep-alive'
    case 16:
      return name === 'proxy-connection'
    case 17:
      return name === 'transfer-encoding'
    default:
      return false
  }
}

/** What nobody may have removed by naming it in Connection: other fields would then say something else to the next. */
const NEVER_NAMED: ReadonlySet<string> = new Set([
  ...['host', 'content-length', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'te'],
])

/**
 * Removes what ends at this hop, before a message is forwarded (RFC 9110 §7.6.1): Connection, the fields that it
 * names, and those that are hop-by-hop by nature. The encoder writes its own.
 */
export function removeHopByHop(headers: HeaderMap): void {
  const connection = headers.getJoined('connection')
  // What nearly everybody says names a field that goes anyway.
  if (connection !== undefined && connection !== 'keep-alive') {
    for (const option of connection.toLowerCase().split(',')) {
      const name = option.trim()
      if (!NEVER_NAMED.has(name)) headers.delete(name)
    }
  }
  headers.deleteWhere(isHopByHop)
}

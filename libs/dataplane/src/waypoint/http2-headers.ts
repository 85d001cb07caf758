import type { OutgoingHttpHeaders } from 'node:http2'
import { HeaderMap } from '../http1/index.ts'

/** Fields of a connection, which HTTP/2 does not have (RFC 9113 §8.2.2), and Host, which is `:authority`. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'host'],
])

/**
 * Fields as Node gives them: name, value, name, value. Pseudo fields are left out.
 * @throws HttpCodecError NOT_ENCODABLE for a value that HTTP/1.1 could not carry
 */
export function headerMapOf(raw: readonly string[]): HeaderMap {
  const headers = new HeaderMap()
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!
    if (!name.startsWith(':')) headers.append(name, raw[index + 1]!)
  }
  return headers
}

/** Repeated fields become lists. */
export function outgoingHeaders(headers: HeaderMap): OutgoingHttpHeaders {
  const outgoing: Record<string, string | string[]> = {}
  for (let index = 0; index < headers.size; index += 1) {
    const name = headers.nameAt(index)
    const value = headers.valueAt(index)
    if (NOT_SENT.has(name) || (name === 'te' && value !== 'trailers')) continue
    const known = outgoing[name]
    if (known === undefined) outgoing[name] = value
    else if (typeof known === 'string') outgoing[name] = [known, value]
    else known.push(value)
  }
  return outgoing
}

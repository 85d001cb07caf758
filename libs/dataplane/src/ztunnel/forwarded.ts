import type { Random } from '@ambient-lab/std'
import { formatAddress, parseAuthority, type SocketAddress } from '../address.ts'
import { hex8 } from '../random-id.ts'

/** HBONE's `forwarded`: who dialled, and the service that was meant, if it was one. */
export function formatForwarded(source: SocketAddress, serviceHostname: string | undefined): string {
  const from = `for="${formatAddress(source)}"`
  return serviceHostname === undefined ? from : `${from};host=${serviceHostname}`
}

/** Undefined for what is not HBONE's form; it is one peer's word and never worth refusing a connection for. */
export function parseForwarded(text: string): { source: SocketAddress; host: string | undefined } | undefined {
  if (!text.startsWith('for="')) return undefined
  const quote = text.indexOf('"', 5)
  const source = quote < 0 ? undefined : parseAuthority(text.slice(5, quote))
  if (!source?.isIp) return undefined
  const rest = text.slice(quote + 1)
  const host = rest.startsWith(';host=') ? rest.slice(6) : undefined
  return { source: { address: source.host, port: source.port }, host }
}

/** A new trace per connection. ztunnel sends the header, never sampled, and records no span. */
export function newTraceparent(random: Random, isSampled = false): string {
  const traceId = `${hex8(random)}${hex8(random)}${hex8(random)}${hex8(random).slice(1)}1`
  return `00-${traceId}-${newSpanId(random)}-${isSampled ? '01' : '00'}`
}

/** The specification forbids ids of zeros only; the last digit rules them out. */
export function newSpanId(random: Random): string {
  return `${hex8(random)}${hex8(random).slice(1)}1`
}

/** The trace id of a traceparent; empty for what is none. */
export function traceIdOf(traceparent: string): string {
  const isTraceparent =
    traceparent.length >= 55 && traceparent.charCodeAt(2) === 45 && traceparent.charCodeAt(35) === 45
  return isTraceparent ? traceparent.slice(3, 35) : ''
}

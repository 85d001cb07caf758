import { tunnelError } from './errors.ts'
import type { ConnectRequest } from './transport.ts'

/** The peer's answer to a CONNECT. */
export interface ConnectResponse {
  readonly status: number
  /** Of a 200: the destination workload's. */
  readonly baggage: string
  /** Of any other status: for the log of whoever asked. */
  readonly reason: string
}

/** HBONE's names for the fields of CONNECT, in the order of ConnectRequest. */
const REQUEST_FIELDS = {
  authority: ':authority',
  baggage: 'baggage',
  forwarded: 'forwarded',
  traceparent: 'traceparent',
  originNetwork: 'x-istio-origin-network',
  sentBy: 'x-istio-source',
} as const

const STATUSES: ReadonlySet<unknown> = new Set([200, 400, 401, 503])

/** The payload of a CONNECT frame. */
export function encodeConnect(request: ConnectRequest): Uint8Array {
  const fields = Object.entries(REQUEST_FIELDS).map(([key, name]) => [name, request[key as keyof ConnectRequest]])
  return Buffer.from(JSON.stringify(Object.fromEntries(fields)))
}

/**
 * Fields that are absent are empty; those that nobody here knows are left out. Whether the authority makes sense is for
 * the destination to say, with a 400.
 * @throws CodedError FRAME_MALFORMED when the payload is no JSON object of strings, or a string has control characters
 */
export function decodeConnect(payload: Uint8Array): ConnectRequest {
  const fields = parseFields(payload, 'CONNECT')
  const field = (key: keyof ConnectRequest) => text(fields[REQUEST_FIELDS[key]], 'CONNECT')
  const originNetwork = field('originNetwork')
  const sentBy = field('sentBy')
  return {
    authority: field('authority'),
    baggage: field('baggage'),
    forwarded: field('forwarded'),
    traceparent: field('traceparent'),
    ...(originNetwork !== '' && { originNetwork }),
    ...(sentBy !== '' && { sentBy }),
  }
}

/** The payload of a RESPONSE frame. */
export function encodeResponse(response: ConnectResponse): Uint8Array {
  const { status, baggage, reason } = response
  return Buffer.from(JSON.stringify({ ':status': status, ...(baggage && { baggage }), ...(reason && { reason }) }))
}

/** @throws CodedError FRAME_MALFORMED */
export function decodeResponse(payload: Uint8Array): ConnectResponse {
  const fields = parseFields(payload, 'RESPONSE')
  const status = fields[':status']
  if (!STATUSES.has(status)) throw tunnelError('FRAME_MALFORMED', 'RESPONSE without a status of HBONE')
  return {
    status: status as number,
    baggage: text(fields.baggage, 'RESPONSE'),
    reason: text(fields.reason, 'RESPONSE'),
  }
}

function parseFields(payload: Uint8Array, frame: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'))
  } catch (cause) {
    throw tunnelError('FRAME_MALFORMED', `${frame} is no JSON`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw tunnelError('FRAME_MALFORMED', `${frame} is no JSON object`)
  }
  return value as Record<string, unknown>
}

/** These texts end in logs and in the heads of other protocols: no line breaks, no escapes. */
function text(value: unknown, frame: string): string {
  if (value === undefined) return ''
  if (typeof value !== 'string' || /\p{Cc}/u.test(value)) {
    throw tunnelError('FRAME_MALFORMED', `${frame} has a field that is no line of text`)
  }
  return value
}

import { ProtoMessage } from '@ambient-lab/dataplane'
import { CodedError, errorMessage } from '@ambient-lab/std'
import { multipartValues } from './_multipart.ts'
import { formValues, percentDecoded } from './_url-values.ts'

/** How the plugin says which protocol it was asked by. */
const VERSION = { ext_authz: 'v3', encoding: 'protojson' }
const PARTIAL_BODY_HEADER = 'x-envoy-auth-partial-body'

/** The document that policies see as `input`. */
export interface OpaInput {
  /** `envoy.service.auth.v3.AttributeContext` in JSON; what is not set is not there. */
  readonly attributes?: Json
  readonly parsed_path: readonly string[]
  readonly parsed_query: Readonly<Record<string, readonly string[]>>
  /** Null for a type that is not read. */
  readonly parsed_body?: unknown
  readonly truncated_body?: boolean
  readonly source_principal?: string
  readonly version: typeof VERSION
}

type Json = Readonly<Record<string, unknown>>

/**
 * A `CheckRequest` as the plugin shows it to policies; metadata contexts aside, which no proxy of the lab sends.
 * @throws CodedError OPA_REQUEST_UNREADABLE where its path, query or body is not what it claims, PROTOBUF_MALFORMED
 */
export function opaInput(message: Uint8Array, { skipRequestBodyParse }: { skipRequestBodyParse: boolean }): OpaInput {
  const request = new ProtoMessage(message)
  const attributes = request.message(1)
  const http = attributes?.message(4)?.message(2)
  const [path = '', query = ''] = (http?.string(4) ?? '').split(/\?(.*)/s)
  const principal = attributes?.message(1)?.string(4)
  const headers = Object.fromEntries((http?.messages(3) ?? []).map((entry) => [entry.string(1), entry.string(2)]))
  const body = skipRequestBodyParse ? undefined : parsedBody(headers, bodyOf(http))
  return {
    ...jsonOf(request, CHECK_REQUEST),
    parsed_path: readable(() => percentDecoded(path))
      .replace(/^\/+/, '')
      .split('/'),
    parsed_query: readable(() => formValues(query)),
    ...(body && { parsed_body: body.value ?? null, truncated_body: body.isTruncated }),
    ...(principal && { source_principal: principal }),
    version: VERSION,
  }
}

function bodyOf(http: ProtoMessage | undefined): Buffer {
  const text = http?.bytes(11)
  return Buffer.from(text && text.length > 0 ? text : (http?.bytes(12) ?? []))
}

/** By content type: JSON, forms. gRPC would take descriptors that nobody gives. */
function parsedBody(
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): { readonly value?: unknown; readonly isTruncated: boolean } {
  const type = headers['content-type'] ?? ''
  if (headers[PARTIAL_BODY_HEADER] === 'true') return { isTruncated: true }
  const parse = PARSERS.find(([known]) => type.includes(known))?.[1]
  if (!parse || body.length === 0) return { isTruncated: false }
  const length = headers['content-length']
  if (length !== undefined && !/^[+-]?\d+$/.test(length)) throw unreadable(`content-length ${length} is no number`)
  if (length !== undefined && Number(length) > body.length) return { isTruncated: true }
  return { value: readable(() => parse(body, type)), isTruncated: false }
}

const PARSERS: readonly (readonly [type: string, parse: (body: Buffer, type: string) => unknown])[] = [
  ['application/json', (body) => JSON.parse(body.toString('utf8'))],
  ['application/x-www-form-urlencoded', (body) => formValues(body.toString('utf8'))],
  ['multipart/form-data', (body, type) => multipartValues(body, type)],
]

/** How the fields of a message are called in JSON, and what they are. */
type Shape = Readonly<Record<number, readonly [name: string, kind: 'text' | 'number' | 'bytes' | 'map' | Shape]>>

const SOCKET_ADDRESS: Shape = { 1: ['protocol', 'number'], 2: ['address', 'text'], 3: ['portValue', 'number'] }
const PEER: Shape = {
  1: ['address', { 1: ['socketAddress', SOCKET_ADDRESS] }],
  2: ['service', 'text'],
  3: ['labels', 'map'],
  4: ['principal', 'text'],
  5: ['certificate', 'text'],
}
const HTTP: Shape = {
  1: ['id', 'text'],
  2: ['method', 'text'],
  3: ['headers', 'map'],
  4: ['path', 'text'],
  5: ['host', 'text'],
  6: ['scheme', 'text'],
  7: ['query', 'text'],
  8: ['fragment', 'text'],
  9: ['size', 'number'],
  10: ['protocol', 'text'],
  11: ['body', 'text'],
  12: ['rawBody', 'bytes'],
}
const TIMESTAMP: Shape = { 1: ['seconds', 'number'], 2: ['nanos', 'number'] }
const CHECK_REQUEST: Shape = {
  1: [
    'attributes',
    {
      1: ['source', PEER],
      2: ['destination', PEER],
      4: ['request', { 1: ['time', TIMESTAMP], 2: ['http', HTTP] }],
      10: ['contextExtensions', 'map'],
      12: ['tlsSession', { 1: ['sni', 'text'] }],
    },
  ],
}

/** What is set of a message: proto3 does not tell a default from nothing, but an empty message. */
function jsonOf(message: ProtoMessage, shape: Shape): Json {
  const json: Record<string, unknown> = {}
  for (const [number, [name, kind]] of Object.entries(shape)) {
    const value = fieldOf(message, Number(number), kind)
    if (value !== undefined) json[name] = value
  }
  return json
}

function fieldOf(message: ProtoMessage, field: number, kind: Shape[number][1]): unknown {
  if (kind === 'text') return message.string(field) || undefined
  if (kind === 'number') return numberOf(message.uint(field))
  if (kind === 'bytes') return Buffer.from(message.bytes(field) ?? []).toString('base64') || undefined
  if (kind === 'map') {
    const entries = message.messages(field).map((entry) => [entry.string(1), entry.string(2)] as const)
    return entries.length === 0 ? undefined : Object.fromEntries(entries)
  }
  const inner = message.message(field)
  return inner && jsonOf(inner, kind)
}

/** Minus one, which says of a size that nobody knows it, is the largest number of 64 bits on the wire. */
function numberOf(value: number): number | undefined {
  if (value === 0) return undefined
  return value > Number.MAX_SAFE_INTEGER ? -1 : value
}

function readable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(errorMessage(error))
  }
}

function unreadable(problem: string): CodedError {
  return new CodedError('OPA_REQUEST_UNREADABLE', problem)
}

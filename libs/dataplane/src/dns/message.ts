import { HOST_NAME_LENGTH_MAX } from '../limits.ts'
import type { DnsRecord } from './answer.ts'

/** RFC 1035 §4.1.1, RFC 6895 §2.3. */
export const DNS_CODE = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const
export type DnsCode = (typeof DNS_CODE)[keyof typeof DNS_CODE]

/** One question as a client sent it. */
export interface DnsQuery {
  readonly id: number
  /** Without the final dot, in the client's case. */
  readonly name: string
  /** `A`, `AAAA`, `MX`, … or `TYPE65`. */
  readonly type: string
  readonly isInternet: boolean
  readonly recursionDesired: boolean
  /** What the client takes over UDP: 512, or what its OPT record says (RFC 6891 §6.2.3). */
  readonly udpBytesMax: number
  /** The question as it came, to be repeated in the answer. */
  readonly question: Uint8Array
}

/** What is wrong with a message that is no query we can answer; undefined `code`: say nothing. */
export interface DnsMalformed {
  readonly malformed: true
  readonly id: number
  readonly code: DnsCode | undefined
}

const HEADER_BYTES = 12
const UDP_BYTES_MIN = 512
const RESPONSE = 0x8000
const AUTHORITATIVE = 0x0400
const TRUNCATED = 0x0200
const RECURSION_DESIRED = 0x0100
const RECURSION_AVAILABLE = 0x0080
const CLASS_INTERNET = 1
const TYPE_OPT = 41

const TYPE_NAMES: Readonly<Record<number, string>> = {
  ...{
    1: 'A',
    2: 'NS',
    5: 'CNAME',
    6: 'SOA',
    12: 'PTR',
    15: 'MX',
    16: 'TXT',
    28: 'AAAA',
    33: 'SRV',
    65: 'HTTPS',
    255: 'ANY',
  },
}
const TYPE_NUMBERS = { A: 1, CNAME: 5, AAAA: 28 } as const

/** Reads a query; never throws. A label that is not ASCII letters, digits and signs of print is taken for malformed. */
export function parseDnsQuery(bytes: Uint8Array): DnsQuery | DnsMalformed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER_BYTES) return { malformed: true, id: 0, code: undefined }
  const id = view.getUint16(0)
  const flags = view.getUint16(2)
  if (flags & RESPONSE) return { malformed: true, id, code: undefined }
  if ((flags >> 11) & 0xf) return { malformed: true, id, code: DNS_CODE.notImplemented }
  const name = view.getUint16(4) === 1 ? readName(bytes, HEADER_BYTES) : undefined
  if (!name || name.end + 4 > bytes.length) return { malformed: true, id, code: DNS_CODE.formatError }
  const end = name.end + 4
  const type = view.getUint16(name.end)
  return {
    id,
    name: name.text,
    type: TYPE_NAMES[type] ?? `TYPE${type}`,
    isInternet: view.getUint16(name.end + 2) === CLASS_INTERNET,
    recursionDesired: (flags & RECURSION_DESIRED) !== 0,
    udpBytesMax: udpBytesOf(bytes, view, end),
    question: bytes.subarray(HEADER_BYTES, end),
  }
}

/** A question holds no compression: there is nothing before it to point at. */
function readName(bytes: Uint8Array, start: number): { readonly text: string; readonly end: number } | undefined {
  let text = ''
  for (let at = start; at < bytes.length; ) {
    const length = bytes[at]!
    if (length === 0) return { text, end: at + 1 }
    if (length > 63 || at + 1 + length > bytes.length) return undefined
    for (let index = at + 1; index <= at + length; index += 1) {
      const code = bytes[index]!
      if (code <= 0x20 || code >= 0x7f || code === 0x2e) return undefined
    }
    text += `${text === '' ? '' : '.'}${String.fromCharCode(...bytes.subarray(at + 1, at + 1 + length))}`
    if (text.length > HOST_NAME_LENGTH_MAX) return undefined
    at += 1 + length
  }
  return undefined
}

/** An OPT record, if it is the first of the additional section, which is where clients put it. */
function udpBytesOf(bytes: Uint8Array, view: DataView, at: number): number {
  const hasOnlyAdditional = view.getUint16(6) === 0 && view.getUint16(8) === 0 && view.getUint16(10) > 0
  if (!hasOnlyAdditional || at + 5 > bytes.length || bytes[at] !== 0 || view.getUint16(at + 1) !== TYPE_OPT) {
    return UDP_BYTES_MIN
  }
  return Math.max(UDP_BYTES_MIN, view.getUint16(at + 3))
}

export interface DnsReply {
  readonly code: DnsCode
  readonly records: readonly DnsRecord[]
  readonly ttlSeconds: number
  readonly isAuthoritative: boolean
  /** Records that do not fit are left out, and the client is told to ask by TCP. */
  readonly bytesMax: number
}

export function encodeDnsReply(query: DnsQuery, reply: DnsReply): Uint8Array {
  const encoded: Uint8Array[] = []
  let bytes = HEADER_BYTES + query.question.length
  let truncated = false
  for (const record of reply.records) {
    const one = encodeRecord(record, reply.ttlSeconds)
    if (bytes + one.length > reply.bytesMax) {
      truncated = true
      break
    }
    encoded.push(one)
    bytes += one.length
  }
  const flags =
    RESPONSE |
    RECURSION_AVAILABLE |
    (query.recursionDesired ? RECURSION_DESIRED : 0) |
    (reply.isAuthoritative ? AUTHORITATIVE : 0) |
    (truncated ? TRUNCATED : 0) |
    reply.code
  const counts = [1, encoded.length, 0, 0]
  return Buffer.concat([encodeHeader(query.id, flags, counts), query.question, ...encoded])
}

/** To what was no query. */
export function encodeDnsError(id: number, code: DnsCode): Uint8Array {
  return encodeHeader(id, RESPONSE | code, [0, 0, 0, 0])
}

function encodeHeader(id: number, flags: number, counts: readonly number[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  for (const [index, value] of [id, flags, ...counts].entries()) header.writeUInt16BE(value, index * 2)
  return header
}

function encodeRecord({ name, type, data }: DnsRecord, ttlSeconds: number): Buffer {
  const value = type === 'CNAME' ? encodeName(data) : encodeAddress(data)
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(TYPE_NUMBERS[type], 0)
  fixed.writeUInt16BE(CLASS_INTERNET, 2)
  fixed.writeUInt32BE(ttlSeconds, 4)
  fixed.writeUInt16BE(value.length, 8)
  return Buffer.concat([encodeName(name), fixed, value])
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]),
    Buffer.from([0]),
  ])
}

function encodeAddress(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...left, ...zeros, ...right].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  }
  return bytes
}

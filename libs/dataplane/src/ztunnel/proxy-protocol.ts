import { formatIp, parseIp } from '@ambient-lab/policy'
import type { SocketAddress } from '../address.ts'
import { PROXY_HEADER_BYTES_MAX } from '../limits.ts'

/** What a header of the PROXY protocol, version 2, tells about the connection behind it. */
export interface ProxyHeader {
  readonly source: SocketAddress
  readonly destination: SocketAddress
  /** Type-length-values behind the addresses, by type. */
  readonly tlvs: ReadonlyMap<number, Uint8Array>
}

/** Undefined: not all bytes have come yet. */
export type ProxyHeaderStep =
  | { readonly consumed: number; readonly header: ProxyHeader }
  | { readonly malformed: string }
  | undefined

/** Istio's: the SPIFFE id of the source. */
export const TLV_SOURCE_IDENTITY = 0xd0

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a)
const HEAD_BYTES = 16
const VERSION_2_PROXY = 0x21
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21

const NO_TLVS: ReadonlyMap<number, Uint8Array> = new Map()

/** @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt §2.2 */
export function encodeProxyHeader(
  source: SocketAddress,
  destination: SocketAddress,
  tlvs: ReadonlyMap<number, Uint8Array> = NO_TLVS,
): Uint8Array {
  const from = parseIp(source.address)
  const to = parseIp(destination.address)
  const isIpv6 = from?.family === 6 || to?.family === 6
  const addressBytes = isIpv6 ? 16 : 4
  let tlvBytes = 0
  for (const value of tlvs.values()) tlvBytes += 3 + value.length
  const bodyBytes = 2 * addressBytes + 4 + tlvBytes
  const bytes = new Uint8Array(HEAD_BYTES + bodyBytes)
  const view = new DataView(bytes.buffer)
  bytes.set(SIGNATURE)
  view.setUint8(12, VERSION_2_PROXY)
  view.setUint8(13, isIpv6 ? TCP_OVER_IPV6 : TCP_OVER_IPV4)
  view.setUint16(14, bodyBytes)
  writeIp(view, HEAD_BYTES, from?.words ?? [0], addressBytes)
  writeIp(view, HEAD_BYTES + addressBytes, to?.words ?? [0], addressBytes)
  view.setUint16(HEAD_BYTES + 2 * addressBytes, source.port)
  view.setUint16(HEAD_BYTES + 2 * addressBytes + 2, destination.port)
  let offset = HEAD_BYTES + 2 * addressBytes + 4
  for (const [type, value] of tlvs) {
    view.setUint8(offset, type)
    view.setUint16(offset + 1, value.length)
    bytes.set(value, offset + 3)
    offset += 3 + value.length
  }
  return bytes
}

/**
 * The same in version 1, a line for people; addresses of two families, or none, are UNKNOWN.
 * @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt §2.1
 */
export function encodeProxyLine(source: SocketAddress, destination: SocketAddress): Uint8Array {
  const [from, to] = [parseIp(source.address), parseIp(destination.address)]
  if (!from || from.family !== to?.family) return Buffer.from('PROXY UNKNOWN\r\n')
  const ends = [formatIp(from), formatIp(to), source.port, destination.port].join(' ')
  return Buffer.from(`PROXY TCP${from.family} ${ends}\r\n`)
}

/** Reads a header; LOCAL commands, UDP and Unix sockets are refused: nothing here sends them. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeaderStep {
  const seen = Math.min(bytes.length, SIGNATURE.length)
  for (let index = 0; index < seen; index += 1) {
    if (bytes[index] !== SIGNATURE[index]) return { malformed: 'no PROXY protocol v2 signature' }
  }
  if (bytes.length < HEAD_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint8(12) !== VERSION_2_PROXY) return { malformed: 'not version 2, or not the command PROXY' }
  const family = view.getUint8(13)
  const addressBytes = family === TCP_OVER_IPV4 ? 4 : family === TCP_OVER_IPV6 ? 16 : 0
  if (addressBytes === 0) return { malformed: 'neither TCP over IPv4 nor over IPv6' }
  const consumed = HEAD_BYTES + view.getUint16(14)
  if (consumed > PROXY_HEADER_BYTES_MAX) return { malformed: 'the header is too long' }
  const tlvStart = HEAD_BYTES + 2 * addressBytes + 4
  if (consumed < tlvStart) return { malformed: 'the header is shorter than its addresses' }
  if (bytes.length < consumed) return undefined
  const tlvs = readTlvs(view, bytes, tlvStart, consumed)
  if (!tlvs) return { malformed: 'a TLV is longer than the header' }
  const header: ProxyHeader = {
    source: { address: readIp(view, HEAD_BYTES, addressBytes), port: view.getUint16(tlvStart - 4) },
    destination: { address: readIp(view, HEAD_BYTES + addressBytes, addressBytes), port: view.getUint16(tlvStart - 2) },
    tlvs,
  }
  return { consumed, header }
}

function readTlvs(
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
): ReadonlyMap<number, Uint8Array> | undefined {
  if (start === end) return NO_TLVS
  const tlvs = new Map<number, Uint8Array>()
  let offset = start
  while (offset < end) {
    if (offset + 3 > end) return undefined
    const next = offset + 3 + view.getUint16(offset + 1)
    if (next > end) return undefined
    tlvs.set(view.getUint8(offset), bytes.slice(offset + 3, next))
    offset = next
  }
  return tlvs
}

function writeIp(view: DataView, offset: number, words: readonly number[], addressBytes: number): void {
  // IPv4 beside IPv6 goes as a mapped address.
  const padded = addressBytes === 16 && words.length === 1 ? [0, 0, 0xffff, words[0]!] : words
  for (const [index, word] of padded.entries()) view.setUint32(offset + 4 * index, word)
}

function readIp(view: DataView, offset: number, addressBytes: number): string {
  if (addressBytes === 4) return formatIp({ family: 4, words: [view.getUint32(offset)] })
  const words = [0, 4, 8, 12].map((delta) => view.getUint32(offset + delta))
  const isMapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  return formatIp(isMapped ? { family: 4, words: [words[3]!] } : { family: 6, words })
}

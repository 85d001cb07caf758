import { formatIp, type IpAddress } from '@ambient-lab/policy'
import { isHostName } from '../address.ts'

/** RFC 1928. Only what the mesh captures: CONNECT without authentication. */
const VERSION = 5
const METHOD_NONE = 0
const METHOD_UNACCEPTABLE = 0xff
const COMMAND_CONNECT = 1
const ADDRESS_IPV4 = 1
const ADDRESS_NAME = 3
const ADDRESS_IPV6 = 4

/** Replies of RFC 1928 §6 that this listener gives. */
export const SOCKS_REPLY = {
  succeeded: 0,
  failed: 1,
  notAllowed: 2,
  commandUnsupported: 7,
  addressUnsupported: 8,
} as const

/** Undefined: not all bytes have come yet. */
export type SocksStep<T> = (T & { readonly consumed: number }) | { readonly malformed: string } | undefined

export interface SocksGreeting {
  /** The client is content without authentication, which is all we have. */
  readonly acceptsNoAuthentication: boolean
}

export interface SocksRequest {
  readonly isConnect: boolean
  /** IP literal or host name. */
  readonly host: string
  readonly port: number
}

/** Version, number of methods, methods. At most 257 bytes. */
export function parseSocksGreeting(bytes: Uint8Array): SocksStep<SocksGreeting> {
  if (bytes.length > 0 && bytes[0] !== VERSION) return { malformed: `SOCKS version ${bytes[0]}` }
  if (bytes.length < 2) return undefined
  const consumed = 2 + bytes[1]!
  if (bytes.length < consumed) return undefined
  return { consumed, acceptsNoAuthentication: bytes.subarray(2, consumed).includes(METHOD_NONE) }
}

/** Version, command, reserved, address type, address, port. At most 262 bytes. */
export function parseSocksRequest(bytes: Uint8Array): SocksStep<SocksRequest> {
  if (bytes.length > 0 && bytes[0] !== VERSION) return { malformed: `SOCKS version ${bytes[0]}` }
  if (bytes.length < 5) return undefined
  const type = bytes[3]!
  const start = type === ADDRESS_NAME ? 5 : 4
  const length = addressLength(type, bytes[4]!)
  if (length === undefined) return { malformed: `SOCKS address type ${type}` }
  const consumed = start + length + 2
  if (bytes.length < consumed) return undefined
  const address = bytes.subarray(start, start + length)
  const host = type === ADDRESS_NAME ? readName(address) : readIp(address)
  if (host === undefined) return { malformed: 'SOCKS destination is no host name' }
  const port = bytes[consumed - 2]! * 256 + bytes[consumed - 1]!
  if (port === 0) return { malformed: 'SOCKS destination port is 0' }
  return { consumed, isConnect: bytes[1] === COMMAND_CONNECT, host, port }
}

export function socksMethodAnswer(accepted: boolean): Uint8Array {
  return Uint8Array.of(VERSION, accepted ? METHOD_NONE : METHOD_UNACCEPTABLE)
}

/** The bound address is all zero: the far end of a tunnel has no address that would mean something to the client. */
export function socksReply(code: number): Uint8Array {
  return Uint8Array.of(VERSION, code, 0, ADDRESS_IPV4, 0, 0, 0, 0, 0, 0)
}

function addressLength(type: number, nameLength: number): number | undefined {
  if (type === ADDRESS_NAME) return nameLength
  return type === ADDRESS_IPV4 ? 4 : type === ADDRESS_IPV6 ? 16 : undefined
}

/** Some clients send literals as names. */
function readName(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes)
  return isHostName(text) || isLiteral(text) ? text : undefined
}

function isLiteral(text: string): boolean {
  return /^[0-9a-fA-F:.]+$/.test(text)
}

function readIp(bytes: Uint8Array): string {
  const words: number[] = []
  for (let index = 0; index < bytes.length; index += 4) {
    words.push(((bytes[index]! << 24) | (bytes[index + 1]! << 16) | (bytes[index + 2]! << 8) | bytes[index + 3]!) >>> 0)
  }
  const ip: IpAddress = { family: bytes.length === 4 ? 4 : 6, words }
  return formatIp(ip)
}

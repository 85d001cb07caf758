import { parseAuthority } from '../address.ts'
import { HTTP_CONNECT_HEAD_BYTES_MAX } from '../limits.ts'

/** Undefined: the head is not complete yet. */
export type HttpConnectStep =
  | { readonly consumed: number; readonly host: string; readonly port: number }
  | { readonly refused: HttpConnectStatus; readonly reason: string }
  | undefined

/** What this listener can answer. */
export type HttpConnectStatus = 200 | 400 | 403 | 405 | 408 | 431 | 502 | 503 | 504

const STATUS_TEXT: Readonly<Record<HttpConnectStatus, string>> = {
  200: 'Connection Established',
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

const CR = 13
const LF = 10
const USE_CONNECT = 'this proxy only tunnels: use CONNECT (curl --proxytunnel) or SOCKS5 (socks5h://)'

/**
 * Reads the head of a CONNECT request, strictly: CRLF line ends, no folding, no body, and a Host field as RFC 9112
 * §3.2 wants it. It reads one request; what follows belongs to the tunnel.
 */
export function parseHttpConnect(bytes: Uint8Array): HttpConnectStep {
  const end = endOfHead(bytes)
  if (end === 'bare') return { refused: 400, reason: 'a line ends without CR LF' }
  if (end > HTTP_CONNECT_HEAD_BYTES_MAX) return { refused: 431, reason: 'the head is too long' }
  if (end < 0) {
    return bytes.length > HTTP_CONNECT_HEAD_BYTES_MAX ? { refused: 431, reason: 'the head is too long' } : undefined
  }
  const [requestLine, ...fields] = latin1(bytes.subarray(0, end - 4)).split('\r\n')
  const [method, target, version, ...rest] = requestLine!.split(' ')
  if (!target || rest.length > 0 || (version !== 'HTTP/1.1' && version !== 'HTTP/1.0')) {
    return { refused: 400, reason: 'malformed request line' }
  }
  if (method !== 'CONNECT') {
    const isProxyRequest = /^[A-Z]+$/.test(method!) && /^https?:\/\//i.test(target)
    return isProxyRequest ? { refused: 405, reason: USE_CONNECT } : { refused: 400, reason: 'not a CONNECT request' }
  }
  const problem = checkFields(fields, version)
  if (problem) return { refused: 400, reason: problem }
  const authority = parseAuthority(target)
  if (!authority) return { refused: 400, reason: 'CONNECT needs host:port' }
  return { consumed: end, host: authority.host, port: authority.port }
}

/** The answer to a request; the tunnel's bytes follow a 200 at once. */
export function httpConnectAnswer(status: HttpConnectStatus, reason = ''): Uint8Array {
  const head = `HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\n`
  if (status === 200) return Buffer.from(`${head}\r\n`, 'latin1')
  const text = printable(reason)
  const body = `${text}\n`
  const allow = status === 405 ? 'allow: CONNECT\r\n' : ''
  return Buffer.from(
    `${head}${allow}x-ambient-reason: ${text}\r\ncontent-type: text/plain\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    'latin1',
  )
}

/** Index behind the empty line, -1 when it has not come, or `bare` for a CR or LF that stands alone. */
function endOfHead(bytes: Uint8Array): number | 'bare' {
  let lineStart = 0
  for (let index = 0; index < bytes.length && index <= HTTP_CONNECT_HEAD_BYTES_MAX; index += 1) {
    const byte = bytes[index]
    if (byte === LF) return 'bare'
    if (byte !== CR) continue
    if (index + 1 === bytes.length) return -1
    if (bytes[index + 1] !== LF) return 'bare'
    if (index === lineStart && index > 0) return index + 2
    index += 1
    lineStart = index + 1
  }
  return -1
}

/** RFC 9110 §5.6.2: the characters of a field name. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

function checkFields(fields: readonly string[], version: string): string | undefined {
  let hosts = 0
  for (const line of fields) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (!FIELD_NAME.test(name) || hasControl(value)) return 'malformed header field'
    if (name === 'host') hosts += 1
    if (name === 'transfer-encoding') return 'CONNECT has no body'
    if (name === 'content-length' && value !== '0') return 'CONNECT has no body'
  }
  if (hosts > 1) return 'more than one Host'
  return hosts === 0 && version === 'HTTP/1.1' ? 'no Host' : undefined
}

/** Control characters, of which a field value may have the tab alone (RFC 9110 §5.5). */
function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if ((code < 32 && code !== 9) || code === 127) return true
  }
  return false
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Nothing that somebody else wrote may end a line of our answer. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}

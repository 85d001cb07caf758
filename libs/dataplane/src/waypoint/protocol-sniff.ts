import { HTTP_METHODS } from '../http1/index.ts'
import { SNIFF_BYTES_MAX } from './limits.ts'

export type SniffedProtocol = 'http1' | 'http2' | 'tls' | 'tcp'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const TLS_HANDSHAKE = 0x16

/** What the first bytes of a connection are the beginning of; undefined while they could be several things. */
export function sniffProtocol(bytes: Uint8Array): SniffedProtocol | undefined {
  if (bytes.length === 0) return undefined
  if (bytes[0] === TLS_HANDSHAKE) return 'tls'
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SNIFF_BYTES_MAX)).toString('latin1')
  if (text.startsWith(PREFACE.slice(0, text.length))) return text.length >= PREFACE.length ? 'http2' : undefined
  for (const method of HTTP_METHODS) {
    const line = `${method} `
    if (text.startsWith(line)) return isTarget(text.charCodeAt(line.length)) ? 'http1' : 'tcp'
    if (line.startsWith(text)) return undefined
  }
  return 'tcp'
}

/** Behind the method stands something visible; NaN is what has not come yet, and `GET ` alone is enough. */
function isTarget(code: number): boolean {
  return Number.isNaN(code) || (code > 32 && code < 127)
}

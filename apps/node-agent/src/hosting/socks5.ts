import { connect, type Socket } from 'node:net'
import { type Clock, CodedError, errorCode } from '@ambient-lab/std'
import { SOCKS5_TIMEOUT_MS } from '../limits.ts'

export interface SocksTarget {
  /** A name stays a name: the mesh resolves it, as `socks5h` means. */
  readonly host: string
  readonly port: number
}

/** RFC 1928 §6: what a refusal means to whoever dialled. */
const REPLY_CODES: Readonly<Record<number, readonly [code: string, text: string]>> = {
  1: ['UPSTREAM_RESET', 'general failure'],
  2: ['DENIED', 'not allowed'],
  3: ['NETWORK_UNREACHABLE', 'network unreachable'],
  4: ['HOST_UNREACHABLE', 'host unreachable'],
  5: ['CONNECTION_REFUSED', 'connection refused'],
  6: ['CONNECT_TIMEOUT', 'TTL expired'],
}

const VERSION = 5
const COMMAND_CONNECT = 1
const NO_AUTHENTICATION = 0
const ADDRESS_DOMAIN = 3
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 1: 4, 4: 16 }

/**
 * Opens a connection to `target` through a SOCKS5 server without authentication. The greeting and the request leave
 * in one segment: the server has nothing to choose from, so waiting for its choice would only cost a round trip.
 * @returns a socket that has delivered nothing yet
 * @throws CodedError CAPTURE_UNREACHABLE, SOCKS_PROTOCOL, CONNECT_TIMEOUT, or the refusal's own code
 */
export function connectSocks5(
  proxy: { readonly host: string; readonly port: number },
  target: SocksTarget,
  options: { readonly clock: Clock; readonly timeoutMs?: number; readonly signal?: AbortSignal },
): Promise<Socket> {
  const where = `${target.host}:${target.port}`
  return new Promise((resolve, reject) => {
    const socket = connect({ host: proxy.host, port: proxy.port, noDelay: true })
    const timeoutMs = options.timeoutMs ?? SOCKS5_TIMEOUT_MS
    let received: Buffer = Buffer.alloc(0)
    const settle = (error: CodedError | undefined) => {
      cancelTimer()
      options.signal?.removeEventListener('abort', onAbort)
      socket.off('readable', onReadable).off('error', onError).off('close', onClose)
      if (!error) return resolve(socket)
      socket.on('error', () => {}) // whatever else happens to it is of no interest
      socket.destroy()
      reject(error)
    }
    const onAbort = () => settle(asCoded(options.signal?.reason, where))
    const onError = (cause: Error) =>
      settle(new CodedError('CAPTURE_UNREACHABLE', `${where}: the capture listener: ${cause.message}`, { cause }))
    const onClose = () => settle(new CodedError('UPSTREAM_RESET', `${where}: closed before the connection stood`))
    // 'readable' and not 'data': afterwards the stream is as untouched as a new one, and flows for whoever listens next.
    const onReadable = () => {
      for (let chunk: Buffer | null = socket.read(); chunk; chunk = socket.read()) {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      }
      const answer = parseReply(received)
      if (answer === 'more') return
      if (answer.error) return settle(answer.error.at(where))
      settle(undefined)
      if (answer.length < received.length) socket.unshift(received.subarray(answer.length))
    }
    const cancelTimer = options.clock.schedule(timeoutMs, () =>
      settle(new CodedError('CONNECT_TIMEOUT', `${where}: no connection within ${timeoutMs} ms`)),
    )
    if (options.signal?.aborted) return onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('readable', onReadable).on('error', onError).on('close', onClose)
    socket.write(encodeRequest(target))
  })
}

function encodeRequest(target: SocksTarget): Buffer {
  const host = Buffer.from(target.host, 'latin1')
  if (host.length > 255) throw new CodedError('SOCKS_PROTOCOL', `host name of ${host.length} bytes`)
  return Buffer.concat([
    Buffer.from([VERSION, 1, NO_AUTHENTICATION]),
    Buffer.from([VERSION, COMMAND_CONNECT, 0, ADDRESS_DOMAIN, host.length]),
    host,
    Buffer.from([target.port >> 8, target.port & 0xff]),
  ])
}

/** Pure: what the server said so far → wait, refused, or how many bytes the answers took. */
function parseReply(bytes: Buffer): 'more' | { readonly length: number; readonly error?: CodedError } {
  if (bytes.length < 2) return 'more'
  if (bytes[0] !== VERSION || bytes[1] !== NO_AUTHENTICATION) return refused('SOCKS_PROTOCOL', 'no SOCKS5 server there')
  if (bytes.length < 7) return bytes.length >= 4 && bytes[3] !== 0 ? refusal(bytes[3]!) : 'more'
  if (bytes[3] !== 0) return refusal(bytes[3]!)
  const addressLength = bytes[5] === ADDRESS_DOMAIN ? 1 + bytes[6]! : ADDRESS_LENGTHS[bytes[5]!]
  if (addressLength === undefined) return refused('SOCKS_PROTOCOL', `address type ${bytes[5]}`)
  const length = 6 + addressLength + 2
  return bytes.length < length ? 'more' : { length }
}

function refusal(status: number): { length: number; error: CodedError } {
  const [code, text] = REPLY_CODES[status] ?? ['UPSTREAM_RESET', `SOCKS status ${status}`]
  return refused(code, text)
}

function refused(code: string, text: string): { length: number; error: CodedError } {
  return { length: 0, error: new CodedError(code, text, { origin: 'upstream' }) }
}

function asCoded(reason: unknown, where: string): CodedError {
  if (CodedError.is(reason)) return reason
  return new CodedError(errorCode(reason) ?? 'ABORTED', `${where}: given up`, { cause: reason })
}

import { request } from 'node:http'
import type { Socket } from 'node:net'
import { dialCaptured, type SocketPlace } from './captured-socket.ts'
import { NOT_ALLOWED } from './probe.ts'

/** What a caller met: an answer of HTTP, bytes or silence of an application, a refusal, or nobody. */
export type CallOutcome =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'open' | 'cut' | 'unreachable' }

export interface CapturedRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const ANSWER_LIMIT_MS = 5_000
/** A connection that nobody cut for so long is one: plaintext is judged by the destination, after the dial. */
const CUT_LIMIT_MS = 1_000

/** One HTTP request through a workload's capture. */
export async function callHttp(
  capture: SocketPlace,
  destination: SocketPlace,
  { method, path, headers }: CapturedRequest,
): Promise<CallOutcome> {
  const dial = await dialCaptured(capture, destination)
  if (!('socket' in dial)) return { kind: dial.reply === NOT_ALLOWED ? 'cut' : 'unreachable' }
  const { host, port } = destination
  return new Promise((resolve) => {
    // No agent, not even `false`: Node would make one, and that dials by itself.
    const sent = request({ method, path, host, port, headers, createConnection: () => dial.socket })
    const settle = (outcome: CallOutcome) => {
      dial.socket.destroy()
      resolve(outcome)
    }
    sent.setTimeout(ANSWER_LIMIT_MS, () => settle({ kind: 'unreachable' }))
    sent.once('response', ({ statusCode = 0 }) => settle({ kind: 'answered', status: statusCode }))
    sent.once('error', () => settle({ kind: 'cut' }))
    sent.once('socket', (socket) => socket.resume())
    sent.end()
  })
}

/** One TCP connection with a few bytes that most applications answer; those that wait on are open. */
export async function callTcp(capture: SocketPlace, destination: SocketPlace): Promise<CallOutcome> {
  const dial = await dialCaptured(capture, destination)
  if (!('socket' in dial)) return { kind: dial.reply === NOT_ALLOWED ? 'cut' : 'unreachable' }
  return { kind: await firstSign(dial.socket) }
}

function firstSign(socket: Socket): Promise<'open' | 'cut'> {
  return new Promise((resolve) => {
    const settle = (sign: 'open' | 'cut') => {
      socket.destroy()
      resolve(sign)
    }
    socket.setTimeout(CUT_LIMIT_MS, () => settle('open'))
    socket.once('data', () => settle('open'))
    socket.once('close', () => settle('cut'))
    socket.once('end', () => settle('cut'))
    socket.resume()
    socket.write('GET / HTTP/1.1\r\nhost: ambient\r\nconnection: close\r\n\r\n')
  })
}

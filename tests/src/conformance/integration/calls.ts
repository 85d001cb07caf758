import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as http2Connect } from 'node:http2'
import type { Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { errorMessage } from '@ambient-lab/std'
import type { EchoReply, Protocol } from './protocols.ts'

/** As long as a call may take that nobody holds up; a call that takes longer counts as failed. */
const CALL_TIMEOUT_MS = 5_000

export interface CallTarget {
  /** Through a workload's capture, or from outside of the mesh. */
  readonly dial: () => Promise<Socket>
  readonly host: string
  readonly port: number
  readonly protocol: Protocol
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** What came of a call: an answer, of whatever status, or none. */
export type CallOutcome =
  | { readonly kind: 'answered'; readonly status: number; readonly reply: Partial<EchoReply> }
  | { readonly kind: 'failed'; readonly error: string }

/** One call as a program makes it. */
export async function call(target: CallTarget): Promise<CallOutcome> {
  let socket: Socket | undefined
  let timeout: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timeout = setTimeout(() => reject(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)), CALL_TIMEOUT_MS)
  })
  try {
    socket = await Promise.race([target.dial(), late])
    return await Promise.race([SPEAK[target.protocol](socket, target), closed(socket), late])
  } catch (error) {
    return { kind: 'failed', error: errorMessage(error) }
  } finally {
    clearTimeout(timeout)
    socket?.destroy()
  }
}

/** Rejects when the connection is gone, and what arrived before has had its turn. */
function closed(socket: Socket): Promise<never> {
  return new Promise((_, reject) => {
    const report = () => setImmediate(() => reject(new Error('the connection was closed')))
    if (socket.destroyed) report()
    else socket.once('close', report)
  })
}

type Speaker = (socket: Socket, target: CallTarget) => Promise<CallOutcome>

const SPEAK: Readonly<Record<Protocol, Speaker>> = {
  http: overHttp,
  http2: overHttp2,
  tls: (socket, target) => overHttp(tlsConnect({ socket, rejectUnauthorized: false }), target),
  tcp: (socket) => overTcp(socket, (text) => /^(\S+) hello\n/.exec(text)?.[1]),
  'tcp-server-first': (socket) => overTcp(socket, (text) => /^(\S+)\n\1 hello\n/.exec(text)?.[1]),
}

function overHttp(socket: Socket, { host, port, method, path, headers }: CallTarget): Promise<CallOutcome> {
  return new Promise((resolve, reject) => {
    const init = {
      createConnection: () => socket,
      method,
      path,
      headers: { host: `${host}:${port}`, ...headers },
    }
    const request = httpRequest(init, (response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => resolve(answered(response.statusCode ?? 0, body)))
    })
    request.on('error', reject)
    request.on('socket', (attached) => attached.resume())
    request.end()
  })
}

/** With a gRPC content type: a server that knows gRPC then answers with its status, all others take no notice. */
function overHttp2(socket: Socket, { host, port, method, path, headers }: CallTarget): Promise<CallOutcome> {
  return new Promise((resolve, reject) => {
    const session = http2Connect(`http://${host}:${port}`, { createConnection: () => socket })
    session.on('error', reject)
    const stream = session.request({ ':method': method, ':path': path, 'content-type': 'application/grpc', ...headers })
    let status = 0
    let body = ''
    stream.on('response', (received) => {
      status = received['grpc-status'] === '7' ? 403 : (received[':status'] ?? 0)
    })
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      if (status === 0) reject(new Error('the stream ended without an answer'))
      else resolve(answered(status, body))
    })
    stream.end()
  })
}

/** @param podIn who answered, once all of the answer is there */
function overTcp(socket: Socket, podIn: (text: string) => string | undefined): Promise<CallOutcome> {
  return new Promise((resolve, reject) => {
    let received = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text
      const pod = podIn(received)
      if (pod !== undefined) resolve({ kind: 'answered', status: 200, reply: { pod, headers: {} } })
    })
    socket.on('error', reject)
    socket.on('end', () => reject(new Error(`end of stream after ${JSON.stringify(received)}`)))
    socket.resume().write('hello\n')
  })
}

/** A body that is none of the program's is a proxy's. */
function answered(status: number, body: string): CallOutcome {
  try {
    return { kind: 'answered', status, reply: JSON.parse(body) }
  } catch {
    return { kind: 'answered', status, reply: {} }
  }
}

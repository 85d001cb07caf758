import { request as httpRequest } from 'node:http'
import { connect as http2Connect, type IncomingHttpHeaders } from 'node:http2'
import type { Socket } from 'node:net'
import { ProtoMessage } from '@ambient-lab/dataplane'

/** As long as an answer may take: the suite's slowest waits a second. */
const ANSWER_TIMEOUT_MS = 10_000

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** One request on a connection of its own, which it closes. */
export async function overHttp(socket: Socket, { method, path, host, headers }: HttpRequest): Promise<HttpAnswer> {
  try {
    return await new Promise((resolve, reject) => {
      socket.once('close', () => reject(new Error('the connection was closed')))
      const init = {
        createConnection: () => socket,
        method,
        path,
        headers: { host, ...headers },
        timeout: ANSWER_TIMEOUT_MS,
      }
      const request = httpRequest(init, async (response) => {
        let body = ''
        for await (const chunk of response.setEncoding('utf8')) body += chunk
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      })
      request.on('error', reject)
      request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)))
      request.on('socket', (attached) => attached.resume())
      request.end()
    })
  } finally {
    socket.destroy()
  }
}

export async function overHttp2(socket: Socket, { method, path, host, headers }: HttpRequest): Promise<HttpAnswer> {
  const { head, body } = await overStream(socket, { ':method': method, ':path': path, ':authority': host, ...headers })
  return { status: Number(head[':status'] ?? 0), headers: head, body: body.toString('utf8') }
}

export interface GrpcAnswer {
  /** Undefined: the server said none. */
  readonly code: number | undefined
  readonly pod: string
  readonly namespace: string
}

/** A unary call of the suite's echo service with an empty message. */
export async function overGrpc(
  socket: Socket,
  call: { readonly path: string; readonly authority: string; readonly metadata: Readonly<Record<string, string>> },
): Promise<GrpcAnswer> {
  const metadata = Object.entries(call.metadata).map(([name, value]) => [name.toLowerCase(), value])
  const { head, trailers, body } = await overStream(
    socket,
    {
      ...{ ':method': 'POST', ':path': call.path, ':authority': call.authority },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
      ...Object.fromEntries(metadata),
    },
    Buffer.alloc(5),
  )
  const status = trailers['grpc-status'] ?? head['grpc-status']
  const context = body.length > 5 ? new ProtoMessage(body.subarray(5)).message(1)?.message(4) : undefined
  return {
    code: status === undefined ? undefined : Number(status),
    pod: context?.string(4) ?? '',
    namespace: context?.string(1) ?? '',
  }
}

async function overStream(socket: Socket, head: Readonly<Record<string, string>>, message?: Uint8Array) {
  try {
    return await new Promise<{ head: IncomingHttpHeaders; trailers: IncomingHttpHeaders; body: Buffer }>(
      (resolve, reject) => {
        const session = http2Connect('http://gateway', { createConnection: () => socket })
        session.on('error', reject)
        session.on('close', () => reject(new Error('the connection was closed')))
        const stream = session.request({ ...head })
        stream.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)))
        const chunks: Buffer[] = []
        const answer = { head: {} as IncomingHttpHeaders, trailers: {} as IncomingHttpHeaders }
        stream.on('response', (received) => {
          answer.head = received
        })
        stream.on('trailers', (received) => {
          answer.trailers = received
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('end', () => resolve({ ...answer, body: Buffer.concat(chunks) }))
        stream.end(message)
      },
    )
  } finally {
    socket.destroy()
  }
}

/** What the suite's TCP server says of itself and of the connection. */
export interface TcpAnswer {
  readonly pod: string
  readonly namespace: string
  readonly isTLS: boolean
  readonly tls?: { readonly serverName: string }
}

/** A line of greeting, then an answer to TEST. */
export async function overTcp(socket: Socket): Promise<TcpAnswer> {
  try {
    return await new Promise((resolve, reject) => {
      let received = ''
      socket.on('error', reject).on('close', () => reject(new Error('the connection was closed')))
      socket.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)))
      socket.setEncoding('utf8').on('data', (text: string) => {
        received += text
        const [greeting = '', answer, rest] = received.split('\n')
        if (rest === undefined) return
        if (!greeting.startsWith('Gateway API')) reject(new Error(`greeted with ${JSON.stringify(greeting)}`))
        else resolve(JSON.parse(answer!))
      })
      socket.write('TEST\n')
    })
  } finally {
    socket.destroy()
  }
}

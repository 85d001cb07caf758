import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'
import { APP_BODY_BYTES_MAX, APP_KEEP_ALIVE_MS, CONTAINER_STOP_GRACE_MS } from '../limits.ts'
import type { AppReply, AppRequest, WorkloadApp } from './workload.ts'

export interface AppListener {
  readonly address: { readonly host: string; readonly port: number }
  /** No new work; what is in flight gets the grace of a container stop. */
  close(): Promise<void>
}

interface AppServerInit {
  readonly host: string
  /** One access line for each request. */
  readonly log: (line: string) => void
  readonly clock: Clock
}

/** Serves an app on one free port. */
export async function serveApp(app: WorkloadApp, init: AppServerInit): Promise<AppListener> {
  const { server, drain } = app.http ? httpServer(app, init) : tcpServer(app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: init.host, port: 0 }, resolve)
  })
  const { address: host, port } = server.address() as AddressInfo
  return {
    address: { host, port },
    close: () =>
      new Promise((resolve) => {
        const cancel = init.clock.schedule(CONTAINER_STOP_GRACE_MS, () => drain(true), { background: true })
        server.close(() => {
          cancel()
          resolve()
        })
        drain(false)
      }),
  }
}

type Drainable = { readonly server: Server | TcpServer; readonly drain: (force: boolean) => void }

function tcpServer(app: WorkloadApp): Drainable {
  const sockets = new Set<Socket>()
  const server = createTcpServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // the peer went away: 'close' follows, and an app has nothing to add
    app.tcp?.(socket)
  })
  return {
    server,
    drain: (force) => {
      for (const socket of sockets) force ? socket.destroy() : socket.end()
    },
  }
}

function httpServer(app: WorkloadApp, init: AppServerInit): Drainable {
  const server = createServer({ noDelay: true, keepAliveTimeout: APP_KEEP_ALIVE_MS }, (incoming, response) => {
    // A draining server asks each caller to leave with its answer, instead of waiting for it to hang up.
    if (!server.listening) response.setHeader('connection', 'close')
    void answer(app, incoming, response, init)
  })
  return { server, drain: (force) => (force ? server.closeAllConnections() : server.closeIdleConnections()) }
}

async function answer(
  app: WorkloadApp,
  incoming: IncomingMessage,
  response: ServerResponse,
  init: AppServerInit,
): Promise<void> {
  const startedAtMs = init.clock.monotonic()
  const gone = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) gone.abort(new CodedError('CALLER_GONE', 'the caller closed the connection'))
  })
  let reply: AppReply
  try {
    reply = await app.http!(asAppRequest(incoming, gone.signal))
  } catch (error) {
    init.log(`unhandled error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    reply = { status: CodedError.is(error, 'BODY_TOO_LARGE') ? 413 : 500, body: 'Internal Server Error\n' }
  }
  const bytes = await send(reply, incoming, response).catch((error) => {
    init.log(`the answer broke off: ${errorMessage(error)}`)
    response.destroy()
    return 0
  })
  const durationMs = Math.round(init.clock.monotonic() - startedAtMs)
  init.log(`${incoming.method} ${incoming.url} HTTP/${incoming.httpVersion} ${reply.status} ${bytes} ${durationMs}ms`)
}

async function send(reply: AppReply, incoming: IncomingMessage, response: ServerResponse): Promise<number> {
  const { body = '', headers } = reply
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value)
  response.statusCode = reply.status
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const length = Buffer.byteLength(body)
    if (reply.status !== 204 && reply.status !== 304) response.setHeader('content-length', length)
    response.end(incoming.method === 'HEAD' ? undefined : body)
    return length
  }
  let bytes = 0
  for await (const chunk of body) {
    if (response.destroyed) break
    bytes += Buffer.byteLength(chunk)
    if (!response.write(chunk)) await drained(response)
  }
  response.end()
  return bytes
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

function asAppRequest(incoming: IncomingMessage, signal: AbortSignal): AppRequest {
  const target = incoming.url ?? '/'
  const [path = '/', query = ''] = target.split(/\?(.*)/s)
  return {
    method: incoming.method ?? 'GET',
    path,
    query: new URLSearchParams(query),
    target,
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    remoteAddress: incoming.socket.remoteAddress ?? '',
    body: () => readBody(incoming),
    signal,
  }
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > APP_BODY_BYTES_MAX) throw new CodedError('BODY_TOO_LARGE', `more than ${APP_BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'
import { APP_BODY_BYTES_MAX, APP_KEEP_ALIVE_MS, CONTAINER_STOP_GRACE_MS } from '../limits.ts'
import type { AppKeyPair, AppReply, AppRequest, WorkloadApp } from './workload.ts'

export interface AppListener {
  readonly address: { readonly host: string; readonly port: number }
  /** No new work; what is in flight gets the grace of a container stop. */
  close(): Promise<void>
}

interface AppServerInit {
  readonly host: string
  /** The container's port, for which a free one stands. */
  readonly port: number
  /** One access line for each request. */
  readonly log: (line: string) => void
  readonly clock: Clock
}

/** Serves an app on one free port. */
export async function serveApp(app: WorkloadApp, init: AppServerInit): Promise<AppListener> {
  const { server, drain } = app.http ? httpServer(app, init) : tcpServer(app, init)
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

function tcpServer(app: WorkloadApp, { port }: AppServerInit): Drainable {
  const sockets = new Set<Socket>()
  const server = connectionServer(app.tls?.(port), [], (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    app.tcp?.(socket)
  })
  return {
    server,
    drain: (force) => {
      for (const socket of sockets) force ? socket.destroy() : socket.end()
    },
  }
}

/** @param protocols of ALPN */
function connectionServer(
  tls: AppKeyPair | undefined,
  protocols: readonly string[],
  accept: (socket: Socket) => void,
): TcpServer {
  const accepted = (socket: Socket) => {
    socket.on('error', () => {}) // the peer went away: 'close' follows, and an app has nothing to add
    accept(socket)
  }
  const options = { noDelay: true, allowHalfOpen: true }
  if (!tls) return createTcpServer(options, accepted)
  return createTlsServer({ ...options, ...tls, ALPNProtocols: [...protocols] }, accepted)
}

function httpServer(app: WorkloadApp, init: AppServerInit): Drainable {
  const tls = app.tls?.(init.port)
  if (tls || app.http2) return sharedServer(app, tls, init)
  const server = createServer({ noDelay: true, keepAliveTimeout: APP_KEEP_ALIVE_MS }, (incoming, response) => {
    // A draining server asks each caller to leave with its answer, instead of waiting for it to hang up.
    if (!server.listening) response.setHeader('connection', 'close')
    void answer(app, incoming, response, init)
  })
  return { server, drain: (force) => (force ? server.closeAllConnections() : server.closeIdleConnections()) }
}

/** One port for HTTP/1.1 and HTTP/2, in the clear or behind TLS. */
function sharedServer(app: WorkloadApp, tls: AppKeyPair | undefined, init: AppServerInit): Drainable {
  // A server that does not accept for itself knows of no connections: these do not speak HTTP/2, and those are busy.
  const others = new Set<Socket>()
  const busy = new Set<Socket>()
  const http2 = http2Server((incoming, response) => void answer(app, incoming, response, init))
  const http1 = createServer({ keepAliveTimeout: APP_KEEP_ALIVE_MS }, (incoming, response) => {
    const { socket } = incoming
    busy.add(socket)
    response.on('close', () => busy.delete(socket))
    if (!server.listening) response.setHeader('connection', 'close')
    void answer(app, incoming, response, init)
  })
  if (app.upgrade) {
    http1.on('upgrade', (incoming, socket, head) => {
      app.upgrade!(asAppRequest(incoming, init.port, NEVER_ABORTED), socket, head)
    })
  }
  const hand = (socket: Socket, isHttp2: boolean) => {
    if (isHttp2) others.delete(socket)
    ;(isHttp2 ? http2.server : http1).emit('connection', socket)
  }
  const server = connectionServer(tls, app.http2 ? ['h2', 'http/1.1'] : ['http/1.1'], (socket) => {
    others.add(socket)
    socket.on('close', () => others.delete(socket))
    if (tls) hand(socket, (socket as TLSSocket).alpnProtocol === 'h2')
    else whenKnown(socket, hand)
  })
  return {
    server,
    drain: (force) => {
      http2.drain(force)
      for (const socket of others) if (force || !busy.has(socket)) socket.destroy()
    },
  }
}

/** Of connections that others accept. */
function http2Server(serve: (incoming: Incoming, response: Outgoing) => void) {
  const sessions = new Set<ServerHttp2Session>()
  const server = createHttp2Server({}, serve)
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => {}) // of the connection: 'close' follows
  })
  return {
    server,
    drain: (force: boolean) => {
      for (const session of sessions) force ? session.destroy() : session.close()
    },
  }
}

/** Who took the connection over sees for itself that the peer is gone. */
const NEVER_ABORTED = new AbortController().signal

/** RFC 9113 §3.4; no method of HTTP/1.1 starts like it. */
const PREFACE = 'PRI '

/** Tells which HTTP a plain connection speaks by its first bytes, which stay in the socket. */
function whenKnown(socket: Socket, known: (socket: Socket, isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0)
  const read = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    if (head.length < PREFACE.length) return
    socket.off('data', read).off('end', end)
    const isHttp2 = head.toString('latin1', 0, PREFACE.length) === PREFACE
    // HTTP/2 reads what has come so far out of a socket that stands still, HTTP/1.1 waits for it to come.
    if (isHttp2) socket.pause()
    socket.unshift(head)
    known(socket, isHttp2)
  }
  const end = () => socket.destroy()
  socket.on('data', read).on('end', end)
}

type Incoming = IncomingMessage | Http2ServerRequest
type Outgoing = ServerResponse | Http2ServerResponse

async function answer(app: WorkloadApp, incoming: Incoming, response: Outgoing, init: AppServerInit): Promise<void> {
  const startedAtMs = init.clock.monotonic()
  const gone = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) gone.abort(new CodedError('CALLER_GONE', 'the caller closed the connection'))
  })
  let reply: AppReply
  try {
    reply = await app.http!(asAppRequest(incoming, init.port, gone.signal))
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

async function send(reply: AppReply, incoming: Incoming, response: Outgoing): Promise<number> {
  const { body = '', headers } = reply
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value)
  response.statusCode = reply.status
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const length = Buffer.byteLength(body)
    if (reply.status !== 204 && reply.status !== 304) response.setHeader('content-length', length)
    if (incoming.method === 'HEAD') response.end()
    else finish(response, reply, body)
    return length
  }
  let bytes = 0
  for await (const chunk of body) {
    if (response.destroyed) break
    bytes += Buffer.byteLength(chunk)
    if (!write(response, chunk)) await drained(response)
  }
  finish(response, reply)
  return bytes
}

/** The two kinds of answers have the same methods, of types that do not meet. */
function write(response: Outgoing, chunk: string | Uint8Array): boolean {
  return (response as ServerResponse).write(chunk)
}

function finish(response: Outgoing, { trailers }: AppReply, body: string | Uint8Array = ''): void {
  if (trailers) response.addTrailers(trailers)
  ;(response as ServerResponse).end(body)
}

function drained(response: Outgoing): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

function asAppRequest(incoming: Incoming, port: number, signal: AbortSignal): AppRequest {
  const target = incoming.url ?? '/'
  const [path = '/', query = ''] = target.split(/\?(.*)/s)
  return {
    method: incoming.method ?? 'GET',
    path,
    query: new URLSearchParams(query),
    target,
    headers: { host: incoming.headers[':authority'] as string | undefined, ...incoming.headers },
    rawHeaders: incoming.rawHeaders,
    remoteAddress: incoming.socket.remoteAddress ?? '',
    port,
    httpVersion: incoming.httpVersion,
    ...tlsOf(incoming.socket as Partial<TLSSocket>),
    body: () => readBody(incoming),
    signal,
  }
}

function tlsOf(socket: Partial<TLSSocket>): Pick<AppRequest, 'tls'> {
  if (!socket.encrypted) return {}
  const { servername, alpnProtocol } = socket
  const version = socket.getProtocol?.() ?? ''
  return { tls: { version, serverName: servername || '', protocol: alpnProtocol || '' } }
}

async function readBody(incoming: Incoming): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > APP_BODY_BYTES_MAX) throw new CodedError('BODY_TOO_LARGE', `more than ${APP_BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

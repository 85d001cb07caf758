/**
 * The app of the world's pods, a program of its own: answers on each container port in its protocol, and says which pod
 * answered and what came in. The lab tells by PORT_<container port> where to listen; ECHO_KEY and ECHO_CERTIFICATE are
 * PEM.
 */
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2Server, type Http2ServerRequest } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { type EchoReply, PROTOCOL_OF_PORT, type Protocol } from './protocols.ts'

const { env } = process
const POD = env.HOSTNAME ?? ''

const SERVERS: Readonly<Record<Protocol, () => Server>> = {
  http: () => createHttpServer((request, response) => response.end(replyText(request))),
  http2: () =>
    createHttp2Server((request, response) => {
      const isGrpc = request.headers['content-type'] === 'application/grpc'
      if (isGrpc) response.addTrailers({ 'grpc-status': '0' })
      response.end(replyText(request))
    }) as unknown as Server,
  tls: () =>
    createHttpsServer({ key: env.ECHO_KEY!, cert: env.ECHO_CERTIFICATE! }, (request, response) =>
      response.end(replyText(request)),
    ),
  tcp: () => createTcpServer((socket) => echoLines(socket)),
  'tcp-server-first': () =>
    createTcpServer((socket) => {
      socket.write(`${POD}\n`)
      echoLines(socket)
    }),
}

for (const [containerPort, protocol] of Object.entries(PROTOCOL_OF_PORT)) {
  const port = env[`PORT_${containerPort}`]
  if (port !== undefined) SERVERS[protocol]().listen(Number(port), '127.0.0.1')
}

function replyText({ headers, url = '' }: IncomingMessage | Http2ServerRequest): string {
  return JSON.stringify({ pod: POD, path: url, headers } satisfies EchoReply)
}

/** `hello` → `<pod> hello` */
function echoLines(socket: Socket): void {
  socket.on('error', () => {}) // a caller that left
  socket.setEncoding('utf8').on('data', (text) => socket.write(`${POD} ${text}`))
}

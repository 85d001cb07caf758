/** A proxy of requests with a library: its name, port to listen on, port of the backend. */
import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'
import { Pool } from 'undici'

const [library, port, backendPort] = process.argv.slice(2)
const target = `http://127.0.0.1:${backendPort}`

const server = library === 'undici' ? withUndici() : withHttpProxy()
server.keepAliveTimeout = 0
server.maxRequestsPerSocket = 0
server.listen(Number(port), '127.0.0.1', 4096)

function withUndici() {
  const pool = new Pool(target, { connections: 256, pipelining: 1 })
  return createServer((request, response) => {
    const { method = 'GET', url: path = '/', headers } = request
    const { connection: _, expect: __, ...forwarded } = headers
    const hasBody = method !== 'GET' && method !== 'HEAD'
    pool
      .stream(
        { method: method as 'GET', path, headers: forwarded, body: hasBody ? request : null, opaque: response },
        (head) => response.writeHead(head.statusCode, head.headers),
      )
      .catch(() => response.destroy())
  })
}

function withHttpProxy() {
  const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 256 }) })
  proxy.on('error', (_error, _request, response) => response.destroy())
  return createServer((request, response) => proxy.web(request, response))
}

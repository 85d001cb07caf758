import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NodeNetwork } from '../plain-network.ts'
import { WsMtlsTransport } from '../tunnel/ws-mtls-transport.ts'
import { ASK_ALWAYS, AUTHZ } from './filters/ext-authz.conformance.ts'
import { ProtoMessage, ProtoWriter } from './grpc/protobuf.ts'
import { clusterOf, forwardRoute, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

interface Reply {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly body: string
}

let mesh: MeshWithWaypoint
let server: Http2Server
let opening: Promise<ClientHttp2Session> | undefined
let handler: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
const seen: IncomingHttpHeaders[] = []

beforeEach(async () => {
  mesh = new MeshWithWaypoint({
    clock: systemClock,
    network: new NodeNetwork({ clock: systemClock }),
    transport: (svids) => new WsMtlsTransport({ clock: systemClock, svids }),
    until: async (condition) => {
      await eventually(() => expect(condition()).toBe(true))
    },
  })
  await mesh.start()
  seen.length = 0
  handler = echo
  server = createServer()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    seen.push(headers)
    stream.on('error', () => {})
    handler(stream, headers)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  mesh.targets.set('web-0', target)
  mesh.targets.set('web-1', target)
  mesh.cluster(clusterOf('web', { protocol: 'downstream' }))
})
afterEach(async () => {
  const client = await opening
  client?.destroy()
  opening = undefined
  await mesh.stop()
  server.close()
})

/** Answers with what it got, and with trailers as gRPC does. */
function echo(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.concat(chunks))
  })
}

/** A socket of `curl` to the service, through its capture. */
async function captured(): Promise<Socket> {
  const socket = connect(mesh.nodes.captures.get('curl')!)
  socket.write('CONNECT web:80 HTTP/1.1\r\nhost: web:80\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toContain(' 200 ')
  return socket
}

/** One for each test. */
function session(): Promise<ClientHttp2Session> {
  opening ??= captured().then((socket) => {
    socket.on('error', () => {})
    const h2 = connectHttp2('http://web', { createConnection: () => socket })
    h2.on('error', () => {})
    return h2
  })
  return opening
}

async function ask(headers: OutgoingHttpHeaders, body?: string): Promise<Reply> {
  const h2 = await session()
  const stream = h2.request({ ':authority': 'web', ...headers }, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  const reply = { headers: {} as IncomingHttpHeaders, trailers: {} as IncomingHttpHeaders, body: '' }
  stream.on('response', (answer) => Object.assign(reply.headers, answer))
  stream.on('trailers', (answer) => Object.assign(reply.trailers, answer))
  stream.on('data', (chunk: Buffer) => {
    reply.body += chunk
  })
  await once(stream, 'close')
  return reply
}

function grpcMessage(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length)
  bytes.writeUInt32BE(length, 1)
  return bytes
}

/** What is counted of both directions, of the one pair of ends that there is. */
function messages(): { request: number; response: number } {
  const of = (direction: string) => {
    const line = new RegExp(`^istio_${direction}_messages_total\\{[^}]*destination_service="web[^}]*\\} (\\d+)$`, 'm')
    return Number(line.exec(mesh.metrics.expose())?.[1] ?? 0)
  }
  return { request: of('request'), response: of('response') }
}

const GRPC = { ':method': 'POST', ':path': '/pkg.Service/Method', 'content-type': 'application/grpc', te: 'trailers' }

describe('HTTP/2 with prior knowledge', () => {
  it('carries a gRPC call with its trailers, and counts it as one', async () => {
    const reply = await ask(GRPC, 'hello')
    expect(reply).toMatchObject({ body: 'hello', trailers: { 'grpc-status': '0' } })
    expect(reply.headers).toMatchObject({ ':status': 200, server: 'istio-envoy' })
    expect(seen[0]).toMatchObject({ ':path': '/pkg.Service/Method', ':authority': 'web', te: 'trailers' })
    expect(seen[0]!['x-request-id']).toBeDefined()
    expect(mesh.lines).toEqual(['200 - via_upstream'])
    expect(mesh.metrics.expose()).toMatch(/request_protocol="grpc",response_code="200",grpc_response_status="0"/)
  })

  it('counts the messages of both directions, however frames cut them', async () => {
    const answers = Buffer.concat([grpcMessage(70_000), grpcMessage(0)])
    handler = (stream) => {
      stream.resume().on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(answers)
      })
    }
    const asked = Buffer.concat([grpcMessage(3), grpcMessage(0), grpcMessage(40_000)])
    const stream = (await session()).request({ ':authority': 'web', ...GRPC })
    for (const cut of [0, 2, 7, 8, 14, 30_000]) {
      const next = asked.subarray(cut, { 0: 2, 2: 7, 7: 8, 8: 14, 14: 30_000 }[cut])
      await new Promise((resolve) => stream.write(next, resolve)) // a frame of its own
    }
    stream.end()
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    await once(stream, 'close')
    expect(bytes).toBe(answers.length)
    expect(messages()).toEqual({ request: 3, response: 2 })
  })

  it('counts no messages in an answer that is none of gRPC', async () => {
    handler = (stream) => {
      stream.respond({ ':status': 503, 'content-type': 'text/html' })
      stream.end('<html></html>')
    }
    await ask(GRPC, 'hello')
    expect(messages()).toEqual({ request: 1, response: 0 })
    await ask({ ':method': 'POST', ':path': '/', 'content-type': 'text/plain' }, 'hello')
    expect(messages()).toEqual({ request: 1, response: 0 })
  })

  it('has many at once on one connection', async () => {
    await session()
    const replies = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(GRPC, `call ${index}`)))
    expect(replies.map(({ body }) => body)).toEqual(replies.map((_, index) => `call ${index}`))
    expect(mesh.lines).toHaveLength(50)
  })

  it('tells gRPC clients what went wrong in their own way', async () => {
    mesh.routes([forwardRoute({ match: { path: { prefix: '/other' } } })])
    const unknown = await ask(GRPC, 'x')
    expect(unknown.headers).toMatchObject({ ':status': 200, 'grpc-status': '12' })
    mesh.routes([forwardRoute({}, 'gone')])
    mesh.cluster(clusterOf('gone', { endpoints: { kind: 'service', service: 'default/none', servicePort: 80 } }))
    const unavailable = await ask(GRPC, 'x')
    expect(unavailable.headers).toMatchObject({ 'grpc-status': '14', 'grpc-message': 'no healthy upstream' })
  })

  it('retries a call by its gRPC status', async () => {
    let calls = 0
    handler = (stream) => {
      calls += 1
      if (calls > 1) return echo(stream)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' }, { endStream: true })
    }
    const retry = {
      attempts: 2,
      on: ['unavailable'],
      statusCodes: [],
      backoffBaseMs: 1,
      backoffMaxMs: 2,
      avoidPreviousHostsDraws: 0,
    }
    const backends = [{ cluster: 'web', weight: 1 }]
    mesh.routes([forwardRoute({ action: { kind: 'forward', forward: { backends, retry } } })])
    expect(await ask(GRPC, 'again')).toMatchObject({ body: 'again', trailers: { 'grpc-status': '0' } })
    expect(calls).toBe(2)
  })

  it('carries a large body both ways, piece by piece', async () => {
    const body = 'x'.repeat(3_000_000)
    const reply = await ask({ ':method': 'POST', ':path': '/large' }, body)
    expect(reply.body.length).toBe(body.length)
  })

  it('hears of an upstream that resets, and of a client that cancels', async () => {
    handler = (stream) => stream.close(2)
    const reply = await ask({ ':path': '/' })
    expect(reply.headers[':status']).toBe(503)
    expect(mesh.lines).toEqual(['503 UR upstream_reset_before_response_started{remote_reset}'])
    handler = () => {}
    const h2 = await session()
    const stream = h2.request({ ':path': '/', ':authority': 'web' })
    stream.on('error', () => {})
    await eventually(() => expect(seen).toHaveLength(2))
    stream.close(8)
    await eventually(() => expect(mesh.lines).toHaveLength(2))
    expect(mesh.lines[1]).toBe('0 DC downstream_remote_disconnect')
  })

  it('asks a rate limit service, and an authorizer, over gRPC', async () => {
    const service = 'default/web.default.svc.cluster.local'
    mesh.cluster(clusterOf('rls', { protocol: 'http2', endpoints: { kind: 'service', service, servicePort: 80 } }))
    let answer: Buffer | undefined
    const asked: ProtoMessage[] = []
    handler = (stream, headers) => {
      const path = String(headers[':path'])
      if (!path.startsWith('/envoy.')) return echo(stream)
      stream.on('data', (chunk: Buffer) => asked.push(new ProtoMessage(chunk.subarray(5))))
      stream.on('end', () => {
        if (!answer) return stream.close(2)
        const frame = Buffer.concat([Buffer.alloc(5), answer])
        frame.writeUInt32BE(answer.length, 1)
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(frame)
      })
    }
    const common = { cluster: 'rls', authority: 'rls', timeoutMs: 1000 }
    const actions = [
      { kind: 'request-headers', headerName: 'x-user', descriptorKey: 'user', skipIfAbsent: false },
    ] as const
    const limited = forwardRoute({ filters: { 'rate-limit': { rateLimits: [{ actions }] } } })
    const rateLimitService = { ...common, domain: 'shop', failureModeDeny: true, rateLimitHeaders: true }
    mesh.routes([limited], { rateLimit: rateLimitService })
    answer = new ProtoWriter()
      .uint(1, 2)
      .message(3, (header) => header.string(1, 'X-Why').string(2, 'quota'))
      .finish()
    const refused = await ask({ ':path': '/', 'x-user': 'ann' })
    expect(refused.headers).toMatchObject({ ':status': 429, 'x-envoy-ratelimited': 'true', 'x-why': 'quota' })
    const entry = asked[0]!.message(2)!.message(1)!
    expect([asked[0]!.string(1), entry.string(1), entry.string(2)]).toEqual(['shop', 'user', 'ann'])
    const window = (status: ProtoWriter) =>
      status
        .uint(1, 1)
        .message(2, (limit) => limit.uint(1, 10).uint(2, 2))
        .uint(3, 4)
        .message(4, (reset) => reset.uint(1, 33))
    answer = new ProtoWriter().uint(1, 1).message(2, window).finish()
    expect((await ask({ ':path': '/', 'x-user': 'ann' })).headers).toMatchObject({
      ':status': 200,
      'x-ratelimit-limit': '10, 10;w=60',
      'x-ratelimit-remaining': '4',
      'x-ratelimit-reset': '33',
    })
    expect((await ask({ ':path': '/' })).headers[':status']).toBe(200)
    answer = undefined
    expect((await ask({ ':path': '/', 'x-user': 'ann' })).headers[':status']).toBe(500)

    const clauses = [{ part: 'to' as const, matches: [{ paths: [{ prefix: '/' }] }] }]
    const custom = { name: 'ask', namespace: 'default', action: 'CUSTOM' as const, provider: { name: 'authz' } }
    const authz = {
      ...common,
      provider: 'authz',
      protocol: 'grpc' as const,
      failOpen: false,
      statusOnError: 403,
      clearRouteCache: false,
    }
    mesh.routes([forwardRoute()], {
      authorization: [{ ...custom, rules: [{ index: 0, clauses }], dryRun: false }],
      extAuthz: [authz],
    })
    answer = new ProtoWriter()
      .message(1, (rpc) => rpc.uint(1, 7))
      .message(2, (denied) => denied.message(1, (http) => http.uint(1, 401)).string(3, 'go away'))
      .finish()
    expect(await ask({ ':path': '/x?y=1' })).toMatchObject({ headers: { ':status': 401 }, body: 'go away' })
    const http = asked.at(-1)!.message(1)!.message(4)!.message(2)!
    expect([http.string(2), http.string(4), http.string(7)]).toEqual(['GET', '/x?y=1', ''])
    answer = new ProtoWriter()
      .message(1, () => {})
      .message(3, (ok) =>
        ok.message(2, (option) => option.message(1, (header) => header.string(1, 'x-ok').string(2, 'yes'))),
      )
      .finish()
    expect((await ask({ ':path': '/' })).headers[':status']).toBe(200)
    expect(seen.at(-1)!['x-ok']).toBe('yes')
    for (const [packAsBytes, field] of [
      [false, 11],
      [true, 12],
    ] as const) {
      mesh.routes([forwardRoute()], {
        authorization: [{ ...custom, rules: [{ index: 0, clauses }], dryRun: false }],
        extAuthz: [{ ...authz, requestBody: { maxBytes: 4, allowPartial: true, packAsBytes } }],
      })
      expect(await ask({ ':path': '/', ':method': 'POST' }, 'hello')).toMatchObject({ body: 'hello' })
      const shown = asked.at(-1)!.message(1)!.message(4)!.message(2)!
      expect(shown.string(field)).toBe('hell')
      const entries = shown.messages(3).map((entry) => [entry.string(1), entry.string(2)])
      expect(Object.fromEntries(entries)['x-envoy-auth-partial-body']).toBe('true')
    }
    expect(mesh.lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      '429 RL request_rate_limited',
      '200 - via_upstream',
      '200 - via_upstream',
      '500 RLSE rate_limiter_error',
      '401 UAEX ext_authz_denied',
      ...Array(3).fill('200 - via_upstream'),
    ])
  })

  it.each([204, 205, 304])('says %i without the body that an authorizer gives it, and serves on', async (status) => {
    const service = 'default/web.default.svc.cluster.local'
    mesh.cluster(clusterOf('authz', { protocol: 'http2', endpoints: { kind: 'service', service, servicePort: 80 } }))
    handler = (stream) => {
      const message = new ProtoWriter()
        .message(1, (rpc) => rpc.uint(1, 7))
        .message(2, (denied) => denied.message(1, (http) => http.uint(1, status)).string(3, 'no body'))
        .finish()
      stream.resume().on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]))
      })
    }
    const { http: _http, ...provider } = AUTHZ
    mesh.routes([forwardRoute()], { authorization: [ASK_ALWAYS], extAuthz: [{ ...provider, protocol: 'grpc' }] })
    for (const _ of [1, 2]) {
      const reply = await ask({ ':path': '/' })
      expect([reply.headers[':status'], reply.body]).toEqual([status, ''])
    }
  })

  it('speaks HTTP/1.1 to a backend of HTTP/1.1, and HTTP/2 to one of HTTP/2, whatever the client speaks', async () => {
    mesh.targets.clear()
    mesh.cluster(clusterOf('web', { protocol: 'http1', connectTimeoutMs: 999 }))
    expect(await ask({ ':path': '/one' })).toMatchObject({ body: 'GET /one' })
    const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    mesh.targets.set('web-0', target)
    mesh.targets.set('web-1', target)
    mesh.cluster(clusterOf('web', { protocol: 'http2' }))
    handler = (stream, headers) => {
      stream.respond({ ':status': 200 })
      stream.end(`h2 ${headers[':path']}`)
    }
    expect(await mesh.get('/two')).toMatchObject({ status: 200, body: 'h2 /two' })
  })

  it('ends a connection to a backend that nobody needs for the idle timeout, and opens another for the next request', async () => {
    mesh.targets.clear()
    const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    mesh.targets.set('web-0', target)
    mesh.targets.set('web-1', target)
    mesh.cluster(clusterOf('web', { protocol: 'http2', idleTimeoutMs: 30 }))
    let ended = 0
    handler = (stream) => {
      stream.session!.once('close', () => {
        ended += 1
      })
      stream.respond({ ':status': 200 })
      stream.end('h2')
    }
    for (const round of [1, 2]) {
      expect(await mesh.get()).toMatchObject({ status: 200, body: 'h2' })
      await eventually(() => expect(ended).toBe(round))
    }
  })

  it('says twice that a connection will end, and serves what comes in between', async () => {
    let release = () => {}
    handler = (stream) => {
      release = () => {
        stream.respond({ ':status': 200 })
        stream.end('late')
      }
    }
    const goodbyes: number[] = []
    const h2 = await session()
    h2.on('goaway', (_code, last) => goodbyes.push(last ?? -1))
    const reply = ask({ ':path': '/slow' })
    await eventually(() => expect(seen).toHaveLength(1))
    const drained = mesh.waypoint.drain()
    await eventually(() => expect(goodbyes).toEqual([2 ** 31 - 1, 1]))
    release()
    expect(await reply).toMatchObject({ headers: { ':status': 200 }, body: 'late' })
    await drained
  })

  it('answers before a request has ended, and lets its client know that no more of it is needed', async () => {
    mesh.routes([forwardRoute({ action: { kind: 'direct-response', status: 413 } })])
    const h2 = await session()
    const stream = h2.request({ ':method': 'POST', ':path': '/', ':authority': 'web' }, { endStream: false })
    stream.write('x'.repeat(10))
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(headers[':status']).toBe(413)
    stream.resume()
    await once(stream, 'close')
    expect(stream.rstCode).toBe(0)
  })

  it('sends no body in answer to HEAD, only its length', async () => {
    mesh.routes([forwardRoute({ action: { kind: 'direct-response', status: 418, body: 'short and stout' } })])
    const reply = await ask({ ':method': 'HEAD', ':path': '/' })
    expect(reply).toMatchObject({ headers: { ':status': 418, 'content-length': '15' }, body: '' })
  })

  it('tries again what an upstream refused, and what it did not see before it went away', async () => {
    let calls = 0
    handler = (stream) => {
      calls += 1
      if (calls === 1) return stream.close(7)
      if (calls === 3) stream.session!.goaway(0, stream.id! - 2)
      else echo(stream)
    }
    const retry = {
      ...{ attempts: 2, on: ['refused-stream'], statusCodes: [], backoffBaseMs: 1, backoffMaxMs: 2 },
      avoidPreviousHostsDraws: 0,
    }
    const backends = [{ cluster: 'web', weight: 1 }]
    mesh.routes([forwardRoute({ action: { kind: 'forward', forward: { backends, retry } } })])
    expect(await ask(GRPC, 'once')).toMatchObject({ body: 'once' })
    expect(await ask(GRPC, 'twice')).toMatchObject({ body: 'twice' })
    expect(calls).toBe(4)
  })

  it.each([
    [{ ':path': '/a#b' }, 1, '0 DPE http2.violation.of.messaging.rule'],
    [
      Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`x-${index}`, 'y'])),
      11,
      '0 DPE http2.too_many_headers',
    ],
  ])('resets what is no request, with a line in the log', async (headers, code, line) => {
    const stream = (await session()).request({ ':authority': 'web', ...headers })
    stream.on('error', () => {})
    await new Promise((resolve) => stream.on('close', resolve))
    expect(stream.rstCode).toBe(code)
    expect(mesh.lines).toEqual([line])
    expect(await ask({ ':path': '/' })).toMatchObject({ headers: { ':status': 200 } })
  })

  it('resets a request whose body is not as long as it said, with a line in the log', async () => {
    const stream = (await session()).request({
      ':method': 'POST',
      ':path': '/',
      ':authority': 'web',
      'content-length': 3,
    })
    stream.on('error', () => {})
    stream.end('hello')
    await new Promise((resolve) => stream.on('close', resolve))
    expect(stream.rstCode).toBe(1)
    expect(mesh.lines).toEqual(['0 DPE http2.violation.of.messaging.rule'])
  })
})

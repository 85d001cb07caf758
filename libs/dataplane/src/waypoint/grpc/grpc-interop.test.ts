import { once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { HttpAuthorization } from '@ambient-lab/policy'
import { KiB, MiB, systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { type CheckHandler, GrpcAuthorizer, type ProtoJson } from '@ambient-lab/testing/grpc'
import type { ExtAuthz } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { NodeNetwork } from '../../plain-network.ts'
import { WsMtlsTransport } from '../../tunnel/ws-mtls-transport.ts'
import { ASK_ALWAYS, AUTHZ } from '../filters/ext-authz.conformance.ts'
import { clusterOfPod, forwardRoute, MeshWithWaypoint } from '../mesh-with-waypoint.conformance.ts'
import { grpcTimeout } from './grpc-call.ts'
import { ProtoWriter } from './protobuf.ts'

let mesh: MeshWithWaypoint
let authorizer: GrpcAuthorizer

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
  authorizer = new GrpcAuthorizer()
  await authorizer.listen()
  mesh.targets.set('web-1', authorizer.address)
  mesh.cluster(clusterOfPod('web', 0))
  mesh.cluster({ ...clusterOfPod('authz', 1), protocol: 'http2' })
})
afterEach(async () => {
  await mesh.stop()
  authorizer.kill()
})

function guard(overrides: Partial<ExtAuthz> = {}): void {
  const { http: _http, ...provider } = AUTHZ
  const extAuthz = [{ ...provider, protocol: 'grpc' as const, timeoutMs: 5000, ...overrides }]
  mesh.routes([forwardRoute()], { authorization: [ASK_ALWAYS], extAuthz })
}

function answer(response: ProtoJson): void {
  authorizer.handler = (_call, done) => done(null, response)
}

const header = (key: string, value: string, more: ProtoJson = {}) => ({ header: { key, value }, ...more })
const passed = () => mesh.servers[0].requests.at(-1)!.head

describe('an authorizer on grpc-js', () => {
  it('is told of the request, and until when', async () => {
    guard()
    const calls: { request: ProtoJson; type: unknown; leftMs: number; host: string }[] = []
    authorizer.handler = (call, done) => {
      const leftMs = Number(call.getDeadline()) - Date.now()
      calls.push({ request: call.request, type: call.metadata.get('content-type'), leftMs, host: call.getHost() })
      done(null, {})
    }
    const reply = await mesh.get('/x?y=1', ['x-a: 1', 'x-a: 2', 'x-text: grün'], 'DELETE')
    expect(reply.status).toBe(200)
    const [call] = calls
    const { attributes } = call!.request as { attributes: Record<string, Record<string, unknown>> }
    expect(attributes.source).toMatchObject({
      principal: 'spiffe://cluster.local/ns/default/sa/curl',
      address: { socket_address: { address: '10.244.1.4' } },
    })
    expect(attributes.request!.http).toMatchObject({
      ...{ method: 'DELETE', path: '/x?y=1', host: 'web', scheme: 'http', protocol: 'HTTP/1.1' },
      headers: { ':authority': 'web', ':method': 'DELETE', ':path': '/x?y=1', 'x-a': '1,2', 'x-text': 'grün' },
    })
    expect(attributes.request!.http).not.toHaveProperty('query')
    expect((attributes.request!.http as { headers: object }).headers).not.toHaveProperty('host')
    expect(call).toMatchObject({ host: 'authz' })
    expect(call!.leftMs).toBeGreaterThan(2000)
    expect(call!.leftMs).toBeLessThanOrEqual(5000)
  })

  test.each<[title: string, option: ProtoJson, got: readonly string[]]>([
    ['in the place of what there is', header('x-a', 'new'), ['new']],
    ['in the place, as it says', header('x-a', 'new', { append: { value: false }, append_action: 1 }), ['new']],
    ['beside what there is', header('x-a', 'new', { append: { value: true } }), ['old', 'new']],
    ['if there is none', header('x-a', 'new', { append_action: 1 }), ['old']],
    ['if there is none, and there is none', header('x-b', 'new', { append_action: 1 }), ['new']],
    ['in any case', header('x-a', 'new', { append_action: 2 }), ['new']],
    ['if there is one', header('x-a', 'new', { append_action: 3 }), ['new']],
    ['if there is one, and there is none', header('x-b', 'new', { append_action: 3 }), []],
    ['as it is in UTF-8', header('x-a', 'grün'), ['gr\xc3\xbcn']],
    ['of bytes', { header: { key: 'X-A', raw_value: Buffer.from([0xe4]) } }, ['\xe4']],
  ])('writes a header %s', async (_title, option, got) => {
    guard()
    answer({ ok_response: { headers: [option] } })
    expect((await mesh.get('/', ['x-a: old'])).status).toBe(200)
    expect(passed().headers.getAll((option.header as { key: string }).key)).toEqual(got)
  })

  it('writes into query, host and path, takes headers off, and adds to the response', async () => {
    guard()
    answer({
      status: { code: 0 },
      ok_response: {
        headers: [header(':authority', 'other'), header('content-length', '7')],
        headers_to_remove: ['x-secret', ':path', 'Host'],
        response_headers_to_add: [header('set-cookie', 'a'), header('set-cookie', 'b'), header('x-c', '1')],
        query_parameters_to_set: [
          { key: 'user', value: 'ann & bob' },
          { key: 'a', value: '2' },
        ],
        query_parameters_to_remove: ['token'],
      },
      dynamic_metadata: { fields: { n: { number_value: 1.5 } } },
    })
    const program = await mesh.dial()
    const reply = await mesh.exchange(program, 'GET /x?a=1&token=t&b=3 HTTP/1.1\r\nhost: web\r\nx-secret: s\r\n\r\n')
    expect(reply).toMatchObject({ status: 200, headers: { 'x-c': '1' } })
    expect(program.text.match(/set-cookie: [ab]/g)).toEqual(['set-cookie: a', 'set-cookie: b'])
    expect(passed()).toMatchObject({ authority: 'other', path: '/x?b=3&user=ann%20%26%20bob&a=2' })
    expect(passed().headers.has('x-secret')).toBe(false)
    answer({ ok_response: { headers: [header(':path', '/elsewhere'), header(':method', 'PUT')] } })
    expect((await mesh.get('/x')).status).toBe(200)
    expect(passed()).toMatchObject({ method: 'PUT', path: '/elsewhere' })
  })

  test.each<[title: string, response: ProtoJson, reply: object]>([
    ['and no more', { status: { code: 7 } }, { status: 403, body: '' }],
    [
      'with what the client sees',
      {
        status: { code: 16 },
        denied_response: {
          status: { code: 401 },
          body: 'kein Zutritt für Sie',
          headers: [header('x-why', 'role'), header('content-type', 'text/x'), header('content-length', '3')],
        },
      },
      { status: 401, headers: { 'x-why': 'role', 'content-type': 'text/x', 'content-length': '21' } },
    ],
  ])('denies %s', async (_title, response, reply) => {
    guard()
    answer(response)
    expect(await mesh.get()).toMatchObject(reply)
    expect(mesh.lines.at(-1)).toMatch(/^40\d UAEX ext_authz_denied$/)
    expect(mesh.servers[0].requests).toEqual([])
  })

  test.each([204, 205, 304])('denies with %i, and what it calls a body is no response', async (status) => {
    guard()
    const denied_response = { status: { code: status }, body: 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n' }
    answer({ status: { code: 7 }, denied_response })
    const program = await mesh.dial()
    for (const _ of [1, 2]) {
      const start = program.text.length
      program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      await mesh.ground.until(() => program.text.length > start && program.text.endsWith('\r\n\r\n'))
      const head = program.text.slice(start)
      expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      if (status !== 205) expect(head.match(/HTTP/g)).toHaveLength(1)
    }
    await eventually(() => expect(mesh.lines).toEqual(Array(2).fill(`${status} UAEX ext_authz_denied`)))
  })

  test.each<[title: string, response: ProtoJson]>([
    ['a name that is none', { ok_response: { headers: [header('a b', '1')] } }],
    ['a value that ends its line', { ok_response: { headers: [header('a', '1\r\nb: 2')] } }],
    ['a path that is none', { ok_response: { headers: [header(':path', 'x y')] } }],
    ['a response that cannot be', { ok_response: { response_headers_to_add: [header('a', '\n')] } }],
    ['a refusal that cannot be', { status: { code: 7 }, denied_response: { headers: [header('a', '\0')] } }],
    ['a status that ends nothing', { status: { code: 7 }, denied_response: { status: { code: 101 } } }],
    ['a status that is none', { status: { code: 7 }, denied_response: { status: { code: 1000 } } }],
  ])('that wants %s is answered with 500, and the next one is served', async (_title, response) => {
    guard({ failOpen: true })
    answer(response)
    expect(await mesh.get()).toMatchObject({ status: 500, body: '' })
    expect(mesh.lines).toEqual(['500 UAEX ext_authz_invalid'])
    answer({})
    expect((await mesh.get()).status).toBe(200)
  })

  test.each([1, 2, 4, 7, 8, 12, 13, 14, 16])('whose call ends with status %i was not asked', async (code) => {
    guard({ statusOnError: 503 })
    authorizer.handler = (_call, done) => done({ code, details: 'no: 50 % grün' })
    expect(await mesh.get()).toMatchObject({ status: 503, body: '' })
    expect(mesh.lines).toEqual(['503 UAEX ext_authz_error'])
    guard({ failOpen: true })
    expect((await mesh.get()).status).toBe(200)
  })

  it('that is too slow hears that nobody waits any more', async () => {
    guard({ timeoutMs: 100 })
    let cancelled = false
    authorizer.handler = (call) => {
      call.on('cancelled', () => {
        cancelled = true
      })
    }
    expect(await mesh.get()).toMatchObject({ status: 403 })
    await eventually(() => expect(cancelled).toBe(true))
  })

  it('may say much, but not without end', async () => {
    guard()
    const refusal = (bytes: number) => ({ status: { code: 7 }, denied_response: { body: 'x'.repeat(bytes) } })
    answer(refusal(1000 * KiB))
    const long = await mesh.get()
    expect([long.status, long.body.length]).toEqual([403, 1000 * KiB])
    answer(refusal(2 * MiB))
    expect(await mesh.get()).toMatchObject({ status: 403, body: '' })
    expect(mesh.lines).toEqual(['403 UAEX ext_authz_denied', '403 UAEX ext_authz_error'])
  })

  it('is shown a large body; one that is larger than it takes is an error', async () => {
    let seen = 0
    authorizer.handler = (call, done) => {
      const { attributes } = call.request as { attributes: { request: { http: { raw_body: Buffer } } } }
      seen = attributes.request.http.raw_body.length
      done(null, {})
    }
    guard({ requestBody: { maxBytes: 3 * MiB, allowPartial: true, packAsBytes: true } })
    const post = (bytes: number) =>
      `POST / HTTP/1.1\r\nhost: web\r\ncontent-length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`
    expect(await mesh.exchange(await mesh.dial(), post(3 * MiB + 1))).toMatchObject({ status: 200 })
    expect(seen).toBe(3 * MiB)
    guard({ requestBody: { maxBytes: 5 * MiB, allowPartial: true, packAsBytes: true } })
    expect(await mesh.exchange(await mesh.dial(), post(5 * MiB))).toMatchObject({ status: 403 })
    expect(mesh.lines.at(-1)).toBe('403 UAEX ext_authz_error')
  })

  it('that dies during a call was not asked, and another one takes over', async () => {
    guard()
    authorizer.handler = () => authorizer.kill()
    expect(await mesh.get()).toMatchObject({ status: 403 })
    expect(await mesh.get()).toMatchObject({ status: 403 })
    expect(mesh.lines).toEqual(Array(2).fill('403 UAEX ext_authz_error'))
    using next = new GrpcAuthorizer()
    await next.listen()
    mesh.targets.set('web-1', next.address)
    expect((await mesh.get()).status).toBe(200)
  })

  it('that goes away finishes what it was asked, and is asked on another connection', async () => {
    guard()
    const peers = new Set<string>()
    let finish: (() => void) | undefined
    authorizer.handler = (call, done) => {
      peers.add(call.getPeer())
      finish = () => done(null, {})
    }
    const first = mesh.get()
    await eventually(() => expect(finish).toBeDefined())
    authorizer.drain()
    authorizer.handler = (call, done) => {
      peers.add(call.getPeer())
      done(null, {})
    }
    expect((await mesh.get()).status).toBe(200)
    finish!()
    expect((await first).status).toBe(200)
    expect(peers.size).toBe(2)
  })

  it('answers many at once, each its own', async () => {
    guard()
    authorizer.handler = (call, done) => {
      const { attributes } = call.request as { attributes: { request: { http: { path: string } } } }
      setImmediate(() => done(null, { ok_response: { headers: [header('x-path', attributes.request.http.path)] } }))
    }
    mesh.servers[0].handler = ({ head }) => ({ body: `${head.path} ${head.headers.get('x-path')}` })
    const paths = Array.from({ length: 40 }, (_, index) => `/${index}`)
    const replies = await Promise.all(paths.map((path) => mesh.get(path)))
    expect(replies.map(({ body }) => body)).toEqual(paths.map((path) => `${path} ${path}`))
  })
})

describe('an authorizer on grpc-js that is asked about connections', () => {
  const ROUTES = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] }]
  function guardConnections(overrides: Partial<ExtAuthz> = {}): void {
    const { http: _http, ...provider } = AUTHZ
    const extAuthz = [{ ...provider, protocol: 'grpc' as const, timeoutMs: 1000, ...overrides }]
    mesh.chain({ tcp: { routes: ROUTES, authorization: [ASK_ALWAYS], extAuthz } })
  }

  /** The first line of what the backend says, or how the connection ended. */
  async function exchange(): Promise<string> {
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n')
    await mesh.ground.until(() => program.text.includes('\r\n') || program.closed)
    program.stream.end()
    await mesh.ground.until(() => program.closed)
    return program.text.split('\r\n')[0] || 'closed'
  }

  it('is told of both ends, and of no request', async () => {
    guardConnections()
    let request: ProtoJson | undefined
    authorizer.handler = (call, done) => {
      request = call.request
      done(null, {})
    }
    expect(await exchange()).toBe('HTTP/1.1 200 OK')
    expect(request).toEqual({
      attributes: {
        source: {
          address: { socket_address: { address: '10.244.1.4', port_value: expect.any(Number) } },
          principal: 'spiffe://cluster.local/ns/default/sa/curl',
        },
        destination: { address: { socket_address: { address: '10.96.0.20', port_value: 80 } } },
      },
    })
  })

  test.each<[title: string, overrides: Partial<ExtAuthz>, handler: CheckHandler, result: string, line: string]>([
    ['allows', {}, (_call, done) => done(null, { status: { code: 0 } }), 'HTTP/1.1 200 OK', '0 - -'],
    ['denies', {}, (_call, done) => done(null, { status: { code: 7 } }), 'closed', '0 UAEX ext_authz_denied'],
    [
      'denies, open or not',
      { failOpen: true },
      (_call, done) => done(null, { status: { code: 7 } }),
      'closed',
      '0 UAEX ext_authz_denied',
    ],
    ['fails', {}, (_call, done) => done({ code: 14 }), 'closed', '0 UAEX ext_authz_error'],
    [
      'fails, and need not be asked',
      { failOpen: true },
      (_call, done) => done({ code: 14 }),
      'HTTP/1.1 200 OK',
      '0 - -',
    ],
    ['is silent', { timeoutMs: 100 }, () => {}, 'closed', '0 UAEX ext_authz_error'],
    ['has no cluster', { cluster: 'none' }, () => {}, 'closed', '0 UAEX ext_authz_error'],
    ['speaks HTTP', { protocol: 'http' }, () => {}, 'closed', '0 UAEX ext_authz_error'],
  ])('%s', async (_title, overrides, handler, result, line) => {
    guardConnections(overrides)
    authorizer.handler = handler
    expect(await exchange()).toBe(result)
    await mesh.ground.until(() => mesh.lines.length > 0)
    expect(mesh.lines).toEqual([line])
  })

  it('says yes, and another policy says no', async () => {
    guardConnections()
    const { http: _http, ...provider } = AUTHZ
    const extAuthz = [{ ...provider, protocol: 'grpc' as const }]
    const deny = { ...ASK_ALWAYS, name: 'deny', action: 'DENY' as const, provider: undefined } as HttpAuthorization
    mesh.chain({ tcp: { routes: ROUTES, authorization: [ASK_ALWAYS, deny], extAuthz } })
    let asked = 0
    authorizer.handler = (_call, done) => {
      asked += 1
      done(null, {})
    }
    expect(await exchange()).toBe('closed')
    expect(asked).toBe(1)
    await mesh.ground.until(() => mesh.lines.length > 0)
    expect(mesh.lines[0]).toMatch(/^0 UAEX rbac_access_denied_matched_policy/)
  })
})

describe('an answer that is none of gRPC', () => {
  const ok = Buffer.from([0, 0, 0, 0, 0])
  let server: Http2Server
  let respond: (stream: ServerHttp2Stream) => void
  beforeEach(async () => {
    server = createServer()
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {})
      stream.resume().on('end', () => respond(stream))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    mesh.targets.set('web-1', { host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  })
  afterEach(() => server.close())

  test.each<
    [title: string, status: number, body: Buffer, trailers: Record<string, string> | undefined, taken: boolean]
  >([
    ['a message, whole', 200, ok, { 'grpc-status': '0' }, true],
    ['compressed', 200, Buffer.from([1, 0, 0, 0, 0]), { 'grpc-status': '0' }, false],
    ['cut short', 200, Buffer.from([0, 0, 0, 0, 9, 1]), { 'grpc-status': '0' }, false],
    ['two messages', 200, Buffer.concat([ok, ok]), { 'grpc-status': '0' }, false],
    ['no message', 200, Buffer.alloc(0), { 'grpc-status': '0' }, false],
    ['no protobuf', 200, Buffer.from([0, 0, 0, 0, 1, 0xff]), { 'grpc-status': '0' }, false],
    ['no status', 200, ok, {}, false],
    ['no trailers', 200, ok, undefined, false],
    ['a status that is no number', 200, ok, { 'grpc-status': 'fine' }, false],
    ['an HTTP status', 503, ok, { 'grpc-status': '0' }, false],
  ])('%s', async (_title, status, body, trailers, taken) => {
    respond = (stream) => {
      stream.respond({ ':status': status, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => (trailers ? stream.sendTrailers(trailers) : stream.close()))
      stream.end(body)
    }
    guard()
    expect((await mesh.get()).status).toBe(taken ? 200 : 403)
  })

  it('is one of a rate limiter whose header cannot be sent', async () => {
    const actions = [
      { kind: 'request-headers', headerName: 'x-user', descriptorKey: 'user', skipIfAbsent: false },
    ] as const
    const limited = forwardRoute({ filters: { 'rate-limit': { rateLimits: [{ actions }] } } })
    const service = { cluster: 'authz', authority: 'a', timeoutMs: 1000, domain: 'd', rateLimitHeaders: false }
    mesh.routes([limited], { rateLimit: { ...service, failureModeDeny: true } })
    let value = 'a\nb: c'
    let asked: Buffer = Buffer.alloc(0)
    server.on('stream', (stream: ServerHttp2Stream) =>
      stream.once('data', (chunk: Buffer) => {
        asked = chunk
      }),
    )
    respond = (stream) => {
      const message = new ProtoWriter()
        .uint(1, 1)
        .message(4, (header) => header.string(1, 'X-Limit').string(2, value))
        .finish()
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]))
    }
    expect((await mesh.get('/', ['x-user: jürgen'])).status).toBe(500)
    expect(asked.toString('utf8')).toContain('jürgen')
    value = 'grün'
    expect((await mesh.get('/', ['x-user: ann'])).status).toBe(200)
    expect(passed().headers.get('x-limit')).toBe('gr\xc3\xbcn')
  })

  it('is a reset', async () => {
    respond = (stream) => stream.close(2)
    guard()
    expect((await mesh.get()).status).toBe(403)
  })
})

test.each([
  [0.2, '1m'],
  [600_000, '600000m'],
  [99_999_999, '99999999m'],
  [100_000_000, '100000S'],
  [2 ** 31 - 1, '2147484S'],
])('a deadline of %d ms is told as %s', (timeoutMs, text) => {
  expect(grpcTimeout(timeoutMs)).toBe(text)
})

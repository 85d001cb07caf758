import { ADDRESS_TYPE, type Route } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Ground, serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOf, clusterOfPod, forwardRoute, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

const RETRY = {
  attempts: 2,
  on: ['connect-failure', '5xx'],
  statusCodes: [],
  backoffBaseMs: 1,
  backoffMaxMs: 10,
  avoidPreviousHostsDraws: 5,
}

function forward(overrides: object, route: Partial<Route> = {}): Route {
  const backends = [{ cluster: 'web', weight: 1 }]
  return forwardRoute({ action: { kind: 'forward', forward: { backends, ...overrides } }, ...route })
}

/** What a waypoint promises, whatever it runs on. */
export function describeWaypoint(title: string, makeGround: () => Ground): void {
  describe(title, () => {
    let mesh: MeshWithWaypoint
    beforeEach(async () => {
      mesh = new MeshWithWaypoint(makeGround())
      await mesh.start()
    })
    afterEach(() => mesh.stop())
    const requests = () => mesh.servers.flatMap((server) => server.requests)
    const handle = (handler: (typeof mesh.servers)[0]['handler']) => {
      for (const server of mesh.servers) server.handler = handler
    }

    it('carries a request and its response, with the fields that Envoy adds', async () => {
      const answer = await mesh.get('/hello?x=1', ['x-one: 1'])
      expect(answer).toMatchObject({ status: 200, body: 'GET /hello?x=1' })
      expect(answer.headers).toMatchObject({ server: 'istio-envoy', connection: 'close' })
      expect(answer.headers.date).toMatch(/ GMT$/)
      expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/)
      const { head } = requests()[0]!
      expect(head).toMatchObject({ method: 'GET', path: '/hello?x=1', authority: 'web', keepAlive: true })
      expect(head.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      expect(head.headers.get('x-forwarded-proto')).toBe('http')
      expect(head.headers.get('x-one')).toBe('1')
      expect(head.headers.has('connection')).toBe(false)
      expect(mesh.lines).toEqual(['200 - via_upstream'])
      const metrics = mesh.metrics.expose()
      expect(metrics).toMatch(
        /istio_requests_total\{reporter="waypoint",source_workload="curl",.*destination_workload="web",.*destination_service="web.default.svc.cluster.local",.*response_code="200",.*response_flags="-",connection_security_policy="mutual_tls"\} 1/,
      )
      expect(metrics).toContain('source_principal="spiffe://cluster.local/ns/default/sa/curl"')
      expect(metrics).toMatch(/istio_request_duration_milliseconds_count\{.*\} 1/)
    })

    it('says nothing of the client’s certificate, and passes nobody’s word on, unless it is told to name clients', async () => {
      const forged = ['x-forwarded-client-cert: URI=spiffe://cluster.local/ns/default/sa/admin']
      await mesh.get('/before', forged)
      mesh.proxy({ namesClients: true })
      await mesh.get('/after', forged)
      const said = requests().map(({ head }) => [head.path, head.headers.get('x-forwarded-client-cert')])
      expect(Object.fromEntries(said)).toEqual({
        '/before': undefined,
        '/after': 'URI=spiffe://cluster.local/ns/default/sa/curl',
      })
    })

    it('reaches the pod as the waypoint, with the address of the client', async () => {
      await mesh.get()
      await mesh.ground.until(() => mesh.nodes.b.connections.length > 0)
      const inbound = mesh.nodes.b.connections.find(({ destination }) => destination.workload.startsWith('web'))
      expect(inbound).toMatchObject({
        direction: 'inbound',
        protocol: 'HBONE',
        source: { workload: 'curl', identity: 'spiffe://cluster.local/ns/default/sa/waypoint' },
      })
    })

    it('keeps connections alive on both sides, and holds pipelined requests back', async () => {
      handle(({ head }) => ({ body: head.path }))
      mesh.cluster(
        clusterOf('web', {
          endpoints: {
            kind: 'service',
            service: 'default/web.default.svc.cluster.local',
            servicePort: 80,
            subset: ['Kubernetes//Pod/default/web-0'],
          },
        }),
      )
      const program = await mesh.dial()
      const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: web\r\n\r\n`
      expect(await mesh.exchange(program, request('/1'))).toMatchObject({ status: 200, body: '/1' })
      expect(await mesh.exchange(program, request('/2'))).toMatchObject({ body: '/2' })
      program.received = new Uint8Array()
      program.say(request('/3') + request('/4') + request('/5'))
      await mesh.ground.until(() => program.text.endsWith('/5'))
      expect(program.text.indexOf('/3')).toBeLessThan(program.text.indexOf('/4'))
      expect(mesh.servers[0].connections).toHaveLength(1)
      expect(mesh.lines).toHaveLength(5)
    })

    it.each([
      ['with a length', 'POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 11\r\n\r\nhello world', 'hello world'],
      [
        'in chunks',
        'POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
        'hello world',
      ],
      [
        'expecting to be asked',
        'POST / HTTP/1.1\r\nhost: web\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi',
        'hi',
      ],
    ])('carries a body %s', async (_title, request, body) => {
      handle((received) => ({ body: [received.body.toString(), '!', ''].filter((text) => text !== '') }))
      const answer = await mesh.exchange(await mesh.dial(), request)
      expect(answer).toMatchObject({ status: 200, body: `${body}!` })
      expect(requests()[0]!.head.expectContinue).toBe(false)
    })

    it('carries trailers both ways', async () => {
      handle((received) => ({ body: ['x'], trailers: [['x-sum', received.trailers?.get('x-in') ?? 'none']] }))
      const request =
        'POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-in: 42\r\n\r\n'
      expect(await mesh.exchange(await mesh.dial(), request)).toMatchObject({ body: 'x', trailers: 'x-sum: 42' })
    })

    it('answers HEAD and 304 and 204 without a body, and goes on', async () => {
      const statuses = [200, 304, 204]
      handle(() => ({ status: statuses.shift()!, body: '' }))
      const program = await mesh.dial()
      for (const method of ['HEAD', 'GET', 'GET']) program.say(`${method} / HTTP/1.1\r\nhost: web\r\n\r\n`)
      await mesh.ground.until(() => mesh.lines.length === 3)
      expect(mesh.lines.map((line) => line.slice(0, 3))).toEqual(['200', '304', '204'])
    })

    it('lets a WebSocket through, both ways', async () => {
      handle(() => 'switch')
      const program = await mesh.dial()
      const request = 'GET /ws HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
      const answer = await mesh.exchange(program, request)
      expect(answer).toMatchObject({ status: 101, headers: { upgrade: 'websocket' } })
      program.say('ping')
      await mesh.ground.until(() => program.text.endsWith('PING'))
      program.stream.end()
      await mesh.ground.until(() => program.closed && mesh.lines.length === 1)
      expect(mesh.lines).toEqual(['101 - via_upstream'])
    })

    it('reads nothing behind a refusal, though it came with it', async () => {
      const program = await mesh.dial()
      const refused = 'POST / HTTP/1.1\r\nhost:\r\ntransfer-encoding: chunked\r\n\r\n'
      expect(await mesh.exchange(program, `${refused}1\r\nx\r\nnonsense`)).toMatchObject({ status: 400 })
      const next = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
      expect(await mesh.exchange(await mesh.dial(), `${refused}0\r\n\r\n${next}`)).toMatchObject({ status: 400 })
      await mesh.ground.until(() => program.ended)
      expect(requests()).toEqual([])
      expect(mesh.lines).toHaveLength(2)
    })

    it('goes on after an upgrade that the backend declines, and refuses one that the route does not allow', async () => {
      const upgrade = (token: string) =>
        `GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: ${token}\r\n\r\n`
      const program = await mesh.dial()
      expect(await mesh.exchange(program, upgrade('websocket'))).toMatchObject({ status: 200 })
      expect(await mesh.exchange(program, upgrade('raw'))).toMatchObject({ status: 403 })
      expect(await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')).toMatchObject({ status: 200 })
    })

    describe.each<[string, readonly Route[] | undefined, Parameters<MeshWithWaypoint['get']>, object, string]>([
      [
        'no route',
        [forwardRoute({ match: { path: { exact: '/only' } } })],
        ['/other'],
        { status: 404, body: '' },
        '404 NR route_not_found',
      ],
      ['no cluster', [forwardRoute({}, 'missing')], [], { status: 500, body: '' }, '500 NC cluster_not_found'],
      ['no backend', [forward({ backends: [] })], [], { status: 500, body: '' }, '500 - direct_response'],
      [
        'a backend of weight 0',
        [forward({ backends: [{ cluster: 'web', weight: 0 }] })],
        [],
        { status: 500 },
        '500 - direct_response',
      ],
      [
        'a direct response',
        [forwardRoute({ action: { kind: 'direct-response', status: 418, body: 'teapot' } })],
        [],
        { status: 418, body: 'teapot' },
        '418 - direct_response',
      ],
      [
        'a redirect',
        [
          forwardRoute({
            action: { kind: 'redirect', redirect: { status: 301, scheme: 'https', path: { full: '/new' } } },
          }),
        ],
        ['/old?q=1'],
        { status: 301, headers: expect.objectContaining({ location: 'https://web/new?q=1' }) },
        '301 - direct_response',
      ],
      [
        'a fault',
        [forwardRoute({ filters: { fault: { abort: { millionths: 1_000_000, httpStatus: 503 } } } })],
        [],
        { status: 503, body: 'fault filter abort' },
        '503 FI fault_filter_abort',
      ],
      ['no path', undefined, ['/../../%zz/..\\a/./b'], { status: 200, body: 'GET /a/b' }, '200 - via_upstream'],
    ])('%s', (_title, routes, request, expected, line) => {
      it('is answered and told', async () => {
        if (routes) mesh.routes(routes)
        expect(await mesh.get(...request)).toMatchObject(expected)
        expect(mesh.lines).toEqual([line])
      })
    })

    it('refuses what policies deny, by method and path and identity', async () => {
      const match = { methods: [{ exact: 'POST' }], paths: [{ prefix: '/admin' }] }
      const clauses = [{ part: 'to' as const, matches: [match] }]
      const base = { namespace: 'default', dryRun: false }
      const deny = { ...base, name: 'deny-admin', action: 'DENY' as const, rules: [{ index: 0, clauses }] }
      mesh.routes([forwardRoute()], { authorization: [deny] })
      expect(await mesh.get('/admin/x', [], 'POST')).toMatchObject({ status: 403, body: 'RBAC: access denied' })
      expect(await mesh.get('/admin/x')).toMatchObject({ status: 200 })
      const stranger = [{ part: 'from' as const, matches: [{ principals: [{ exact: 'cluster.local/ns/x/sa/y' }] }] }]
      const allow = { ...base, name: 'allow-x', action: 'ALLOW' as const, rules: [{ index: 0, clauses: stranger }] }
      mesh.routes([forwardRoute()], { authorization: [allow] })
      expect(await mesh.get()).toMatchObject({ status: 403 })
      expect(mesh.lines).toEqual([
        '403 - rbac_access_denied_matched_policy[ns[default]-policy[deny-admin]-rule[0]]',
        '200 - via_upstream',
        '403 - rbac_access_denied_matched_policy[none]',
      ])
      expect(requests()).toHaveLength(1)
    })

    it('refuses a bad token, and lets a request without one pass', async () => {
      const provider = {
        name: 'origins-0',
        issuer: 'issuer@example.com',
        audiences: [],
        keys: { inline: '{"keys":[]}' },
        keysTimeoutMs: 1000,
        from: { headers: [{ name: 'authorization', prefix: 'Bearer ' }], params: [], cookies: [] },
        forwardOriginalToken: false,
        outputClaimToHeaders: [],
        spaceDelimitedClaims: [],
      }
      mesh.routes([forwardRoute()], { jwt: { providers: [provider] } })
      const refused = await mesh.get('/', ['authorization: Bearer nonsense'])
      expect(refused).toMatchObject({
        status: 401,
        body: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
      })
      expect(refused.headers['www-authenticate']).toBe('Bearer realm="http://web/", error="invalid_token"')
      expect(await mesh.get()).toMatchObject({ status: 200 })
      expect(mesh.lines[0]).toMatch(/^401 - jwt_authn_access_denied\{Jwt_is_not_in_the_form/)
    })

    it('asks an external authorizer about what a CUSTOM policy matches', async () => {
      mesh.cluster(clusterOfPod('web', 0))
      mesh.cluster(clusterOfPod('authz', 1))
      mesh.servers[1].handler = ({ head }) =>
        head.headers.get('x-user') === 'ann'
          ? { headers: [['x-checked', 'yes']] }
          : { status: 401, body: 'who are you?', headers: [['x-why', 'unknown']] }
      const clauses = [{ part: 'to' as const, matches: [{ paths: [{ prefix: '/guarded' }] }] }]
      const custom = {
        name: 'ask',
        namespace: 'default',
        action: 'CUSTOM' as const,
        provider: { name: 'authz' },
        rules: [{ index: 0, clauses }],
        dryRun: false,
      }
      const authz = {
        provider: 'authz',
        protocol: 'http' as const,
        cluster: 'authz',
        authority: 'authz.default',
        timeoutMs: 500,
        failOpen: false,
        statusOnError: 403,
        clearRouteCache: false,
        http: {
          pathPrefix: '/check',
          requestHeaders: ['x-user'],
          additionalHeaders: [],
          upstreamOnAllow: ['x-checked'],
          downstreamOnDeny: ['x-w*'],
          downstreamOnAllow: [],
        },
      }
      mesh.routes([forwardRoute()], { authorization: [custom], extAuthz: [authz] })
      expect(await mesh.get('/open')).toMatchObject({ status: 200 })
      const refused = await mesh.get('/guarded/x?y')
      expect(refused).toMatchObject({ status: 401, body: 'who are you?', headers: { 'x-why': 'unknown' } })
      expect(await mesh.get('/guarded/x', ['x-user: ann'])).toMatchObject({ status: 200 })
      expect(mesh.servers[1].requests.map(({ head }) => head.path)).toEqual(['/check/guarded/x?y', '/check/guarded/x'])
      expect(mesh.servers[0].requests.at(-1)!.head.headers.get('x-checked')).toBe('yes')
      mesh.servers[1].handler = () => 'silence'
      expect(await mesh.get('/guarded/x', ['x-user: ann'])).toMatchObject({ status: 403, body: '' })
      expect(mesh.lines).toEqual([
        '200 - via_upstream',
        '401 UAEX ext_authz_denied',
        '200 - via_upstream',
        '403 UAEX ext_authz_error',
      ])
    })

    it('answers preflights, and tells a browser what it may read', async () => {
      const cors = {
        allowOrigins: [{ exact: 'https://shop.example' }, { regex: 'https://.*[.]trusted[.]example' }],
        allowMethods: ['GET', 'PUT'],
        allowHeaders: ['x-one'],
        exposeHeaders: ['x-two'],
        maxAgeSeconds: 60,
        allowCredentials: true,
        forwardUnmatchedPreflights: false,
      }
      mesh.routes([forwardRoute({ filters: { cors } })])
      const preflight = (origin: string) =>
        mesh.get('/', [`origin: ${origin}`, 'access-control-request-method: PUT'], 'OPTIONS')
      const allowed = {
        'access-control-allow-origin': 'https://a.trusted.example',
        'access-control-allow-methods': 'GET,PUT',
        'access-control-allow-headers': 'x-one',
        'access-control-max-age': '60',
        'access-control-allow-credentials': 'true',
      }
      expect(await preflight('https://a.trusted.example')).toMatchObject({ status: 200, headers: allowed })
      const stranger = await preflight('https://evil.example')
      expect(stranger.headers['access-control-allow-origin']).toBeUndefined()
      const simple = await mesh.get('/', ['origin: https://shop.example'])
      expect(simple.headers).toMatchObject({
        'access-control-allow-origin': 'https://shop.example',
        'access-control-expose-headers': 'x-two',
      })
      expect(requests()).toHaveLength(1)
    })

    it('limits requests by buckets, of all and of one path', async () => {
      const bucket = (maxTokens: number) => ({ maxTokens, tokensPerFill: maxTokens, fillIntervalMs: 60_000 })
      const limit = {
        statPrefix: 'http_local_rate_limiter',
        bucket: bucket(3),
        enabledMillionths: 1_000_000,
        enforcedMillionths: 1_000_000,
        responseHeaders: { add: [{ name: 'x-limited', value: 'true' }] },
        descriptors: [{ entries: [{ key: 'path', value: '/narrow' }], bucket: bucket(1) }],
        actions: [
          { kind: 'request-headers', headerName: ':path', descriptorKey: 'path', skipIfAbsent: false },
        ] as const,
        rateLimitHeaders: true,
        perDownstreamConnection: false,
      }
      mesh.routes([forwardRoute({ filters: { 'local-rate-limit': limit } })])
      const statuses = async (path: string, count: number) => {
        const found: number[] = []
        for (let index = 0; index < count; index += 1) found.push((await mesh.get(path)).status)
        return found
      }
      expect(await statuses('/narrow', 2)).toEqual([200, 429])
      expect(await statuses('/wide', 4)).toEqual([200, 200, 200, 429])
      const refused = await mesh.get('/wide')
      expect(refused).toMatchObject({ status: 429, body: 'local_rate_limited' })
      expect(refused.headers).toMatchObject({
        'x-limited': 'true',
        'x-ratelimit-limit': '3',
        'x-ratelimit-remaining': '0',
      })
      expect(mesh.lines.at(-1)).toBe('429 RL local_rate_limited')
    })

    it('delays by a fault, and tells gRPC clients in their own way', async () => {
      const startMs = mesh.ground.clock.monotonic()
      mesh.routes([forwardRoute({ filters: { fault: { delay: { millionths: 1_000_000, fixedMs: 150 } } } })])
      expect(await mesh.get()).toMatchObject({ status: 200 })
      expect(mesh.ground.clock.monotonic() - startMs).toBeGreaterThanOrEqual(149)
      mesh.routes([forwardRoute({ filters: { fault: { abort: { millionths: 1_000_000, grpcStatus: 14 } } } })])
      const answer = await mesh.get('/pkg.Service/Method', ['content-type: application/grpc'])
      expect(answer).toMatchObject({
        status: 200,
        headers: { 'grpc-status': '14', 'grpc-message': 'fault filter abort', 'content-type': 'application/grpc' },
      })
      mesh.routes([forwardRoute({ match: { path: { exact: '/none' } } })])
      const unknown = await mesh.get('/pkg.Service/Method', ['content-type: application/grpc'])
      expect(unknown).toMatchObject({ status: 200, headers: { 'grpc-status': '12' } })
      expect(mesh.lines).toEqual(['200 DI via_upstream', '200 FI fault_filter_abort', '200 NR route_not_found'])
    })

    it.each([
      ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 426, '426 DPE low_version'],
      ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, '400 DPE missing_host_header'],
      [
        'two lengths',
        'GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
        400,
        '400 DPE http1.codec_error',
      ],
      [
        'a head too large',
        `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(70_000)}\r\n\r\n`,
        431,
        '431 DPE request_headers_too_large',
      ],
      ['no HTTP', 'HELO there\r\n\r\n', 400, '400 DPE http1.invalid_url'],
    ])('refuses %s', async (_title, request, status, line) => {
      const program = await mesh.dial()
      const answer = await mesh.exchange(program, request)
      expect(answer).toMatchObject({ status, headers: { connection: 'close' } })
      await mesh.ground.until(() => program.ended)
      expect(mesh.lines).toEqual([line])
      expect(requests()).toHaveLength(0)
    })

    it('reaches the pod at whose address somebody wrote an endpoint by hand', async () => {
      const service = 'default/manual.default.svc.cluster.local'
      const workload = workloadOf('manual', '', '10.244.2.10', {
        ...{ uid: 'Kubernetes/discovery.k8s.io/EndpointSlice/default/manual/10.244.2.10', tunnelProtocol: 'NONE' },
        ...{ networkMode: 'HOST_NETWORK', services: { [service]: [{ servicePort: 80, targetPort: 8080 }] } },
      })
      const upserts = [
        { name: service, resource: { service: serviceOf('manual', '10.96.0.30') } },
        { name: workload.uid, resource: { workload } },
      ]
      expect(mesh.waypoint.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
      mesh.cluster(clusterOf('web', { endpoints: { kind: 'service', service, servicePort: 80 } }))
      expect(await mesh.get('/by-hand')).toMatchObject({ status: 200, body: 'GET /by-hand' })
    })

    it('answers 503 without hosts, with a refused connection, and with one that hangs up', async () => {
      mesh.cluster(clusterOf('web', { endpoints: { kind: 'service', service: 'default/none', servicePort: 80 } }))
      expect(await mesh.get()).toMatchObject({ status: 503, body: 'no healthy upstream' })
      mesh.cluster(clusterOf('web'))
      handle(() => 'hang-up')
      expect(await mesh.get()).toMatchObject({
        status: 503,
        body: 'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
      })
      for (const server of mesh.servers) await server.listener[Symbol.asyncDispose]()
      for (const { connections } of mesh.servers) for (const { stream } of connections) stream.end()
      const refused = await mesh.get()
      expect(refused.status).toBe(503)
      expect(refused.body).toContain('reset reason: remote connection failure, transport failure reason: ')
      expect(mesh.lines).toEqual([
        '503 UH no_healthy_upstream',
        '503 UC upstream_reset_before_response_started{connection_termination}',
        '503 UF upstream_reset_before_response_started{remote_connection_failure}',
      ])
    })

    it('gives up at the timeout of the route, and at that of a try', async () => {
      handle(() => 'silence')
      mesh.routes([forward({ timeoutMs: 800 })])
      expect(await mesh.get()).toMatchObject({ status: 504, body: 'upstream request timeout' })
      mesh.routes([forward({ timeoutMs: 8000, retry: { ...RETRY, attempts: 1, perTryTimeoutMs: 400 } })])
      expect(await mesh.get()).toMatchObject({ status: 504, body: 'upstream request timeout' })
      expect(requests()).toHaveLength(3)
      expect(mesh.lines).toEqual(['504 UT response_timeout', '504 UT,URX upstream_per_try_timeout'])
      await mesh.ground.until(() => mesh.servers.every(({ connections }) => connections.every(({ closed }) => closed)))
    })

    it('tries again on another host, with the body, and says so when that does not help', async () => {
      mesh.routes([forward({ retry: RETRY })])
      let failures = 1
      handle((received) => (failures-- > 0 ? { status: 503 } : { body: received.body.toString() }))
      const post = 'POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 5\r\n\r\nhello'
      expect(await mesh.exchange(await mesh.dial(), post)).toMatchObject({ status: 200, body: 'hello' })
      expect(mesh.servers.map((server) => server.requests.length)).toEqual([1, 1])
      failures = 10
      expect(await mesh.get()).toMatchObject({ status: 503 })
      expect(requests()).toHaveLength(5)
      expect(mesh.lines).toEqual(['200 - via_upstream', '503 URX via_upstream'])
    })

    it('sends copies elsewhere, whose answers nobody hears', async () => {
      mesh.cluster(clusterOfPod('web', 0))
      mesh.cluster(clusterOfPod('mirror', 1))
      mesh.routes([forward({ mirrors: [{ cluster: 'mirror', millionths: 1_000_000 }] })])
      mesh.servers[1].handler = () => ({ status: 500, body: 'nobody hears this' })
      const post = 'POST /m HTTP/1.1\r\nhost: web:80\r\ncontent-length: 5\r\n\r\nhello'
      expect(await mesh.exchange(await mesh.dial(), post)).toMatchObject({ status: 200, body: 'POST /m' })
      await mesh.ground.until(() => mesh.servers[1].requests.at(-1)?.body.length === 5)
      expect(mesh.servers[1].requests[0]!.head.authority).toBe('web-shadow:80')
    })

    it('shares requests out by weight', async () => {
      for (const index of [0, 1]) mesh.cluster(clusterOfPod(`v${index}`, index))
      const backends = [
        { cluster: 'v0', weight: 90 },
        { cluster: 'v1', weight: 10 },
      ]
      mesh.routes([forward({ backends })])
      const program = await mesh.dial()
      for (let index = 0; index < 100; index += 1) await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      expect(mesh.servers[0].requests.length).toBeGreaterThan(75)
      expect(mesh.servers[1].requests.length).toBeGreaterThan(2)
    })

    it('mutates headers and rewrites', async () => {
      mesh.routes([
        forward(
          { rewrite: { authority: 'other.example', path: { prefix: '/v2' } } },
          {
            match: { path: { pathSegments: '/v1' } },
            requestHeaders: { remove: ['x-secret'], set: [{ name: 'x-set', value: '%REQ(X-IN)%!' }] },
            responseHeaders: { add: [{ name: 'x-out', value: 'yes' }] },
          },
        ),
      ])
      const answer = await mesh.get('/v1/items?x', ['x-secret: s', 'x-in: a'])
      expect(answer).toMatchObject({ status: 200, body: 'GET /v2/items?x', headers: { 'x-out': 'yes' } })
      const { headers, authority } = requests()[0]!.head
      expect(authority).toBe('other.example')
      expect([headers.get('x-secret'), headers.get('x-set')]).toEqual([undefined, 'a!'])
      expect(headers.get('x-envoy-original-path')).toBe('/v1/items?x')
    })

    it('breaks the circuit at its limits', async () => {
      mesh.cluster(clusterOf('web', { circuitBreakers: { maxConnections: 1, maxPendingRequests: 0 } }))
      handle(() => 'silence')
      const first = await mesh.dial()
      first.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      expect(await mesh.get()).toMatchObject({
        status: 503,
        body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
      })
      expect(mesh.lines.at(-1)).toBe('503 UO upstream_reset_before_response_started{overflow}')
    })

    it('ejects a host that fails, and uses the other', async () => {
      const outlierDetection = {
        consecutive5xx: 2,
        consecutiveGatewayErrors: 0,
        splitExternalLocalOriginErrors: false,
        consecutiveLocalOriginFailures: 5,
        intervalMs: 1000,
        baseEjectionTimeMs: 30_000,
        maxEjectionPercent: 100,
        minHealthPercent: 0,
      }
      mesh.cluster(clusterOf('web', { outlierDetection }))
      mesh.servers[0].handler = () => ({ status: 500 })
      const program = await mesh.dial()
      for (let index = 0; index < 10; index += 1) await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      expect(mesh.servers[0].requests).toHaveLength(2)
      expect(mesh.servers[1].requests).toHaveLength(8)
    })

    it('holds a backend back whose client does not read', async () => {
      const piece = 'x'.repeat(64 * 1024)
      handle(() => ({ body: Array.from({ length: 64 }, () => piece) }))
      const program = await mesh.dial()
      program.stream.pause()
      program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      await mesh.ground.until(() => requests().length === 1)
      program.stream.resume()
      await mesh.ground.until(() => mesh.lines.length === 1)
      await mesh.ground.until(() => program.received.length >= 64 * piece.length)
      expect(mesh.lines).toEqual(['200 - via_upstream'])
    })

    it('tells of a client that goes away, and drops what it asked', async () => {
      handle(() => 'silence')
      const program = await mesh.dial()
      program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      await mesh.ground.until(() => requests().length === 1)
      program.stream.reset(new Error('gone') as never)
      await mesh.ground.until(() => mesh.lines.length === 1)
      expect(mesh.lines).toEqual(['0 DC downstream_remote_disconnect'])
      await mesh.ground.until(() => requests()[0]!.connection.closed)
    })

    it('answers a client that half-closed', async () => {
      const program = await mesh.dial()
      program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      program.stream.end()
      await mesh.ground.until(() => program.ended)
      expect(program.text).toContain('GET /')
    })

    it('swaps its configuration under load without losing a request', async () => {
      const program = await mesh.dial()
      const tags: string[] = []
      for (let index = 0; index < 60; index += 1) {
        const value = `v${Math.floor(index / 10)}`
        if (index % 10 === 0) {
          mesh.routes([forwardRoute({ responseHeaders: { set: [{ name: 'x-version', value }] } })])
          mesh.cluster(clusterOf('web', { connectTimeoutMs: 1000 + index }))
        }
        const answer = await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')
        expect(answer.status).toBe(200)
        tags.push(answer.headers['x-version']!)
      }
      expect(tags).toEqual(Array.from({ length: 60 }, (_, index) => `v${Math.floor(index / 10)}`))
    })

    it('drains: answers what is in flight, and closes', async () => {
      let waiting: (() => void) | undefined
      handle((received) => {
        waiting = () => received.connection.answer(received, { body: 'late' })
        return 'silence'
      })
      const program = await mesh.dial()
      const idle = await mesh.dial()
      program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      await mesh.ground.until(() => waiting !== undefined)
      const drained = mesh.waypoint.drain()
      await mesh.ground.until(() => idle.ended)
      waiting!()
      await mesh.ground.until(() => program.ended)
      expect(program.text).toContain('late')
      expect(program.text).toContain('connection: close')
      let isDone = false
      void drained.then(() => {
        isDone = true
      })
      await mesh.ground.until(() => isDone)
      expect(mesh.lines).toEqual(['200 - via_upstream'])
    })

    it('serves what it has taken when its pod is gone for everybody else, and what it ran on with it', async () => {
      const program = await mesh.dial()
      const request = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
      mesh.loseWaypoint()
      expect(await mesh.exchange(program, request)).toMatchObject({ status: 200 })
      const drained = mesh.waypoint.drain()
      expect(await mesh.exchange(program, request)).toMatchObject({ status: 200, headers: { connection: 'close' } })
      await mesh.ground.until(() => program.ended)
      let isDone = false
      void drained.then(() => {
        isDone = true
      })
      await mesh.ground.until(() => isDone)
    })

    it('moves bytes of a protocol that it does not read', async () => {
      const routes = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] }]
      mesh.chain({ tcp: { routes } })
      const program = await mesh.dial()
      const request = 'GET /through-tcp HTTP/1.1\r\nhost: web\r\n\r\n'
      const answer = await mesh.exchange(program, request)
      expect(answer.headers.server).toBeUndefined()
      program.stream.end()
      await mesh.ground.until(() => mesh.lines.length === 1)
      expect(mesh.lines).toEqual(['0 - -'])
      const metrics = mesh.metrics.expose()
      const labels =
        'reporter="waypoint",source_workload="curl",.*,destination_workload="web",.*,request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls"'
      for (const name of ['connections_opened', 'connections_closed']) {
        expect(metrics).toMatch(new RegExp(`istio_tcp_${name}_total\\{${labels}\\} 1\\n`))
      }
      expect(metrics).toMatch(new RegExp(`istio_tcp_received_bytes_total\\{${labels}\\} ${request.length}\\n`))
      expect(metrics).toMatch(new RegExp(`istio_tcp_sent_bytes_total\\{${labels}\\} [1-9]\\d+\\n`))
      expect(metrics).not.toContain('istio_requests_total{')
    })

    it('counts a connection that nobody could serve as opened and closed, with the reason', async () => {
      const routes = [
        { name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'missing', weight: 1 }] },
      ]
      mesh.chain({ tcp: { routes } })
      const program = await mesh.dial()
      await mesh.ground.until(() => program.closed && mesh.lines.length > 0)
      expect(mesh.lines).toEqual(['0 NC -'])
      const metrics = mesh.metrics.expose()
      for (const name of ['connections_opened', 'connections_closed']) {
        expect(metrics).toMatch(new RegExp(`istio_tcp_${name}_total\\{.*,response_flags="NC",.*\\} 1\\n`))
      }
    })

    it('sniffs a protocol that nobody declared', async () => {
      const routes = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] }]
      const http = { statPrefix: 'web', virtualHosts: [{ name: '*', domains: ['*'], routes: [forwardRoute()] }] }
      mesh.chain({ http, tcp: { routes }, sniff: true })
      expect((await mesh.get()).headers.server).toBe('istio-envoy')
    })
  })
}

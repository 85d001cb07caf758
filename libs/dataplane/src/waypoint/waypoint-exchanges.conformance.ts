import { expect } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOf, waypointTest } from './mesh-with-waypoint.conformance.ts'

/** Of a waypoint: what a request and its answer are on their way through. */
export function describeExchanges(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

  it('carries a request and its response, with the fields that Envoy adds', async ({ mesh }) => {
    const answer = await mesh.get('/hello?x=1', ['x-one: 1'])
    expect(answer).toMatchObject({ status: 200, body: 'GET /hello?x=1' })
    expect(answer.headers).toMatchObject({ server: 'istio-envoy', connection: 'close' })
    expect(answer.headers.date).toMatch(/ GMT$/)
    expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/)
    const { head } = mesh.requests[0]!
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

  it('says nothing of the client’s certificate, and passes nobody’s word on, unless it is told to name clients', async ({
    mesh,
  }) => {
    const forged = ['x-forwarded-client-cert: URI=spiffe://cluster.local/ns/default/sa/admin']
    await mesh.get('/before', forged)
    mesh.proxy({ namesClients: true })
    await mesh.get('/after', forged)
    const said = mesh.requests.map(({ head }) => [head.path, head.headers.get('x-forwarded-client-cert')])
    expect(Object.fromEntries(said)).toEqual({
      '/before': undefined,
      '/after': 'URI=spiffe://cluster.local/ns/default/sa/curl',
    })
  })

  it('reaches the pod as the waypoint, with the address of the client', async ({ mesh }) => {
    await mesh.get()
    await mesh.ground.until(() => mesh.nodes.b.connections.length > 0)
    const inbound = mesh.nodes.b.connections.find(({ destination }) => destination.workload.startsWith('web'))
    expect(inbound).toMatchObject({
      direction: 'inbound',
      protocol: 'HBONE',
      source: { workload: 'curl', identity: 'spiffe://cluster.local/ns/default/sa/waypoint' },
    })
  })

  it('keeps connections alive on both sides, and holds pipelined requests back', async ({ mesh }) => {
    mesh.handle(({ head }) => ({ body: head.path }))
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

  it.for<[string, string, string]>([
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
  ])('carries a body %s', async ([, request, body], { mesh }) => {
    mesh.handle((received) => ({ body: [received.body.toString(), '!', ''].filter((text) => text !== '') }))
    const answer = await mesh.exchange(await mesh.dial(), request)
    expect(answer).toMatchObject({ status: 200, body: `${body}!` })
    expect(mesh.requests[0]!.head.expectContinue).toBe(false)
  })

  it('carries trailers both ways', async ({ mesh }) => {
    mesh.handle((received) => ({ body: ['x'], trailers: [['x-sum', received.trailers?.get('x-in') ?? 'none']] }))
    const request = 'POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-in: 42\r\n\r\n'
    expect(await mesh.exchange(await mesh.dial(), request)).toMatchObject({ body: 'x', trailers: 'x-sum: 42' })
  })

  it('answers HEAD and 304 and 204 without a body, and goes on', async ({ mesh }) => {
    const statuses = [200, 304, 204]
    mesh.handle(() => ({ status: statuses.shift()!, body: '' }))
    const program = await mesh.dial()
    for (const method of ['HEAD', 'GET', 'GET']) program.say(`${method} / HTTP/1.1\r\nhost: web\r\n\r\n`)
    await mesh.ground.until(() => mesh.lines.length === 3)
    expect(mesh.lines.map((line) => line.slice(0, 3))).toEqual(['200', '304', '204'])
  })

  it('lets a WebSocket through, both ways', async ({ mesh }) => {
    mesh.handle(() => 'switch')
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

  it('reads nothing behind a refusal, though it came with it', async ({ mesh }) => {
    const program = await mesh.dial()
    const refused = 'POST / HTTP/1.1\r\nhost:\r\ntransfer-encoding: chunked\r\n\r\n'
    expect(await mesh.exchange(program, `${refused}1\r\nx\r\nnonsense`)).toMatchObject({ status: 400 })
    const next = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
    expect(await mesh.exchange(await mesh.dial(), `${refused}0\r\n\r\n${next}`)).toMatchObject({ status: 400 })
    await mesh.ground.until(() => program.ended)
    expect(mesh.requests).toEqual([])
    expect(mesh.lines).toHaveLength(2)
  })

  it('goes on after an upgrade that the backend declines, and refuses one that the route does not allow', async ({
    mesh,
  }) => {
    const upgrade = (token: string) => `GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: ${token}\r\n\r\n`
    const program = await mesh.dial()
    expect(await mesh.exchange(program, upgrade('websocket'))).toMatchObject({ status: 200 })
    expect(await mesh.exchange(program, upgrade('raw'))).toMatchObject({ status: 403 })
    expect(await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')).toMatchObject({ status: 200 })
  })
}

import { ADDRESS_TYPE, type Route } from '@ambient-lab/xds'
import { expect } from 'vitest'
import { type Ground, serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOf, clusterOfPod, forwardRoute, waypointTest } from './mesh-with-waypoint.conformance.ts'

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

/** Of a waypoint: what is asked of backends. */
export function describeBackends(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

  it('reaches the pod at whose address somebody wrote an endpoint by hand', async ({ mesh }) => {
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

  it('answers 503 without hosts, with a refused connection, and with one that hangs up', async ({ mesh }) => {
    mesh.cluster(clusterOf('web', { endpoints: { kind: 'service', service: 'default/none', servicePort: 80 } }))
    expect(await mesh.get()).toMatchObject({ status: 503, body: 'no healthy upstream' })
    mesh.cluster(clusterOf('web'))
    mesh.handle(() => 'hang-up')
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

  it('gives up at the timeout of the route, and at that of a try', async ({ mesh }) => {
    mesh.handle(() => 'silence')
    mesh.routes([forward({ timeoutMs: 800 })])
    expect(await mesh.get()).toMatchObject({ status: 504, body: 'upstream request timeout' })
    mesh.routes([forward({ timeoutMs: 8000, retry: { ...RETRY, attempts: 1, perTryTimeoutMs: 400 } })])
    expect(await mesh.get()).toMatchObject({ status: 504, body: 'upstream request timeout' })
    expect(mesh.requests).toHaveLength(3)
    expect(mesh.lines).toEqual(['504 UT response_timeout', '504 UT,URX upstream_per_try_timeout'])
    await mesh.ground.until(() => mesh.servers.every(({ connections }) => connections.every(({ closed }) => closed)))
  })

  it('tries again on another host, with the body, and says so when that does not help', async ({ mesh }) => {
    mesh.routes([forward({ retry: RETRY })])
    let failures = 1
    mesh.handle((received) => (failures-- > 0 ? { status: 503 } : { body: received.body.toString() }))
    const post = 'POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 5\r\n\r\nhello'
    expect(await mesh.exchange(await mesh.dial(), post)).toMatchObject({ status: 200, body: 'hello' })
    expect(mesh.servers.map((server) => server.requests.length)).toEqual([1, 1])
    failures = 10
    expect(await mesh.get()).toMatchObject({ status: 503 })
    expect(mesh.requests).toHaveLength(5)
    expect(mesh.lines).toEqual(['200 - via_upstream', '503 URX via_upstream'])
  })

  it('sends copies elsewhere, whose answers nobody hears', async ({ mesh }) => {
    mesh.cluster(clusterOfPod('web', 0))
    mesh.cluster(clusterOfPod('mirror', 1))
    mesh.routes([forward({ mirrors: [{ cluster: 'mirror', millionths: 1_000_000 }] })])
    mesh.servers[1].handler = () => ({ status: 500, body: 'nobody hears this' })
    const post = 'POST /m HTTP/1.1\r\nhost: web:80\r\ncontent-length: 5\r\n\r\nhello'
    expect(await mesh.exchange(await mesh.dial(), post)).toMatchObject({ status: 200, body: 'POST /m' })
    await mesh.ground.until(() => mesh.servers[1].requests.at(-1)?.body.length === 5)
    expect(mesh.servers[1].requests[0]!.head.authority).toBe('web-shadow:80')
  })

  it('shares requests out by weight', async ({ mesh }) => {
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

  it('mutates headers and rewrites', async ({ mesh }) => {
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
    const { headers, authority } = mesh.requests[0]!.head
    expect(authority).toBe('other.example')
    expect([headers.get('x-secret'), headers.get('x-set')]).toEqual([undefined, 'a!'])
    expect(headers.get('x-envoy-original-path')).toBe('/v1/items?x')
  })

  it('breaks the circuit at its limits', async ({ mesh }) => {
    mesh.cluster(clusterOf('web', { circuitBreakers: { maxConnections: 1, maxPendingRequests: 0 } }))
    mesh.handle(() => 'silence')
    const first = await mesh.dial()
    first.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    expect(await mesh.get()).toMatchObject({
      status: 503,
      body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
    })
    expect(mesh.lines.at(-1)).toBe('503 UO upstream_reset_before_response_started{overflow}')
  })

  it('ejects a host that fails, and uses the other', async ({ mesh }) => {
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
}

import type { Route } from '@ambient-lab/xds'
import { describe, expect } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { forwardRoute, type MeshWithWaypoint, waypointTest } from './mesh-with-waypoint.conformance.ts'

function forward(overrides: object, route: Partial<Route> = {}): Route {
  const backends = [{ cluster: 'web', weight: 1 }]
  return forwardRoute({ action: { kind: 'forward', forward: { backends, ...overrides } }, ...route })
}

/** Of a waypoint: what is answered without a backend. */
export function describeAnswers(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

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
    it('is answered and told', async ({ mesh }) => {
      if (routes) mesh.routes(routes)
      expect(await mesh.get(...request)).toMatchObject(expected)
      expect(mesh.lines).toEqual([line])
    })
  })

  it('limits requests by buckets, of all and of one path', async ({ mesh }) => {
    const bucket = (maxTokens: number) => ({ maxTokens, tokensPerFill: maxTokens, fillIntervalMs: 60_000 })
    const limit = {
      statPrefix: 'http_local_rate_limiter',
      bucket: bucket(3),
      enabledMillionths: 1_000_000,
      enforcedMillionths: 1_000_000,
      responseHeaders: { add: [{ name: 'x-limited', value: 'true' }] },
      descriptors: [{ entries: [{ key: 'path', value: '/narrow' }], bucket: bucket(1) }],
      actions: [{ kind: 'request-headers', headerName: ':path', descriptorKey: 'path', skipIfAbsent: false }] as const,
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

  it('delays by a fault, and tells gRPC clients in their own way', async ({ mesh }) => {
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

  it.for<[string, string, number, string]>([
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
  ])('refuses %s', async ([, request, status, line], { mesh }) => {
    const program = await mesh.dial()
    const answer = await mesh.exchange(program, request)
    expect(answer).toMatchObject({ status, headers: { connection: 'close' } })
    await mesh.ground.until(() => program.ended)
    expect(mesh.lines).toEqual([line])
    expect(mesh.requests).toHaveLength(0)
  })
}

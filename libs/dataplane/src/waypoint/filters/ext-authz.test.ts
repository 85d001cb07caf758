import { VirtualClock } from '@ambient-lab/std'
import { CLUSTER_TYPE, type ExtAuthz, type ExtAuthzHttp, type Route } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { MemoryPlainNetwork } from '../../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../../tunnel/memory-transport.ts'
import type { ServerAnswer } from '../http-server.conformance.ts'
import { clusterOfPod, forwardRoute, MeshWithWaypoint } from '../mesh-with-waypoint.conformance.ts'
import { ASK_ALWAYS, AUTHZ, AUTHZ_HTTP } from './ext-authz.conformance.ts'

let mesh: MeshWithWaypoint
beforeEach(async () => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork()
  mesh = new MeshWithWaypoint({
    clock,
    network: new MemoryPlainNetwork({ clock }),
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
    },
  })
  await mesh.start()
  mesh.cluster(clusterOfPod('web', 0))
  mesh.cluster(clusterOfPod('authz', 1))
})
afterEach(() => mesh.stop())

const DENIAL: ServerAnswer = {
  status: 401,
  body: '<p>no</p>',
  headers: [
    ['content-type', 'text/html'],
    ['x-why', 'unknown'],
    ['www-authenticate', 'Basic'],
    ['location', '/login'],
  ],
}

function guard(overrides: Partial<ExtAuthz> = {}, http: Partial<ExtAuthzHttp> = {}, routes = [forwardRoute()]): void {
  const provider = { ...AUTHZ, ...overrides, http: { ...AUTHZ_HTTP, ...http } }
  mesh.routes(routes, { authorization: [ASK_ALWAYS], extAuthz: [provider] })
}

function answer(reply: ServerAnswer | 'silence'): void {
  mesh.servers[1].handler = () => reply
}

const asked = () => mesh.servers[1].requests.at(-1)!.head
const passed = () => mesh.servers[0].requests.at(-1)?.head

describe('the request about a request', () => {
  test.each<[title: string, field: Partial<ExtAuthzHttp>, path: string]>([
    ['below a prefix', { pathPrefix: '/check' }, '/check/x?y=1'],
    ['without a prefix', { pathPrefix: '' }, '/x?y=1'],
  ])('has its method and path, %s', async (_title, field, path) => {
    guard({}, field)
    await mesh.get('/x?y=1', [], 'DELETE')
    expect(asked()).toMatchObject({ method: 'DELETE', path, authority: 'web' })
  })

  test.each<[title: string, field: Partial<ExtAuthzHttp>, seen: Record<string, string>, unseen: string[]]>([
    ['nothing but authorization', {}, { authorization: 'Basic a' }, ['x-user', 'x-team-a', 'a-id', 'cookie']],
    ['those that are named', { requestHeaders: ['x-user'] }, { 'x-user': 'ann' }, ['x-team-a', 'a-id', 'cookie']],
    ['a prefix of names', { requestHeaders: ['x-team-*'] }, { 'x-team-a': '1' }, ['x-user', 'a-id']],
    ['a suffix of names', { requestHeaders: ['*-id'] }, { 'a-id': '2' }, ['x-user', 'x-team-a']],
    [
      'what is added, in the place of what a client says',
      { requestHeaders: ['x-user'], additionalHeaders: [{ name: 'x-user', value: 'mesh' }] },
      { 'x-user': 'mesh' },
      ['cookie'],
    ],
    ['no length but its own', { requestHeaders: ['content-*'] }, {}, ['content-length']],
  ])('shows %s', async (_title, field, seen, unseen) => {
    guard({}, field)
    const headers = ['authorization: Basic a', 'x-user: ann', 'x-team-a: 1', 'a-id: 2', 'cookie: c=1']
    await mesh.get('/', headers)
    const shown = Object.fromEntries(asked().headers)
    expect(shown).toMatchObject(seen)
    for (const name of unseen) expect(shown).not.toHaveProperty(name)
  })
})

describe('an answer that allows', () => {
  test.each<
    [title: string, field: Partial<ExtAuthzHttp>, request: Record<string, string>, response: string | undefined]
  >([
    ['as it was', {}, { 'x-user': 'mallory' }, undefined],
    ['with headers for the backend', { upstreamOnAllow: ['x-user'] }, { 'x-user': 'ann' }, undefined],
    ['with headers for the client', { downstreamOnAllow: ['x-u*'] }, { 'x-user': 'mallory' }, 'ann'],
  ])('lets it pass %s', async (_title, field, request, response) => {
    guard({}, field)
    answer({ headers: [['x-user', 'ann']] })
    const reply = await mesh.get('/', ['x-user: mallory'])
    expect(reply).toMatchObject({ status: 200 })
    expect(reply.headers['x-user']).toBe(response)
    expect(Object.fromEntries(passed()!.headers)).toMatchObject(request)
  })

  it('takes headers off the request', async () => {
    guard()
    answer({ headers: [['x-envoy-auth-headers-to-remove', 'authorization, x-b, host']] })
    await mesh.get('/', ['authorization: secret', 'x-a: 1', 'x-b: 2'])
    expect(passed()!.headers.has('authorization')).toBe(false)
    expect(passed()!.headers.has('x-b')).toBe(false)
    expect([passed()!.headers.get('x-a'), passed()!.authority]).toEqual(['1', 'web'])
  })
})

describe('an answer that denies', () => {
  const all = { 'content-type': 'text/html', 'x-why': 'unknown', 'www-authenticate': 'Basic', location: '/login' }
  const { 'x-why': _why, 'content-type': _type, ...always } = all
  test.each<[title: string, downstreamOnDeny: string[], shown: Record<string, string>, hidden: string[]]>([
    ['as it is', [], all, []],
    ['with what is listed for it', ['x-*'], { ...always, 'x-why': 'unknown', 'content-type': 'text/plain' }, []],
    ['with what it cannot do without', ['x-other'], { ...always, 'content-type': 'text/plain' }, ['x-why']],
  ])('is the response, %s', async (_title, downstreamOnDeny, shown, hidden) => {
    guard({}, { downstreamOnDeny })
    answer(DENIAL)
    const reply = await mesh.get()
    expect(reply).toMatchObject({ status: 401, body: '<p>no</p>', headers: shown })
    for (const name of hidden) expect(reply.headers).not.toHaveProperty(name)
    expect(mesh.lines).toEqual(['401 UAEX ext_authz_denied'])
    expect(passed()).toBeUndefined()
  })

  test.each([204, 304])('with status %i has no body to smuggle', async (status) => {
    guard()
    answer({ status })
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    await mesh.ground.until(() => program.text.includes('\r\n\r\n'))
    expect(program.text).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\n\r\n$`))
  })
})

describe('an authorizer that cannot be asked', () => {
  const silent = () => answer('silence')
  const broken = () => answer({ status: 503 })
  const missing = () => mesh.waypoint.apply(CLUSTER_TYPE, [], ['authz'])
  const unreachable = () => mesh.cluster({ ...clusterOfPod('authz', 1), endpoints: NOWHERE })
  const NOWHERE = { kind: 'service', service: 'default/nobody.default.svc.cluster.local', servicePort: 80 } as const
  test.each<[title: string, protocol: ExtAuthz['protocol'], fail: () => unknown]>([
    ['is silent', 'http', silent],
    ['says 503', 'http', broken],
    ['has no cluster', 'http', missing],
    ['has no cluster', 'grpc', missing],
    ['has no endpoint', 'http', unreachable],
    ['has no endpoint', 'grpc', unreachable],
  ])('since it %s (%s): closed with 403 or as it is told, or open', async (_title, protocol, fail) => {
    fail()
    guard({ protocol })
    expect(await mesh.get()).toMatchObject({ status: 403, body: '' })
    guard({ protocol, statusOnError: 503 })
    expect(await mesh.get()).toMatchObject({ status: 503, body: '' })
    expect(mesh.lines).toEqual(['403 UAEX ext_authz_error', '503 UAEX ext_authz_error'])
    guard({ protocol, failOpen: true })
    expect(await mesh.get()).toMatchObject({ status: 200 })
  })

  it('is waited for as long as its timeout says', async () => {
    answer('silence')
    guard({ timeoutMs: 7000 })
    const startedAtMs = mesh.ground.clock.now()
    expect(await mesh.get()).toMatchObject({ status: 403 })
    expect(mesh.ground.clock.now() - startedAtMs).toBeGreaterThanOrEqual(7000)
    expect(mesh.ground.clock.now() - startedAtMs).toBeLessThan(8000)
  })
})

describe('an authorizer that changes what routes are chosen by', () => {
  const named = (name: string, overrides: Partial<Route> = {}) =>
    forwardRoute({ name, responseHeaders: { set: [{ name: 'x-route', value: name }] }, ...overrides })
  const ofTier = { match: { headers: [{ name: 'x-tier', value: { exact: 'gold' } }] } }
  const teapot = { fault: { abort: { millionths: 1_000_000, httpStatus: 418 } } }
  const plain = named('plain')

  test.each<[title: string, clear: boolean, routes: Route[], status: number, route: string | undefined]>([
    ['has no effect unless that is wanted', false, [named('gold', ofTier), plain], 200, 'plain'],
    ['chooses another route', true, [named('gold', ofTier), plain], 200, 'gold'],
    ['leaves the route where it matches as before', true, [plain], 200, 'plain'],
    ['finds a route where there was none', true, [named('gold', ofTier)], 200, 'gold'],
    ['has the filters of the new route', true, [named('gold', { ...ofTier, filters: teapot }), plain], 418, undefined],
    ['has not the filters of the old one', true, [named('gold', ofTier), { ...plain, filters: teapot }], 200, 'gold'],
  ])('%s', async (_title, clearRouteCache, routes, status, route) => {
    mesh.proxy({ accessLog: { enabled: true, encoding: 'TEXT', format: '%ROUTE_NAME%' } })
    guard({ clearRouteCache }, { upstreamOnAllow: ['x-tier'] }, routes)
    answer({ headers: [['x-tier', 'gold']] })
    const reply = await mesh.get()
    expect([reply.status, reply.headers['x-route']]).toEqual([status, route])
    expect(mesh.lines).toEqual([route ?? 'gold'])
  })

  it('may lose its route', async () => {
    const none = named('open', { match: { headers: [{ name: 'x-tier', invert: true }] } })
    guard({ clearRouteCache: true }, { upstreamOnAllow: ['x-tier'] }, [none])
    answer({ headers: [['x-tier', 'gold']] })
    expect(await mesh.get()).toMatchObject({ status: 404 })
    answer({})
    expect(await mesh.get()).toMatchObject({ status: 200 })
  })

  it('gives the body that it was shown to the new route', async () => {
    const requestBody = { maxBytes: 10, allowPartial: false, packAsBytes: false }
    guard({ clearRouteCache: true, requestBody }, { upstreamOnAllow: ['x-tier'] }, [named('gold', ofTier), plain])
    answer({ headers: [['x-tier', 'gold']] })
    mesh.servers[0].handler = ({ body }) => ({ body: body.toString() })
    const request = 'POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 5\r\n\r\nhello'
    const reply = await mesh.exchange(await mesh.dial(), request)
    expect(reply).toMatchObject({ status: 200, body: 'hello', headers: { 'x-route': 'gold' } })
  })
})

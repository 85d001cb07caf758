import { createHmac } from 'node:crypto'
import type { HttpAuthorization, HttpAuthorizationMatch } from '@ambient-lab/policy'
import type { Checkpoint, HttpConnectionManager, RequestView, Route } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OTHER_REFUSALS_KEPT, REQUEST_DECISIONS_KEPT } from '../waypoint/limits.ts'
import { clusterOf, clusterOfPod, forwardRoute, MeshWithWaypoint } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'

let mesh: MeshWithWaypoint

beforeEach(async () => {
  mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

const UID = 'Kubernetes//Pod/default/waypoint'
const SECRET = Buffer.alloc(32, 7)
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function sign(payload: Readonly<Record<string, unknown>>): string {
  const signed = `${part({ alg: 'HS256' })}.${part(payload)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

const TOKEN = sign({ iss: 'somebody', sub: 'ann' })
const provider = {
  name: 'origins-0',
  issuer: 'somebody',
  audiences: [],
  keys: { inline: JSON.stringify({ keys: [{ kty: 'oct', k: SECRET.toString('base64url') }] }) },
  keysTimeoutMs: 1000,
  from: { headers: [{ name: 'authorization', prefix: 'Bearer ' }], params: ['access_token'], cookies: [] },
  forwardOriginalToken: false,
  outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
  spaceDelimitedClaims: [],
}
const jwt = { providers: [provider] }

const policy = (
  action: HttpAuthorization['action'],
  place: 'from' | 'to' | 'when',
  match: HttpAuthorizationMatch,
): HttpAuthorization => ({
  ...{ name: `${action.toLowerCase()}-${place}`, namespace: 'default', action, dryRun: false },
  rules: [{ index: 0, clauses: [{ part: place, matches: [match] }] }],
})
const header = (name: string, exact: string): HttpAuthorizationMatch => ({ headers: [{ name, value: { exact } }] })
const onlyPost = policy('ALLOW', 'to', { methods: [{ exact: 'POST' }] })

async function kept(path: string, headers: readonly string[] = []): Promise<RequestView> {
  await mesh.get(path, headers)
  return mesh.waypoint.requests({}).requests.at(-1)!
}

async function reviewed({ serial }: RequestView): Promise<readonly Checkpoint[]> {
  return (await mesh.waypoint.review({ at: 'request', uid: UID, serial })).checkpoints
}

const REFUSALS: readonly (readonly [
  string,
  { readonly guard?: Partial<HttpConnectionManager>; readonly routes?: readonly Route[]; readonly sent?: string },
  Partial<RequestView>,
  Partial<Checkpoint>,
])[] = [
  [
    'no ALLOW policy matches',
    { guard: { authorization: [onlyPost] } },
    { status: 403, details: 'rbac_access_denied_matched_policy[none]', isReviewed: true },
    { point: 'allow', httpStatus: 403, fix: ['ALLOW default/allow-to, rule 0: add GET to methods'] },
  ],
  [
    'a DENY policy matches a header line',
    { guard: { authorization: [policy('DENY', 'when', header('x-user', 'a'))] }, sent: 'x-user: a' },
    { status: 403, details: 'rbac_access_denied_matched_policy[ns[default]-policy[deny-when]-rule[0]]' },
    { point: 'deny', httpStatus: 403 },
  ],
  [
    'its token is none',
    { guard: { jwt }, sent: 'authorization: Bearer nonsense' },
    { status: 401, isReviewed: true, responseFlags: '-' },
    { point: 'jwt', httpStatus: 401 },
  ],
  [
    'its token is good, and a policy does not like its subject',
    {
      guard: {
        jwt,
        authorization: [policy('ALLOW', 'when', { claims: [{ path: ['sub'], value: { exact: 'bob' } }] })],
      },
      sent: `authorization: Bearer ${TOKEN}`,
    },
    { status: 403 },
    { point: 'allow', httpStatus: 403 },
  ],
  [
    'a line that its token fills is not the one that is asked for',
    {
      guard: { jwt, authorization: [policy('ALLOW', 'when', header('x-sub', 'bob'))] },
      sent: `authorization: Bearer ${TOKEN}`,
    },
    { status: 403 },
    { point: 'allow', fix: ['ALLOW default/allow-when, rule 0: add x-sub: ann to request.headers'] },
  ],
  [
    'no route matches',
    { routes: [forwardRoute({ match: { path: { exact: '/other' } } })] },
    { status: 404, responseFlags: 'NR', isReviewed: true },
    { point: 'route', httpStatus: 404 },
  ],
  [
    'the cluster of its route is not there',
    { routes: [forwardRoute({}, 'missing')] },
    { status: 500, responseFlags: 'NC', isReviewed: true },
    { point: 'endpoint', httpStatus: 500 },
  ],
]

describe('a request that was refused because', () => {
  it.each(REFUSALS)(
    '%s is remembered, and reviewed as it was decided',
    async (_, { guard, routes, sent }, view, last) => {
      mesh.routes(routes ?? [forwardRoute()], guard)
      const request = await kept('/cart', sent === undefined ? [] : [sent])
      expect(request).toMatchObject({
        ...{ state: 'refused', uid: UID, node: 'b', proxy: 'default/waypoint', kind: 'waypoint' },
        ...{ method: 'GET', authority: 'web', path: '/cart' },
        source: { workload: 'curl', namespace: 'default', identity: 'spiffe://cluster.local/ns/default/sa/curl' },
        destination: { address: '10.96.0.20:80', service: 'web.default.svc.cluster.local' },
        ...view,
      })
      expect(request.id).toMatch(/^[0-9a-f-]{36}$/)
      expect((await reviewed(request)).at(-1)).toMatchObject({ verdict: 'denied', ...last })
    },
  )

  it('nobody may is told that it may, once that is changed, and back', async () => {
    mesh.routes([forwardRoute()], { authorization: [onlyPost] })
    const refused = await kept('/')
    mesh.routes([forwardRoute()])
    expect((await reviewed(refused)).at(-1)).toMatchObject({ point: 'endpoint', verdict: 'ok' })
    const passed = await kept('/')
    expect(passed).toMatchObject({ state: 'answered', status: 200, details: 'via_upstream', hint: '' })
    mesh.routes([forwardRoute()], { authorization: [onlyPost] })
    expect((await reviewed(passed)).at(-1)).toMatchObject({ point: 'allow', verdict: 'denied' })
  })

  it('the backend was gone has the flag, what to look at, and no claim that a review sees it', async () => {
    mesh.targets.set('web-0', { host: '127.0.0.1', port: 1 })
    mesh.targets.set('web-1', { host: '127.0.0.1', port: 1 })
    expect(await kept('/')).toMatchObject({
      ...{ state: 'refused', status: 503, responseFlags: 'UF', isReviewed: false },
      hint: 'the log of the backend and the access log of its node tell more',
    })
  })
})

describe('of a request that is remembered', () => {
  const COOKIE = 'session=0123456789abcdef'

  it('no credential leaves the proxy', async () => {
    const authorization = [
      policy('ALLOW', 'when', {
        headers: ['authorization', 'cookie'].map((name) => ({ name, value: { exact: 'x' } })),
      }),
    ]
    mesh.routes([forwardRoute()], { authorization })
    const request = await kept(`/cart?access_token=${TOKEN}`, [
      `authorization: Basic c2VjcmV0OmhlcmU=`,
      `cookie: ${COOKIE}`,
    ])
    const checkpoints = await reviewed(request)
    const told = JSON.stringify({ request, checkpoints })
    for (const secret of [TOKEN, 'c2VjcmV0OmhlcmU=', '0123456789abcdef', 'access_token'])
      expect(told).not.toContain(secret)
    expect(checkpoints.at(-1)!.policies![0]!.fields[0]!.got).toBe('authorization: (hidden), cookie: (hidden)')
    expect(checkpoints.at(-1)!.fix).toEqual([
      'ALLOW default/allow-when, rule 0: add authorization: (hidden) to request.headers',
    ])
  })

  it('a short credential is hidden behind its name, and no word besides', async () => {
    mesh.routes([forwardRoute()], { authorization: [policy('ALLOW', 'when', header('authorization', 'x'))] })
    const [last] = (await reviewed(await kept('/', ['authorization: a']))).slice(-1)
    expect(last).toMatchObject({
      reason: 'allow policies exist, but none allowed',
      policies: [{ fields: [{ got: 'authorization: (hidden)' }] }],
    })
  })

  it('the token is looked at again, though the backend did not get it', async () => {
    mesh.routes([forwardRoute()], { jwt })
    const passed = await kept(`/cart?access_token=${TOKEN}`, ['x-sub: forged'])
    const { head } = mesh.servers.flatMap(({ requests }) => requests)[0]!
    expect([head.path, head.headers.get('x-sub')]).toEqual(['/cart', 'ann'])
    expect(await reviewed(passed)).toContainEqual(
      expect.objectContaining({ point: 'jwt', verdict: 'ok', reason: 'accepted: somebody/ann' }),
    )
    mesh.routes([forwardRoute()], { jwt: { providers: [{ ...provider, audiences: ['shop'] }] } })
    expect((await reviewed(passed)).at(-1)).toMatchObject({ point: 'jwt', verdict: 'denied', httpStatus: 403 })
  })

  it('the id is the client’s where it chose one, and may be that of several', async () => {
    mesh.routes([forwardRoute()], { authorization: [onlyPost] })
    await mesh.get('/a', ['x-request-id: mine'])
    await mesh.get('/b', ['x-request-id: mine'])
    await mesh.get('/c')
    expect(mesh.waypoint.requests({ id: 'mine' }).requests.map(({ path }) => path)).toEqual(['/a', '/b'])
    expect(mesh.waypoint.requests({ id: 'nobody’s' }).requests).toEqual([])
  })

  it('what a route makes of it is not asked about', async () => {
    const forward = { backends: [{ cluster: 'gone', weight: 1 }], rewrite: { path: { full: '/x' }, authority: 'y' } }
    mesh.cluster(clusterOf('gone', { endpoints: { kind: 'service', service: 'default/gone', servicePort: 80 } }))
    mesh.routes([forwardRoute({ action: { kind: 'forward', forward } as Route['action'] })])
    expect(await kept('/cart')).toMatchObject({ status: 503, responseFlags: 'UH', path: '/cart', authority: 'web' })
  })
})

describe('a request that an external authorizer refused', () => {
  const custom = (path: string): HttpAuthorization => ({
    ...policy('CUSTOM', 'to', { paths: [{ prefix: path }] }),
    ...{ action: 'CUSTOM', provider: { name: 'asked' } },
  })
  const extAuthz = [
    {
      ...{ provider: 'asked', protocol: 'http' as const, cluster: 'authz', authority: 'authz', timeoutMs: 1000 },
      ...{ failOpen: false, statusOnError: 403, clearRouteCache: false },
      http: {
        pathPrefix: '',
        requestHeaders: [],
        additionalHeaders: [],
        upstreamOnAllow: [],
        downstreamOnDeny: [],
        downstreamOnAllow: [],
      },
    },
  ]

  it('is refused by what it said, until nobody asks it any more', async () => {
    mesh.cluster(clusterOfPod('web', 0))
    mesh.cluster(clusterOfPod('authz', 1))
    mesh.servers[1].handler = () => ({ status: 401 })
    mesh.routes([forwardRoute()], { authorization: [custom('/guarded')], extAuthz })
    const refused = await kept('/guarded/x')
    expect(refused).toMatchObject({ state: 'refused', status: 401, responseFlags: 'UAEX', isReviewed: true })
    expect((await reviewed(refused)).at(-1)).toMatchObject({
      ...{ point: 'custom', verdict: 'denied', httpStatus: 401 },
      reason: 'asked: the external authorizer said no then; what it says now is not known before it is asked',
    })
    mesh.routes([forwardRoute()], { authorization: [custom('/other')], extAuthz })
    expect((await reviewed(refused)).at(-1)).toMatchObject({ point: 'endpoint', verdict: 'ok' })
  })
})

describe('room for requests', () => {
  it('is bounded: the oldest are forgotten, and a review of one says so', async () => {
    mesh.routes([forwardRoute()], { authorization: [onlyPost] })
    const first = await kept('/')
    const program = await mesh.dial()
    const ask = (path: string) => mesh.exchange(program, `GET ${path} HTTP/1.1\r\nhost: web\r\n\r\n`)
    for (let count = 0; count < REQUEST_DECISIONS_KEPT; count += 1) await ask('/')
    expect(mesh.waypoint.requests({ id: first.id }).requests).toEqual([])
    await expect(reviewed(first)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    mesh.routes([])
    for (let count = 0; count <= OTHER_REFUSALS_KEPT; count += 1) await ask('/nowhere')
    const { requests } = mesh.waypoint.requests({})
    expect(requests.filter(({ status }) => status === 403)).toHaveLength(REQUEST_DECISIONS_KEPT)
    // A few are of the sample of what passes policies: what refuses them behind those is not known then.
    expect(requests.filter(({ status }) => status === 404).length).toBeLessThan(OTHER_REFUSALS_KEPT + 10)
  })

  it('is not for what cannot be named again, and the way for a review ends where its chain is gone', async () => {
    await mesh.exchange(await mesh.dial(), 'GET / HTTP/1.0\r\n\r\n')
    expect(mesh.waypoint.requests({}).requests).toEqual([])
    mesh.routes([forwardRoute()], { authorization: [onlyPost] })
    const refused = await kept('/')
    mesh.loseChain()
    expect((await reviewed(refused)).at(-1)).toMatchObject({ point: 'chain', verdict: 'denied', httpStatus: 503 })
  })
})

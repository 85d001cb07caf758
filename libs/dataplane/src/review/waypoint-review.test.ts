import type { HttpAuthorization, HttpAuthorizationMatch } from '@ambient-lab/policy'
import type { Checkpoint, HttpConnectionManager, Route } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { forwardRoute, MeshWithWaypoint } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'

let mesh: MeshWithWaypoint

beforeEach(async () => {
  mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

/** The whole way of a request of `curl` to `web`, as a control plane asks for it. */
async function review(path: string, headers: readonly string[], method: string): Promise<readonly Checkpoint[]> {
  const { a, b } = mesh.nodes
  const curl = 'Kubernetes//Pod/default/curl'
  const first = a.ztunnel.review({ at: 'source', uid: curl, host: 'web', port: 80 })
  const { uid, authority, identity, sourceIp } = first.next!
  const named = headers.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string])
  const request = { method, path, authority: 'web', headers: Object.fromEntries(named) }
  const second = await mesh.waypoint.review({ at: 'waypoint', uid, authority, identity, sourceIp, request })
  const checkpoints = [...first.checkpoints, ...second.checkpoints]
  if (!second.next) return checkpoints
  return [...checkpoints, ...b.ztunnel.review({ at: 'destination', ...second.next }).checkpoints]
}

const policy = (
  action: HttpAuthorization['action'],
  part: 'from' | 'to',
  ...matches: HttpAuthorizationMatch[]
): HttpAuthorization => ({
  name: `${action.toLowerCase()}-${part}`,
  namespace: 'default',
  action,
  dryRun: false,
  rules: [{ index: 0, clauses: [{ part, matches }] }],
})
const caller = (account: string): HttpAuthorizationMatch => ({
  principals: [{ exact: `cluster.local/ns/default/sa/${account}` }],
})
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
const direct = (status: number): Route => forwardRoute({ action: { kind: 'direct-response', status } })

const GUARDS: readonly (readonly [string, Partial<HttpConnectionManager>])[] = [
  ['nothing', {}],
  ['an ALLOW of the caller', { authorization: [policy('ALLOW', 'from', caller('curl'))] }],
  ['an ALLOW of somebody else', { authorization: [policy('ALLOW', 'from', caller('nobody'))] }],
  ['an ALLOW of GET', { authorization: [policy('ALLOW', 'to', { methods: [{ exact: 'GET' }] })] }],
  ['a DENY of POST', { authorization: [policy('DENY', 'to', { methods: [{ exact: 'POST' }] })] }],
  ['a DENY of /admin', { authorization: [policy('DENY', 'to', { paths: [{ prefix: '/admin' }] })] }],
  ['a rule for tokens', { jwt: { providers: [provider] } }],
]
const ROUTES: readonly (readonly [string, readonly Route[]])[] = [
  ['a route to the service', [forwardRoute()]],
  ['a route for /only', [forwardRoute({ match: { path: { exact: '/only' } } })]],
  ['a cluster that is not there', [forwardRoute({}, 'missing')]],
  ['a direct response', [direct(418)]],
]
const REQUESTS = [
  ['GET', '/', []],
  ['POST', '/admin/x', []],
  ['GET', '/only', ['authorization: Bearer nonsense']],
] as const

describe.each(GUARDS)('with %s', (_, guard) => {
  describe.each(ROUTES)('and %s', (_name, routes) => {
    it.each(REQUESTS)('says of %s %s what a request then meets', async (method, path, headers) => {
      mesh.routes(routes, guard)
      const checkpoints = await review(path, headers, method)
      const last = checkpoints.at(-1)!
      const said = last.httpStatus ?? (last.verdict === 'denied' ? undefined : 200)
      const { status } = await mesh.get(path, headers, method)
      expect(said, JSON.stringify(last)).toBe(status)
    })
  })
})

describe('a refusal', () => {
  it('comes with the smallest fix, and applying it turns the answer round', async () => {
    mesh.routes([forwardRoute()], { authorization: [policy('ALLOW', 'to', { methods: [{ exact: 'GET' }] })] })
    const refused = (await review('/', [], 'POST')).at(-1)
    expect(refused).toMatchObject({
      point: 'allow',
      httpStatus: 403,
      fix: ['ALLOW default/allow-to, rule 0: add POST to methods'],
      policies: [{ policy: 'default/allow-to', fields: [{ field: 'to.operation.methods', got: 'POST', held: false }] }],
    })
    const fixed = policy('ALLOW', 'to', { methods: [{ exact: 'GET' }, { exact: 'POST' }] })
    mesh.routes([forwardRoute()], { authorization: [fixed] })
    expect(await mesh.get('/', [], 'POST')).toMatchObject({ status: 200 })
  })
})

describe('a CUSTOM policy', () => {
  const custom = (problem?: string): HttpAuthorization => ({
    ...policy('CUSTOM', 'from', caller('curl')),
    provider: { name: 'opa', ...(problem !== undefined && { problem }) },
  })
  const backends = [{ cluster: 'web', weight: 1 }]
  const tcpRoutes = [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends }]
  const guarded = {
    requests: (authorization: HttpAuthorization[]) => mesh.routes([forwardRoute()], { authorization }),
    connections: (authorization: HttpAuthorization[]) => mesh.chain({ tcp: { routes: tcpRoutes, authorization } }),
  }

  it.each(['requests', 'connections'] as const)(
    'about %s says who would be asked, or why nobody can be',
    async (what) => {
      guarded[what]([custom()])
      const asked = (await review('/', [], 'GET')).find(({ point }) => point === 'custom')
      expect(asked).toMatchObject({
        verdict: 'skipped',
        policies: [{ policy: 'default/custom-from', action: 'CUSTOM' }],
      })
      expect(JSON.stringify(asked)).toContain('opa would be asked: what it says is not known before')
      guarded[what]([custom('no extension provider "opa" in the mesh settings')])
      const denied = (await review('/', [], 'GET')).at(-1)
      expect(denied).toMatchObject({ point: 'custom', verdict: 'denied' })
      expect(denied!.httpStatus).toBe(what === 'requests' ? 403 : undefined)
    },
  )
})

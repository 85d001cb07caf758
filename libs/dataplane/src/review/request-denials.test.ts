import {
  ConnectionFacts,
  type HttpAuthorization,
  type HttpAuthorizationMatch,
  HttpPolicies,
  RequestFacts,
  smallestFix,
} from '@ambient-lab/policy'
import { type Random, SeededRandom } from '@ambient-lab/std'
import { ADDRESS_TYPE, type Checkpoint } from '@ambient-lab/xds'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { forwardRoute, MeshWithWaypoint } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { workloadOf } from '../ztunnel/two-nodes.conformance.ts'

const DENIALS = 100
const SEED = 6

let mesh: MeshWithWaypoint

beforeAll(async () => {
  mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
  const shop = workloadOf('shop', 'a', '10.244.1.6')
  mesh.nodes.push(ADDRESS_TYPE, [{ workload: shop }])
  expect(mesh.waypoint.apply(ADDRESS_TYPE, [{ name: shop.uid, resource: { workload: shop } }], [])).toEqual([])
  await mesh.nodes.run(mesh.nodes.a, 'shop', '10.244.1.6', true)
})
afterAll(() => mesh.stop())

interface Asked {
  readonly caller: 'curl' | 'shop'
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const SPOKEN: readonly Omit<Asked, 'caller'>[] = [
  { method: 'GET', path: '/', headers: {} },
  { method: 'GET', path: '/admin/x?y=1', headers: { 'x-user': 'a' } },
  { method: 'POST', path: '/cart', headers: { 'x-user': 'b' } },
  { method: 'DELETE', path: '/cart', headers: {} },
]
const REQUESTS: readonly Asked[] = (['curl', 'shop'] as const).flatMap((caller) =>
  SPOKEN.map((request) => ({ caller, ...request })),
)
const ADDRESSES = { curl: '10.244.1.4', shop: '10.244.1.6' } as const

/** Few words, so that policies and requests meet. */
function randomMatch(random: Random): readonly ['from' | 'to' | 'when', HttpAuthorizationMatch] {
  const account = random.pick(['curl', 'shop', 'nobody'])
  return random.pick<readonly ['from' | 'to' | 'when', HttpAuthorizationMatch]>([
    ['from', { principals: [{ exact: `cluster.local/ns/default/sa/${account}` }] }],
    ['from', { notPrincipals: [{ suffix: `/${account}` }] }],
    ['from', { namespaces: [{ exact: random.pick(['default', 'other']) }] }],
    ['from', { sourceIps: [random.pick(['10.244.1.4/32', '10.244.0.0/16', '192.168.0.0/16'])] }],
    ['from', { requestPrincipals: [{ issuer: { exact: 'somebody' }, subject: { presence: true } }] }],
    ['to', { methods: [{ exact: random.pick(['GET', 'POST', 'PUT']) }] }],
    ['to', { notMethods: [{ exact: random.pick(['GET', 'DELETE']) }] }],
    ['to', { paths: [random.pick([{ exact: '/' }, { prefix: '/admin' }, { suffix: 'cart' }, { template: '/{*}' }])] }],
    [
      'to',
      { notPaths: [{ prefix: random.pick(['/admin', '/c']) }], methods: [{ exact: random.pick(['GET', 'POST']) }] },
    ],
    ['to', { hosts: [{ exact: random.pick(['web', 'other']) }] }],
    ['when', { headers: [{ name: 'x-user', value: { exact: random.pick(['a', 'c']) } }] }],
    ['when', { notHeaders: [{ name: 'x-user', value: { presence: true } }] }],
  ])
}

function randomPolicy(random: Random, index: number): HttpAuthorization {
  const some = <T>(most: number, make: (index: number) => T) =>
    Array.from({ length: random.integer(most + 1) }, (_, at) => make(at))
  const clause = () => {
    const [part, match] = randomMatch(random)
    return { part, matches: [match] }
  }
  return {
    ...{ name: `p${index}`, namespace: 'default', dryRun: random.integer(8) === 0 },
    action: random.pick(['ALLOW', 'ALLOW', 'DENY']),
    rules: some(2, (at) => ({ index: at, clauses: some(2, clause) })),
  }
}

function enforce(authorization: readonly HttpAuthorization[]): void {
  mesh.routes([forwardRoute()], { authorization })
}

async function passing(): Promise<ReadonlySet<Asked>> {
  const passed = new Set<Asked>()
  for (const asked of REQUESTS) {
    const lines = Object.entries(asked.headers).map(([name, value]) => `${name}: ${value}`)
    const { status } = await mesh.get(asked.path, lines, asked.method, asked.caller)
    expect([200, 403]).toContain(status)
    if (status === 200) passed.add(asked)
  }
  return passed
}

/** What the waypoint says of it. */
async function review({ caller, ...request }: Asked): Promise<Checkpoint> {
  const uid = `Kubernetes//Pod/default/${caller}`
  const { next } = mesh.nodes.a.ztunnel.review({ at: 'source', uid, host: 'web', port: 80 })
  const { uid: waypoint, authority, identity, sourceIp } = next!
  const query = { at: 'waypoint', uid: waypoint, authority, identity, sourceIp } as const
  const answer = await mesh.waypoint.review({ ...query, request: { ...request, authority: 'web' } })
  return answer.checkpoints.at(-1)!
}

function factsOf({ caller, method, path, headers }: Asked): RequestFacts {
  const connection = new ConnectionFacts({
    ...{ sourceIp: ADDRESSES[caller], destinationIp: '10.96.0.20', destinationPort: 80 },
    identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: caller },
  })
  return new RequestFacts(connection, { method, path, authority: 'web', header: (name) => headers[name] })
}

function applyFix(asked: Asked, policies: readonly HttpAuthorization[], fix: readonly string[]): void {
  const { changes } = smallestFix(factsOf(asked), new HttpPolicies(policies), { namespace: 'default' })
  expect(changes.map(({ text }) => text)).toEqual(fix)
  const fixed = changes.reduce<readonly HttpAuthorization[]>(
    (some, { before, after }) =>
      before ? some.map((policy) => (policy.name === before.name ? after : policy)) : some.concat(after),
    policies,
  )
  enforce(fixed)
}

/** Who and what, as the review words it. */
function wordsOf({ caller, method, path }: Asked): string {
  return `spiffe://cluster.local/ns/default/sa/${caller} ${method} ${path.split('?')[0]} to web.default:80 would be allowed`
}

it(`names a cause and a fix for each of ${DENIALS} refused requests, and says what else the fix lets in`, async () => {
  const random = new SeededRandom(SEED)
  const seen = { denials: 0, others: 0 }
  while (seen.denials < DENIALS) {
    const policies = Array.from({ length: 1 + random.integer(3) }, (_, index) => randomPolicy(random, index))
    enforce(policies)
    const before = await passing()
    for (const denied of REQUESTS.filter((asked) => !before.has(asked))) {
      const { verdict, httpStatus, reason, fix = [], also = [], policies: shown = [] } = await review(denied)
      const context = JSON.stringify({ policies, denied, reason, fix, also })
      expect({ verdict, httpStatus }, context).toEqual({ verdict: 'denied', httpStatus: 403 })
      expect(shown.length, context).toBeGreaterThan(0)
      applyFix(denied, policies, fix)
      const after = await passing()
      expect(after.has(denied), context).toBe(true)
      for (const asked of before)
        expect(after.has(asked), `${JSON.stringify(asked)} passes still: ${context}`).toBe(true)
      const others = [...after].filter((asked) => !before.has(asked) && asked !== denied)
      for (const other of others) expect(also.join('\n'), context).toContain(wordsOf(other))
      seen.denials += 1
      seen.others += others.length
      enforce(policies)
    }
  }
  expect(seen.others, 'some fixes let others in, or the test would show nothing').toBeGreaterThan(0)
})

import {
  type Authorization,
  type AuthorizationMatch,
  CONVERTED_PREFIX,
  ConnectionFacts,
  STATIC_STRICT_NAME,
  smallestConnectionFix,
} from '@ambient-lab/policy'
import { type Random, SeededRandom } from '@ambient-lab/std'
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type Checkpoint, type Workload } from '@ambient-lab/xds'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { fixedResources } from './connection-fix.ts'

const DENIALS = 100
const SEED = 5

let mesh: TwoNodes
/** Captured callers besides `curl`, and one besides `bare` that speaks plaintext. */
const CAPTURED = ['web', 'cart'] as const
const CALLERS = ['curl', 'bare', ...CAPTURED, 'old'] as const

beforeAll(async () => {
  mesh = new TwoNodes(memoryGround())
  await mesh.start()
  for (const [index, name] of [...CAPTURED, 'old'].entries()) {
    const address = `10.244.1.${20 + index}`
    const isCaptured = name !== 'old'
    mesh.push(ADDRESS_TYPE, [
      { workload: workloadOf(name, 'a', address, { tunnelProtocol: isCaptured ? 'HBONE' : 'NONE' }) },
    ])
    await mesh.run(mesh.a, name, address, isCaptured)
  }
})
afterAll(() => mesh.stop())

/** Few words, so that policies and callers meet. */
function randomMatch(random: Random): AuthorizationMatch {
  const account = random.pick(['curl', 'web', 'cart', 'nobody'])
  return random.pick<AuthorizationMatch>([
    { principals: [{ exact: `cluster.local/ns/default/sa/${account}` }] },
    { principals: [{ suffix: `/${account}` }] },
    { notPrincipals: [{ exact: `cluster.local/ns/default/sa/${account}` }] },
    { serviceAccounts: [{ namespace: 'default', serviceAccount: account }] },
    { namespaces: [{ exact: random.pick(['default', 'other']) }] },
    { destinationPorts: [random.pick([80, 8080, 9000])] },
    { notDestinationPorts: [random.pick([80, 8080])] },
    { sourceIps: [random.pick(['10.244.1.0/28', '10.244.1.4/32', '192.168.0.0/16'])] },
    { notSourceIps: [random.pick(['10.244.1.0/28', '10.244.1.20/32'])] },
    {},
  ])
}

function randomPolicy(random: Random, index: number): Authorization {
  const some = <T>(most: number, make: () => T) => Array.from({ length: random.integer(most + 1) }, make)
  return {
    ...{ name: `p${index}`, namespace: 'default', dryRun: false },
    scope: random.pick(['NAMESPACE', 'WORKLOAD_SELECTOR']),
    action: random.pick(['ALLOW', 'ALLOW', 'DENY']),
    rules: some(2, () => ({
      clauses: some(2, () => ({ matches: [randomMatch(random), ...some(1, () => randomMatch(random))] })),
    })),
  }
}

const STRICT: Authorization = {
  ...{ name: STATIC_STRICT_NAME, namespace: 'istio-system', scope: 'WORKLOAD_SELECTOR', action: 'DENY', dryRun: false },
  rules: [{ clauses: [{ matches: [{ notPrincipals: [{ presence: true }] }] }] }],
}

function randomPolicies(random: Random): readonly Authorization[] {
  const own = Array.from({ length: 1 + random.integer(3) }, (_, index) => randomPolicy(random, index))
  const strict = random.pick([[], [], [STRICT], [{ ...STRICT, namespace: 'default', name: `${CONVERTED_PREFIX}own` }]])
  return [...own, ...strict]
}

const keyOf = ({ namespace, name }: Authorization) => `${namespace}/${name}`

/** Exactly these are in force, and those with a selector are attached to `echo`. */
function enforce(policies: readonly Authorization[]): void {
  const attached = policies.filter(({ scope }) => scope === 'WORKLOAD_SELECTOR').map(keyOf)
  const echo = workloadOf('echo', 'b', '10.244.2.5', {
    authorizationPolicies: attached,
    services: { 'default/echo.default.svc.cluster.local': [] },
  })
  const { state } = mesh.b.ztunnel
  const gone = [...state.current.policies.values()].map(({ key }) => key)
  expect(
    state.apply(
      AUTHORIZATION_TYPE,
      policies.map((policy) => ({ name: keyOf(policy), resource: policy })),
      gone,
    ),
  ).toEqual([])
  expect(state.apply(ADDRESS_TYPE, [{ name: echo.uid, resource: { workload: echo } }], [])).toEqual([])
}

async function arrives(caller: string): Promise<boolean> {
  const { program } = await mesh.dial(caller, 'echo', 80, 'hello')
  await mesh.ground.until(() => program.text === 'HELLO' || program.closed || program.ended)
  const arrived = program.text === 'HELLO'
  program.stream.end()
  await mesh.ground.until(() => program.closed)
  return arrived
}

/** The last checkpoint of the whole way. */
function review(caller: string): Checkpoint {
  const first = mesh.a.ztunnel.review({ at: 'source', uid: uidOf(caller), host: 'echo', port: 80 })
  const { uid, protocol, authority, identity, sourceIp } = first.next!
  return mesh.b.ztunnel.review({ at: 'destination', uid, protocol, authority, identity, sourceIp }).checkpoints.at(-1)!
}

const uidOf = (caller: string) => `Kubernetes//Pod/default/${caller}`

/** What the destination's policy is asked about a caller. */
function factsOf(caller: string): ConnectionFacts {
  const { serviceAccount, namespace, trustDomain, addresses, tunnelProtocol } = mesh.b.ztunnel.state.current.workload(
    uidOf(caller),
  )!
  return new ConnectionFacts({
    ...{ sourceIp: addresses[0]!, destinationIp: '10.244.2.5', destinationPort: 8080 },
    identity: tunnelProtocol === 'HBONE' ? { trustDomain, namespace, serviceAccount } : undefined,
  })
}

async function allowedCallers(): Promise<ReadonlySet<string>> {
  const allowed = new Set<string>()
  for (const caller of CALLERS) if (await arrives(caller)) allowed.add(caller)
  return allowed
}

/** Applies what the review proposes, and nothing else; answers whom it lets in. */
async function applyFix(caller: string, fix: readonly string[]): Promise<ReadonlySet<string>> {
  const { state } = mesh.b.ztunnel
  const echo: Workload = state.current.workload(uidOf('echo'))!
  const { changes } = smallestConnectionFix(factsOf(caller), state.current.policies.applicableTo(echo), echo)
  expect(changes.map(({ text }) => text)).toEqual(fix)
  for (const { typeUrl, upserts, removed } of fixedResources(changes, echo)) {
    expect(state.apply(typeUrl, upserts, removed)).toEqual([])
  }
  return allowedCallers()
}

/** How people tell the caller from others. */
function namedIn(caller: string, words: string): boolean {
  const { principal } = factsOf(caller)
  return words.includes(principal === undefined ? 'plaintext' : principal)
}

it(`names a cause and a fix for each of ${DENIALS} refused connections, and says whom else the fix lets in`, async () => {
  const random = new SeededRandom(SEED)
  const seen = { denials: 0, others: 0 }
  while (seen.denials < DENIALS) {
    const policies = randomPolicies(random)
    enforce(policies)
    const before = await allowedCallers()
    for (const denied of CALLERS.filter((caller) => !before.has(caller))) {
      const { verdict, reason, responseFlags, fix = [], also = [], policies: shown = [] } = review(denied)
      const context = JSON.stringify({ policies, denied, reason, fix, also })
      expect({ verdict, responseFlags }, context).toEqual({ verdict: 'denied', responseFlags: 'DENY' })
      expect(shown.length, context).toBeGreaterThan(0)
      const after = await applyFix(denied, fix)
      expect(after.has(denied), context).toBe(true)
      for (const caller of before) expect(after.has(caller), `${caller} is still let in: ${context}`).toBe(true)
      const others = [...after].filter((caller) => !before.has(caller) && caller !== denied)
      for (const other of others)
        expect(namedIn(other, [...fix, ...also].join('\n')), `${other}: ${context}`).toBe(true)
      seen.denials += 1
      seen.others += others.length
      enforce(policies)
    }
  }
  expect(seen.others, 'some fixes let others in, or the test would show nothing').toBeGreaterThan(0)
})

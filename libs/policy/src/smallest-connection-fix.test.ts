import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Authorization, AuthorizationClause } from './authorization.ts'
import { ConnectionFacts } from './connection-facts.ts'
import { evaluate } from './evaluate.ts'
import type { PolicyChange } from './policy-fix.ts'
import { type ApplicablePolicies, PolicySet } from './policy-set.ts'
import { CONVERTED_PREFIX, STATIC_STRICT_NAME, smallestConnectionFix } from './smallest-connection-fix.ts'
import { connectionPolicies, requests } from './test-kit/arbitraries.ts'

const WORKLOAD = { name: 'echo', namespace: 'ns' }
const connection = {
  sourceIp: '10.244.0.4',
  destinationIp: '10.244.2.5',
  destinationPort: 8080,
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
}
const facts = new ConnectionFacts(connection)
const plaintext = new ConnectionFacts({ ...connection, identity: undefined })

function policy(action: 'ALLOW' | 'DENY', name: string, ...clauses: AuthorizationClause[]): Authorization {
  return { name, namespace: 'ns', scope: 'NAMESPACE', action, dryRun: false, rules: [{ clauses }] }
}

const from = (...accounts: string[]): AuthorizationClause => ({
  matches: [{ principals: accounts.map((account) => ({ exact: `cluster.local/ns/default/sa/${account}` })) }],
})
const to = (...destinationPorts: number[]): AuthorizationClause => ({ matches: [{ destinationPorts }] })
const strict: Authorization = {
  ...policy('DENY', STATIC_STRICT_NAME, { matches: [{ notPrincipals: [{ presence: true }] }] }),
  ...{ namespace: 'istio-system', scope: 'WORKLOAD_SELECTOR' },
}

/** As the workload would meet them: those that a selector attaches are attached. */
function applicable(sources: readonly Authorization[]): ApplicablePolicies {
  const set = PolicySet.empty.with(sources, [], (_, error) => {
    throw error
  })
  const attached = sources.filter(({ scope }) => scope === 'WORKLOAD_SELECTOR')
  const authorizationPolicies = attached.map(({ namespace, name }) => `${namespace}/${name}`)
  return set.applicableTo({ namespace: 'ns', authorizationPolicies })
}

function fixOf(asked: ConnectionFacts, ...sources: Authorization[]): readonly string[] {
  return smallestConnectionFix(asked, applicable(sources), WORKLOAD).changes.map(({ text }) => text)
}

describe('smallestConnectionFix', () => {
  it('adds the one value that is missing, in the words of the YAML', () => {
    expect(fixOf(facts, policy('ALLOW', 'a', from('web')))).toEqual([
      'ALLOW ns/a, rule 0: add cluster.local/ns/default/sa/curl to principals',
    ])
    expect(fixOf(facts, policy('ALLOW', 'a', from('curl'), to(80)))).toEqual(['ALLOW ns/a, rule 0: add 8080 to ports'])
  })

  it('makes a new policy for this workload alone when an edit would not be smaller', () => {
    const text = 'new ALLOW ns/allow-curl-to-echo-8080 for echo: port 8080 from cluster.local/ns/default/sa/curl'
    expect(fixOf(facts, policy('ALLOW', 'a', from('web'), to(80)))).toEqual([text])
    const { changes } = smallestConnectionFix(facts, applicable([policy('ALLOW', 'a', { matches: [{}] })]), WORKLOAD)
    expect(changes).toMatchObject([{ text, after: { scope: 'WORKLOAD_SELECTOR' } }])
  })

  it('denies what is allowed by one for this workload', () => {
    expect(fixOf(facts)).toEqual([
      'new DENY ns/deny-curl-to-echo-8080 for echo: port 8080 from cluster.local/ns/default/sa/curl',
    ])
  })

  it('lets the caller out of each DENY that matches, and sees to an ALLOW besides', () => {
    expect(fixOf(facts, policy('DENY', 'd', to(8080)), policy('ALLOW', 'a', from('web')))).toEqual([
      'DENY ns/d, rule 0: except source.principal cluster.local/ns/default/sa/curl',
      'ALLOW ns/a, rule 0: add cluster.local/ns/default/sa/curl to principals',
    ])
    expect(fixOf(plaintext, policy('DENY', 'd', to(8080)))).toEqual(['DENY ns/d, rule 0: except source.ip 10.244.0.4'])
  })

  it('knows that a policy made of a PeerAuthentication is edited there, and for everybody', () => {
    expect(fixOf(plaintext, strict)).toEqual([
      'new PeerAuthentication ns/echo-8080 for echo: port 8080 PERMISSIVE, for everybody who speaks plaintext',
    ])
    const own = { ...strict, namespace: 'ns', name: `${CONVERTED_PREFIX}mine` }
    expect(fixOf(plaintext, own)).toEqual([
      'PeerAuthentication ns/mine: port 8080 PERMISSIVE, for everybody who speaks plaintext',
    ])
  })

  it('turns the verdict round whatever the policies are, and nothing less of it does', () => {
    fc.assert(
      fc.property(connectionPolicies, requests, (sources, { connection: asked }) => {
        const before = evaluate(asked, applicable(sources)).allowed
        const { changes } = smallestConnectionFix(asked, applicable(sources), WORKLOAD)
        const after = (skipped: number) =>
          evaluate(asked, applicable(changes.filter((_, index) => index !== skipped).reduce(applyChange, sources)))
            .allowed
        expect(changes.length).toBeGreaterThan(0)
        expect(after(-1)).toBe(!before)
        for (const skipped of changes.keys()) expect(after(skipped)).toBe(before)
      }),
      { numRuns: 1000, seed: 7 },
    )
  })
})

function applyChange(
  sources: readonly Authorization[],
  { before, after }: PolicyChange<Authorization>,
): readonly Authorization[] {
  return [...sources.filter((source) => source !== before), after]
}

import { type Random, SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import type { Authorization, AuthorizationMatch, StringMatch } from './authorization.ts'
import { compilePolicy } from './compiled-policy.ts'
import { ConnectionFacts } from './connection-facts.ts'
import { evaluate } from './evaluate.ts'
import { PolicySet } from './policy-set.ts'
import { RuleIndex } from './rule-index.ts'

const NAMES = ['a', 'b', 'c', 'd']
/** Shows every policy, which is the linear scan. */
const SCAN = {}

function setOf(policies: readonly Authorization[]): PolicySet {
  return PolicySet.empty.with(policies, [], (_policy, error) => {
    throw error
  })
}

function factsOf(namespace: string, serviceAccount: string, port = 80): ConnectionFacts {
  const identity = { trustDomain: 'cluster.local', namespace, serviceAccount }
  return new ConnectionFacts({ sourceIp: '10.0.0.1', destinationIp: '10.0.0.2', destinationPort: port, identity })
}

function many<T>(random: Random, most: number, make: () => T): T[] {
  return Array.from({ length: random.integer(most + 1) }, make)
}

function anyPrincipal(random: Random): StringMatch {
  const principal = `cluster.local/ns/${random.pick(NAMES)}/sa/${random.pick(NAMES)}`
  const others: StringMatch[] = [{ presence: true }, { prefix: 'cluster.local/ns/a/' }, { suffix: `/sa/b` }]
  return random.integer(4) === 0 ? random.pick(others) : { exact: principal }
}

function anyMatch(random: Random): AuthorizationMatch {
  const name = () => random.pick(NAMES)
  const fields: (() => AuthorizationMatch)[] = [
    () => ({ principals: many(random, 2, () => anyPrincipal(random)) }),
    () => ({ notPrincipals: many(random, 1, () => anyPrincipal(random)) }),
    () => ({ serviceAccounts: many(random, 2, () => ({ namespace: name(), serviceAccount: name() })) }),
    () => ({ namespaces: many(random, 2, () => (random.integer(4) ? { exact: name() } : { prefix: 'a' })) }),
    () => ({ notNamespaces: [{ exact: name() }] }),
    () => ({ destinationPorts: [random.pick([80, 81])] }),
  ]
  return Object.assign({}, ...many(random, 2, () => random.pick(fields)())) as AuthorizationMatch
}

function anyPolicy(random: Random, index: number): Authorization {
  const clause = () => ({ matches: many(random, 2, () => anyMatch(random)) })
  return {
    name: `p${index}`,
    namespace: 'default',
    scope: 'GLOBAL',
    action: random.integer(4) === 0 ? 'DENY' : 'ALLOW',
    dryRun: random.integer(6) === 0,
    rules: many(random, 3, () => ({ clauses: many(random, 2, clause) })),
  }
}

describe('RuleIndex', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('changes no verdict and no author of one, seed %i', (seed) => {
    const random = new SeededRandom(seed)
    for (let round = 0; round < 60; round += 1) {
      const policies = Array.from({ length: random.integer(12) }, (_, index) => anyPolicy(random, index))
      const applicable = setOf(policies).applicableTo({ namespace: 'default', authorizationPolicies: [] })
      for (const namespace of NAMES) {
        for (const account of NAMES) {
          const facts = factsOf(namespace, account, random.pick([80, 81]))
          expect(evaluate(facts, applicable), JSON.stringify(policies)).toEqual(evaluate(facts, applicable, SCAN))
        }
      }
      const plaintext = new ConnectionFacts({ ...factsOf('a', 'a').init, identity: undefined })
      expect(evaluate(plaintext, applicable)).toEqual(evaluate(plaintext, applicable, SCAN))
    }
  })

  it('asks a caller its own policies only, in their order', () => {
    const exact = (account: string): AuthorizationMatch => ({
      principals: [{ exact: `cluster.local/ns/default/sa/${account}` }],
    })
    const allow = (name: string, ...matches: AuthorizationMatch[]): Authorization => ({
      name,
      namespace: 'default',
      scope: 'NAMESPACE',
      action: 'ALLOW',
      dryRun: false,
      rules: matches.map((match) => ({ clauses: [{ matches: [match] }] })),
    })
    const policies = [
      allow('curl', exact('curl')),
      allow('either', exact('web'), exact('curl')),
      allow('port', { destinationPorts: [80] }),
      allow('web', exact('web')),
      allow('nobody'),
      allow('namespace', { namespaces: [{ exact: 'default' }] }),
    ]
    const index = new RuleIndex(policies.map((policy) => compilePolicy(policy)))
    const askedOf = (facts: ConnectionFacts) => index.candidates(facts).map(({ policy }) => policy.source.name)
    expect(askedOf(factsOf('default', 'curl'))).toEqual(['curl', 'either', 'port', 'namespace'])
    expect(askedOf(factsOf('other', 'curl'))).toEqual(['port'])
  })
})

import { describe, expect, it } from 'vitest'
import { ConnectionFacts } from './connection-facts.ts'
import { evaluateCustom, evaluateDryRuns, evaluateRequest, isAudited } from './evaluate-request.ts'
import { explainRequest, formatStep } from './explain.ts'
import type { HttpAuthorization, HttpAuthorizationMatch } from './http-authorization.ts'
import { HttpPolicies, type HttpPoliciesInit } from './http-policies.ts'
import { RequestFacts } from './request-facts.ts'

const connection = new ConnectionFacts({
  sourceIp: '10.244.0.4',
  destinationIp: '10.96.0.5',
  destinationPort: 9080,
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
})
const facts = new RequestFacts(connection, {
  method: 'GET',
  authority: 'reviews',
  path: '/reviews/1',
  header: () => undefined,
})

const IS_GET: HttpAuthorizationMatch = { methods: [{ exact: 'GET' }] }
const IS_POST: HttpAuthorizationMatch = { methods: [{ exact: 'POST' }] }

function policy(
  action: HttpAuthorization['action'],
  name: string,
  matches: readonly HttpAuthorizationMatch[],
  more: Partial<HttpAuthorization> = {},
): HttpAuthorization {
  const rules = matches.map((match, index) => ({ index, clauses: [{ part: 'to' as const, matches: [match] }] }))
  return { name, namespace: 'foo', action, dryRun: false, rules, ...more }
}

const custom = (name: string, provider: string, problem?: string) =>
  policy('CUSTOM', name, [IS_GET], {
    provider: problem === undefined ? { name: provider } : { name: provider, problem },
  })

function decide(...sources: readonly HttpAuthorization[]) {
  return evaluateRequest(facts, new HttpPolicies(sources))
}

function denied(id: string, key?: string) {
  return { allowed: false, policy: key, details: `rbac_access_denied_matched_policy[${id}]` }
}

describe('evaluateRequest', () => {
  it('allows without policies, and under an ALLOW that matches, by name', () => {
    expect(decide()).toEqual({ allowed: true, policy: undefined })
    expect(decide(policy('ALLOW', 'get', [IS_GET]))).toEqual({ allowed: true, policy: 'foo/get' })
  })

  it('denies what no ALLOW matches', () => {
    expect(decide(policy('ALLOW', 'post', [IS_POST]))).toEqual(denied('none'))
    expect(decide(policy('ALLOW', 'nothing', []))).toEqual(denied('none'))
  })

  it('lets DENY win, and names the rule as Envoy does', () => {
    const verdict = decide(policy('ALLOW', 'get', [IS_GET]), policy('DENY', 'bar', [IS_POST, IS_GET]))
    expect(verdict).toEqual(denied('ns[foo]-policy[bar]-rule[1]', 'foo/bar'))
  })

  it('names the first by its text: a longer name with a dash, the tenth rule before the second', () => {
    const both = decide(policy('DENY', 'a', [IS_GET]), policy('DENY', 'a-b', [IS_GET]))
    expect(both).toEqual(denied('ns[foo]-policy[a-b]-rule[0]', 'foo/a-b'))
    const rules = Array.from({ length: 11 }, (_, index) => (index < 2 ? IS_POST : IS_GET))
    expect(decide(policy('DENY', 'many', rules))).toEqual(denied('ns[foo]-policy[many]-rule[10]', 'foo/many'))
  })

  it('matches everything by a rule without clauses, and nothing without rules', () => {
    const everything = policy('DENY', 'all', [], { rules: [{ index: 0, clauses: [] }] })
    expect(decide(everything).allowed).toBe(false)
    expect(decide(policy('DENY', 'none', [])).allowed).toBe(true)
  })

  it('answers the same value each time, so that a decision makes none', () => {
    const policies = new HttpPolicies([policy('DENY', 'bar', [IS_GET])])
    expect(evaluateRequest(facts, policies)).toBe(evaluateRequest(facts, policies))
  })

  it('tells AUDIT, and decides nothing by it', () => {
    const policies = new HttpPolicies([policy('AUDIT', 'a', [IS_GET])])
    expect(isAudited(facts, policies)).toBe(true)
    expect(evaluateRequest(facts, policies).allowed).toBe(true)
    expect(isAudited(facts, new HttpPolicies([policy('AUDIT', 'a', [IS_POST])]))).toBe(false)
  })
})

describe('HttpPolicies', () => {
  it.each<[string, object]>([
    ['is not known', { action: 'LOG' }],
    ['no place of its own', { rules: [{ index: -1, clauses: [] }] }],
    ['no place of its own', { rules: [0, 0].map((index) => ({ index, clauses: [] })) }],
    ['no part of a rule', { rules: [{ index: 0, clauses: [{ part: 'whence', matches: [] }] }] }],
    ['provider has no name', { provider: {} }],
  ])('refuses what %s', (reason, broken) => {
    expect(() => new HttpPolicies([{ ...policy('DENY', 'd', []), ...broken } as HttpAuthorization])).toThrow(reason)
  })
})

describe('policies in dry run', () => {
  const dry = { dryRun: true }

  it('never decide, and tell what they would have', () => {
    const sources = [policy('ALLOW', 'a', [IS_POST], dry), policy('DENY', 'd', [IS_POST, IS_GET], dry)]
    expect(decide(...sources).allowed).toBe(true)
    expect(evaluateDryRuns(facts, new HttpPolicies(sources))).toEqual({
      allow: { result: 'denied', policy: undefined },
      deny: { result: 'denied', policy: 'ns[foo]-policy[d]-rule[1]' },
    })
  })

  it('say nothing of an action that none of them has', () => {
    const allow = evaluateDryRuns(facts, new HttpPolicies([policy('ALLOW', 'a', [IS_GET], dry)]))
    expect(allow).toEqual({ allow: { result: 'allowed', policy: 'ns[foo]-policy[a]-rule[0]' }, deny: undefined })
    expect(evaluateDryRuns(facts, new HttpPolicies([policy('ALLOW', 'a', [IS_GET])]))).toBeUndefined()
  })
})

describe('evaluateCustom', () => {
  const ask = (sources: readonly HttpAuthorization[], init?: HttpPoliciesInit) =>
    evaluateCustom(facts, new HttpPolicies(sources, init))

  it('asks the provider of a policy that matches', () => {
    const rule = 'istio-ext-authz-oauth-ns[foo]-policy[c]-rule[0]'
    expect(ask([custom('c', 'oauth')])).toEqual({ ask: ['oauth'], rule })
    expect(ask([policy('CUSTOM', 'c', [IS_POST], { provider: { name: 'oauth' } })])).toBeUndefined()
    expect(ask([policy('ALLOW', 'get', [IS_GET])])).toBeUndefined()
  })

  it('denies what a policy matches whose provider cannot be asked', () => {
    expect(ask([custom('c', 'gone', 'no such provider')])).toEqual(
      denied('istio-ext-authz-gone-ns[foo]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action', 'foo/c'),
    )
  })

  it('takes several providers for a mistake, unless the mesh allows them', () => {
    const two = [custom('c', 'one'), custom('d', 'two')]
    expect(ask(two)).toMatchObject({ allowed: false })
    expect(ask(two, { multipleProviders: true })).toMatchObject({ ask: ['one', 'two'] })
  })
})

describe('explainRequest', () => {
  it('tells every question, its place, what was wanted and what it got', () => {
    const rules = [
      {
        index: 0,
        clauses: [
          { part: 'to' as const, matches: [IS_POST, IS_GET] },
          { part: 'when' as const, matches: [{ headers: [{ name: 'x-a', value: { prefix: '1' } }] }] },
        ],
      },
      ...(['from', 'when'] as const).map((part, index) => ({
        index: index + 1,
        clauses: [{ part, matches: [{ notSourceIps: ['10.0.0.0/8'] }] }],
      })),
    ]
    const { verdict, policies } = explainRequest(facts, new HttpPolicies([policy('ALLOW', 'a', [], { rules })]))
    expect(verdict).toEqual(denied('none'))
    expect(policies).toMatchObject([{ policy: 'foo/a', action: 'ALLOW', matched: false, rule: undefined }])
    expect(policies[0]?.steps.map(formatStep)).toEqual([
      'rule 0, to: methods POST: no, it is GET',
      'rule 0, to: methods GET: yes, it is GET',
      'rule 0, when: request.headers x-a: 1*: no, it is x-a: (absent)',
      'rule 1, from: notIpBlocks 10.0.0.0/8: no, it is 10.244.0.4',
      'rule 2, when: not source.ip 10.0.0.0/8: no, it is 10.244.0.4',
    ])
  })

  it('goes on to what follows a denial', () => {
    const sources = [
      custom('c', 'gone', 'no such provider'),
      policy('AUDIT', 'au', [IS_GET]),
      policy('DENY', 'd', [IS_GET]),
    ]
    const { custom: question, audited, verdict, policies } = explainRequest(facts, new HttpPolicies(sources))
    expect([question && 'details' in question, audited, verdict.allowed]).toEqual([true, true, false])
    expect(policies.map(({ policy: key, rule }) => [key, rule])).toEqual([
      ['foo/c', 0],
      ['foo/au', 0],
      ['foo/d', 0],
    ])
  })
})

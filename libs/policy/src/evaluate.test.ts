import { CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import type { Authorization, AuthorizationMatch } from './authorization.ts'
import { compilePolicy } from './compiled-policy.ts'
import { ConnectionFacts } from './connection-facts.ts'
import { evaluate } from './evaluate.ts'
import { explain, formatSteps } from './explain.ts'
import { PolicySet } from './policy-set.ts'

function policy(name: string, overrides: Partial<Authorization> = {}, ...matches: AuthorizationMatch[]): Authorization {
  return {
    name,
    namespace: 'default',
    scope: 'NAMESPACE',
    action: 'ALLOW',
    dryRun: false,
    rules: matches.map((match) => ({ clauses: [{ matches: [match] }] })),
    ...overrides,
  }
}

function setOf(...policies: Authorization[]): PolicySet {
  return PolicySet.empty.with(policies, [], (_policy, error) => {
    throw error
  })
}

const curl = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' }

function facts(overrides: Partial<ConnectionFacts['init']> = {}): ConnectionFacts {
  return new ConnectionFacts({
    sourceIp: '10.244.0.4',
    destinationIp: '10.244.1.5',
    destinationPort: 9080,
    identity: curl,
    ...overrides,
  })
}

const reviews = { namespace: 'default', authorizationPolicies: [] }
const fromCurl: AuthorizationMatch = { principals: [{ exact: 'cluster.local/ns/default/sa/curl' }] }

describe('evaluate', () => {
  it('allows when no policy applies', () => {
    expect(evaluate(facts(), setOf().applicableTo(reviews))).toEqual({ allowed: true, policy: undefined })
  })

  it('denies everything under an ALLOW policy without rules', () => {
    const verdict = evaluate(facts(), setOf(policy('allow-nothing')).applicableTo(reviews))
    expect(verdict).toEqual({
      allowed: false,
      policy: undefined,
      reason: 'allow policies exist, but none allowed',
    })
  })

  it('lets DENY win over ALLOW and names it', () => {
    const set = setOf(policy('allow-curl', {}, fromCurl), policy('deny-curl', { action: 'DENY' }, fromCurl))
    expect(evaluate(facts(), set.applicableTo(reviews))).toMatchObject({
      allowed: false,
      reason: 'explicitly denied by: default/deny-curl',
    })
  })

  it('treats a DENY whose only match lost its fields as no policy at all', () => {
    const set = setOf(policy('l7-only', { action: 'DENY' }, {}))
    expect(evaluate(facts(), set.applicableTo(reviews)).allowed).toBe(true)
  })

  it('never lets a dry run decide, in either direction', () => {
    const everything = { rules: [{ clauses: [] }] }
    const set = setOf(
      policy('deny-all', { action: 'DENY', dryRun: true, ...everything }),
      policy('allow-none', { dryRun: true }),
    )
    expect(evaluate(facts(), set.applicableTo(reviews)).allowed).toBe(true)
  })

  it('tells which dry run would have denied', () => {
    const dryRun = policy('dry', { action: 'DENY', dryRun: true }, fromCurl)
    const { deny } = setOf(dryRun, policy('real', { action: 'DENY' }, fromCurl)).applicableTo(reviews)
    expect(deny.dryRunMatch(facts())?.policy.key).toBe('default/dry')
    expect(deny.dryRunMatch(facts({ identity: undefined }))).toBeUndefined()
  })

  it('denies plaintext under STRICT, and only there', () => {
    const strict = policy(
      'istio_converted_static_strict',
      { namespace: 'istio-system', scope: 'WORKLOAD_SELECTOR', action: 'DENY' },
      { notPrincipals: [{ presence: true }] },
    )
    const subject = { namespace: 'default', authorizationPolicies: ['istio-system/istio_converted_static_strict'] }
    const applicable = setOf(strict).applicableTo(subject)
    expect(evaluate(facts(), applicable).allowed).toBe(true)
    expect(evaluate(facts({ identity: undefined }), applicable)).toMatchObject({
      reason: 'explicitly denied by: istio-system/istio_converted_static_strict',
    })
  })
})

describe('PolicySet', () => {
  it('applies global, namespace and attached policies, and no others', () => {
    const set = setOf(
      policy('mesh', { namespace: 'istio-system', scope: 'GLOBAL' }),
      policy('here'),
      policy('elsewhere', { namespace: 'other' }),
      policy('attached', { scope: 'WORKLOAD_SELECTOR' }),
      policy('not-attached', { scope: 'WORKLOAD_SELECTOR' }),
    )
    const applicable = set.applicableTo({ namespace: 'default', authorizationPolicies: ['default/attached', 'x/gone'] })
    expect(applicable.allow.policies.map((compiled) => compiled.key)).toEqual([
      'istio-system/mesh',
      'default/here',
      'default/attached',
    ])
    expect(set.applicableTo({ namespace: 'empty', authorizationPolicies: [] }).allow.policies).toHaveLength(1)
  })

  it('keeps the old set untouched, and a policy whose update does not compile', () => {
    const before = setOf(policy('a', {}, fromCurl))
    const errors: string[] = []
    const after = before.with([policy('a', {}, { sourceIps: ['nonsense'] })], [], (_source, error) => {
      expect(CodedError.is(error, 'INVALID_POLICY')).toBe(true)
      errors.push((error as Error).message)
    })
    expect(errors).toEqual(['policy default/a: sourceIps: nonsense is not valid'])
    expect(after.get('default/a')).toBe(before.get('default/a'))
    expect(after.with([], ['default/a'], () => {}).size).toBe(0)
    expect(before.size).toBe(1)
  })

  it('refuses what is out of bounds', () => {
    const ports = Array.from({ length: 65_537 }, (_, index) => index % 65_536)
    expect(() => compilePolicy(policy('big', {}, { destinationPorts: ports }))).toThrow('more than 65536 values')
    expect(() => compilePolicy(policy('port', {}, { destinationPorts: [70_000] }))).toThrow('is not valid')
  })
})

describe('explain', () => {
  it('tells which predicate failed, from the run that decides', () => {
    const set = setOf(policy('allow-web', {}, { principals: [{ suffix: '/sa/web' }], destinationPorts: [9080] }))
    const explanation = explain(facts(), set.applicableTo(reviews))
    expect(explanation.verdict.allowed).toBe(false)
    expect(explanation.policies).toMatchObject([
      { policy: 'default/allow-web', action: 'ALLOW', dryRun: false, matched: false, rule: undefined },
    ])
    expect(formatSteps(explanation.policies[0]!)).toEqual([
      'rule 0: destinationPorts 9080: yes, it is 9080',
      'rule 0: principals */sa/web: no, it is cluster.local/ns/default/sa/curl',
    ])
  })

  it('has words for policies that ask nothing', () => {
    const set = setOf(
      policy('l7-only', { action: 'DENY' }, {}),
      policy('allow-nothing'),
      policy('allow-all', { rules: [{ clauses: [] }] }),
    )
    const steps = explain(facts(), set.applicableTo(reviews)).policies.map((policy) => formatSteps(policy)[0])
    expect(steps).toEqual([
      'rule 0: nothing left to match at L4, so it never holds',
      'it has no rules, so it matches nothing',
      'a rule without conditions matches everything',
    ])
  })
})

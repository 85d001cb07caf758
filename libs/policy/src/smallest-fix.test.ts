import { describe, expect, it } from 'vitest'
import { ConnectionFacts } from './connection-facts.ts'
import type { HttpAuthorization, HttpAuthorizationClause } from './http-authorization.ts'
import { HttpPolicies } from './http-policies.ts'
import { RequestFacts } from './request-facts.ts'
import { smallestFix } from './smallest-fix.ts'

const connection = {
  sourceIp: '10.244.0.4',
  destinationIp: '10.96.0.5',
  destinationPort: 9080,
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
}
const view = { method: 'POST', authority: 'reviews', path: '/reviews/1', header: () => undefined }
const facts = new RequestFacts(new ConnectionFacts(connection), view)
const plaintext = new RequestFacts(new ConnectionFacts({ ...connection, identity: undefined }), view)

function policy(action: 'ALLOW' | 'DENY', name: string, ...clauses: HttpAuthorizationClause[]): HttpAuthorization {
  return { name, namespace: 'foo', action, dryRun: false, rules: [{ index: 0, clauses }] }
}

const to = (...methods: string[]): HttpAuthorizationClause => ({
  part: 'to',
  matches: [{ methods: methods.map((exact) => ({ exact })) }],
})
const from = (...accounts: string[]): HttpAuthorizationClause => ({
  part: 'from',
  matches: [{ principals: accounts.map((account) => ({ exact: `cluster.local/ns/default/sa/${account}` })) }],
})

function fixOf(request: RequestFacts, ...sources: HttpAuthorization[]): readonly string[] {
  return smallestFix(request, new HttpPolicies(sources), { namespace: 'foo' }).changes.map(({ text }) => text)
}

describe('smallestFix', () => {
  it('adds the one value that is missing', () => {
    expect(fixOf(facts, policy('ALLOW', 'a', to('GET'), from('curl')))).toEqual([
      'ALLOW foo/a, rule 0: add POST to methods',
    ])
    expect(fixOf(facts, policy('ALLOW', 'a', to('POST'), from('web')))).toEqual([
      'ALLOW foo/a, rule 0: add cluster.local/ns/default/sa/curl to principals',
    ])
  })

  it('takes the closest of several policies', () => {
    const far = policy('ALLOW', 'a', to('GET'), from('web'))
    const near = policy('ALLOW', 'b', to('GET'), from('curl'))
    expect(fixOf(facts, far, near)).toEqual(['ALLOW foo/b, rule 0: add POST to methods'])
  })

  it('takes an exception out', () => {
    const not = policy('ALLOW', 'a', { part: 'to', matches: [{ notMethods: [{ exact: 'PUT' }, { prefix: 'PO' }] }] })
    expect(fixOf(facts, not)).toEqual(['ALLOW foo/a, rule 0: take PO* out of notMethods'])
  })

  it('makes a new policy when an edit would not be smaller', () => {
    expect(fixOf(facts, policy('ALLOW', 'a'), { ...policy('ALLOW', 'b'), rules: [] })).toEqual([
      'new DENY foo/deny-curl-post: POST /reviews/1 from cluster.local/ns/default/sa/curl',
    ])
    expect(fixOf(facts, { ...policy('ALLOW', 'b'), rules: [] })).toEqual([
      'new ALLOW foo/allow-curl-post: POST /reviews/1 from cluster.local/ns/default/sa/curl',
    ])
  })

  it('does not take the name of another', () => {
    expect(fixOf(facts, { ...policy('ALLOW', 'allow-curl-post'), rules: [] })).toEqual([
      'new ALLOW foo/allow-curl-post-2: POST /reviews/1 from cluster.local/ns/default/sa/curl',
    ])
  })

  it('lets the caller out of each DENY that matches, and sees to an ALLOW besides', () => {
    const deny = policy('DENY', 'd', to('POST'))
    expect(fixOf(facts, deny, policy('ALLOW', 'a', to('GET'), from('curl')))).toEqual([
      'DENY foo/d, rule 0: except source.principal cluster.local/ns/default/sa/curl',
      'ALLOW foo/a, rule 0: add POST to methods',
    ])
    expect(fixOf(plaintext, deny)).toEqual(['DENY foo/d, rule 0: except source.ip 10.244.0.4'])
  })
})

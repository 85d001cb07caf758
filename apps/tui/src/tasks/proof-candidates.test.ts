import type { AuthorizationPolicy, AuthorizationPolicyRule } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { isAboutCaller, type ProofCaller, pathOf, proofRequests } from './proof-candidates.ts'

const caller: ProofCaller = {
  ...{ name: 'curl-1', namespace: 'shop', serviceAccount: 'curl', captured: true },
  capture: { host: '127.0.0.1', port: 1 },
}

describe('proofRequests', () => {
  const policy = (...rules: AuthorizationPolicyRule[]): AuthorizationPolicy => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'shop' },
    spec: { rules },
  })

  it('speaks of what the rules speak of, and of what any policy may meet', () => {
    const to = [{ operation: { methods: ['DELETE'], paths: ['/admin/*'], hosts: ['*.shop'] } }]
    const when = [{ key: 'request.headers[X-User]', values: ['a*'] }]
    expect(proofRequests(policy({ to, when }))).toEqual([
      { method: 'DELETE', path: '/admin/', headers: { host: '.shop', 'x-user': 'a' } },
      { method: 'GET', path: '/', headers: {} },
      { method: 'POST', path: '/', headers: {} },
    ])
  })

  it('asks each thing once, and not without end', () => {
    const rules = Array.from({ length: 20 }, (_, index) => ({ to: [{ operation: { paths: [`/${index % 9}`] } }] }))
    expect(proofRequests(policy(...rules))).toHaveLength(6)
    expect(proofRequests(policy({}, {}))).toHaveLength(2)
  })
})

it.each([
  ['/a', '/a'],
  ['*', '/'],
  ['/a/*', '/a/'],
  ['*.html', '/.html'],
  ['/a/{*}/b', '/a/x/b'],
  ['/a/{**}', '/a/x'],
])('a path that fits %s is %s', (pattern, path) => expect(pathOf(pattern)).toBe(path))

it.each<[boolean, AuthorizationPolicyRule]>([
  [true, {}],
  [true, { from: [{ source: { principals: ['cluster.local/ns/shop/sa/curl'] } }] }],
  [true, { from: [{ source: { principals: ['*'] } }] }],
  [true, { from: [{ source: { namespaces: ['shop'] } }] }],
  [true, { from: [{ source: { serviceAccounts: ['curl'] } }] }],
  [false, { from: [{ source: { serviceAccounts: ['other/curl'] } }] }],
  [false, { from: [{ source: { namespaces: ['sho*'] } }] }],
  // Two fields are ANDed: that is matching, and for the proxies to do.
  [false, { from: [{ source: { namespaces: ['shop'], ipBlocks: ['10.0.0.0/8'] } }] }],
])('says %s to %j', (isAbout, rule) => expect(isAboutCaller(rule, caller, 'shop')).toBe(isAbout))

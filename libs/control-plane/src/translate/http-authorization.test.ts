import type { AuthorizationPolicy, AuthorizationPolicyRule, AuthorizationPolicySpec } from '@ambient-lab/api'
import { compileHttpPolicy } from '@ambient-lab/policy'
import { describe, expect, it } from 'vitest'
import { type AuthorizationMesh, translateHttpAuthorization, translateTcpAuthorization } from './http-authorization.ts'

const MESH: AuthorizationMesh = {
  trustDomain: 'td1',
  trustDomainAliases: ['td2'],
  extensionProviders: [
    { name: 'grpc', envoyExtAuthzGrpc: { service: 'authz', port: 9000 } },
    { name: 'http', envoyExtAuthzHttp: { service: 'authz', port: 8000 } },
    { name: 'broken', envoyExtAuthzHttp: { service: 'authz', port: 999_999 } },
  ],
}

function policy(spec: AuthorizationPolicySpec, annotations?: Record<string, string>): AuthorizationPolicy {
  const metadata = { name: 'p', namespace: 'foo', ...(annotations && { annotations }) }
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec }
}

const withRules = (...rules: AuthorizationPolicyRule[]) => policy({ rules })

/** Clauses of the only rule. */
function clausesOf(rule: AuthorizationPolicyRule) {
  const { authorization, findings } = translateHttpAuthorization(withRules(rule), MESH)
  expect(findings).toEqual([])
  compileHttpPolicy(authorization!)
  return authorization!.rules[0]!.clauses
}

const source = (fields: object) => clausesOf({ from: [{ source: fields }] })[0]?.matches[0]
const operation = (fields: object) => clausesOf({ to: [{ operation: fields }] })[0]?.matches[0]
const when = (key: string, ...values: string[]) => clausesOf({ when: [{ key, values }] })[0]?.matches[0]

describe('translateHttpAuthorization', () => {
  it('keeps parts of a rule apart, and leaves out those that ask nothing', () => {
    const clauses = clausesOf({
      from: [{ source: { namespaces: ['a'] } }, { source: { ipBlocks: ['10.0.0.0/8'] } }],
      to: [{ operation: { methods: ['GET'] } }, {}],
      when: [{ key: 'request.headers[X-A]', values: ['1'], notValues: ['2*'] }],
    })
    expect(clauses).toEqual([
      { part: 'from', matches: [{ namespaces: [{ exact: 'a' }] }, { sourceIps: ['10.0.0.0/8'] }] },
      {
        part: 'when',
        matches: [
          { headers: [{ name: 'x-a', value: { exact: '1' } }], notHeaders: [{ name: 'x-a', value: { prefix: '2' } }] },
        ],
      },
    ])
    expect(clausesOf({})).toEqual([])
  })

  it.each<[object, object]>([
    [{ principals: ['*'] }, { principals: [{ presence: true }] }],
    [
      { principals: ['cluster.local/ns/a/sa/b'] },
      { principals: [{ exact: 'td1/ns/a/sa/b' }, { exact: 'td2/ns/a/sa/b' }] },
    ],
    [{ principals: ['td2/ns/a/sa/b'] }, { principals: [{ exact: 'td1/ns/a/sa/b' }, { exact: 'td2/ns/a/sa/b' }] }],
    [{ principals: ['td3/ns/a/sa/b'] }, { principals: [{ exact: 'td3/ns/a/sa/b' }] }],
    [{ principals: ['*/ns/a/sa/b'] }, { principals: [{ suffix: '/ns/a/sa/b' }] }],
    [{ notPrincipals: ['*d1/ns/a/sa/b'] }, { notPrincipals: [{ suffix: 'd1/ns/a/sa/b' }, { exact: 'td2/ns/a/sa/b' }] }],
    [{ trustDomains: ['td2', '*'] }, { trustDomains: [{ exact: 'td1' }, { exact: 'td2' }, { presence: true }] }],
    [{ notTrustDomains: ['a*'] }, { notTrustDomains: [{ glob: 'a*' }] }],
    [
      { namespaces: ['a', 'a*', '*', 'sa'] },
      { namespaces: [{ exact: 'a' }, { glob: 'a*' }, { presence: true }, { glob: 'sa' }] },
    ],
    [
      { serviceAccounts: ['x', 'n/y'] },
      {
        serviceAccounts: [
          { namespace: 'foo', serviceAccount: 'x' },
          { namespace: 'n', serviceAccount: 'y' },
        ],
      },
    ],
    [
      { remoteIpBlocks: ['10.1.2.3/8'], notIpBlocks: ['::1'] },
      { remoteIps: ['10.0.0.0/8'], notSourceIps: ['::1/128'] },
    ],
    [
      { requestPrincipals: ['https://iss/x/sub', '*', '*/sub', 'iss/*', 'iss*', '*sub', 'iss'] },
      {
        requestPrincipals: [
          { issuer: { exact: 'https://iss/x' }, subject: { exact: 'sub' } },
          { issuer: { presence: true }, subject: { presence: true } },
          { issuer: { presence: true }, subject: { exact: 'sub' } },
          { issuer: { exact: 'iss' }, subject: { presence: true } },
          { issuer: { prefix: 'iss' }, subject: { presence: true } },
          { issuer: { presence: true }, subject: { suffix: 'sub' } },
          { issuer: { exact: 'iss' }, subject: { exact: '' } },
        ],
      },
    ],
  ])('source %j', (written, match) => {
    expect(source(written)).toEqual(match)
  })

  it.each<[object, object]>([
    [
      { hosts: ['A.com', '*.b'], notHosts: ['c*'] },
      { hosts: [{ exact: 'A.com' }, { suffix: '.b' }], notHosts: [{ prefix: 'c' }] },
    ],
    [
      { methods: ['GET'], ports: ['80'] },
      { methods: [{ exact: 'GET' }], destinationPorts: [80] },
    ],
    [
      { paths: ['/a*', '/a/{*}'], notPaths: ['*'] },
      { paths: [{ prefix: '/a' }, { template: '/a/{*}' }], notPaths: [{ presence: true }] },
    ],
  ])('operation %j', (written, match) => {
    expect(operation(written)).toEqual(match)
  })

  it.each<[string, string, object]>([
    ['source.ip', '10.0.0.1', { sourceIps: ['10.0.0.1/32'] }],
    ['remote.ip', '10.0.0.1', { remoteIps: ['10.0.0.1/32'] }],
    ['destination.ip', '10.0.0.1', { destinationIps: ['10.0.0.1/32'] }],
    ['destination.port', '80', { destinationPorts: [80] }],
    ['source.namespace', 'a', { namespaces: [{ exact: 'a' }] }],
    ['source.principal', 'x', { principals: [{ exact: 'x' }] }],
    ['source.serviceAccount', 'x', { serviceAccounts: [{ namespace: 'foo', serviceAccount: 'x' }] }],
    ['source.trustDomain', 'x', { trustDomains: [{ exact: 'x' }] }],
    ['connection.sni', '*.x', { serverNames: [{ suffix: '.x' }] }],
    ['request.headers[X-A]', '*', { headers: [{ name: 'x-a', value: { presence: true } }] }],
    ['request.auth.principal', 'i/s', { requestPrincipals: [{ issuer: { exact: 'i' }, subject: { exact: 's' } }] }],
    ['request.auth.audiences', 'a', { claims: [{ path: ['aud'], value: { exact: 'a' } }] }],
    ['request.auth.presenter', 'a', { claims: [{ path: ['azp'], value: { exact: 'a' } }] }],
    ['request.auth.claims[g]', 'a*', { claims: [{ path: ['g'], value: { prefix: 'a' } }] }],
    ['request.auth.claims[a][b-c]', 'x', { claims: [{ path: ['a', 'b-c'], value: { exact: 'x' } }] }],
    ['request.auth.claims[a.b]', 'x', { claims: [{ path: ['a.b'], value: { exact: 'x' } }] }],
    ['request.auth.claims[https://x/[y]]', 'x', { claims: [{ path: ['https://x/[y]'], value: { exact: 'x' } }] }],
    [
      'experimental.envoy.filters.a.b[c]',
      'x',
      { metadata: [{ filter: 'envoy.filters.a.b', path: ['c'], list: false, value: { exact: 'x' } }] },
    ],
    [
      'experimental.envoy.filters.a.b[c]',
      '[x*]',
      { metadata: [{ filter: 'envoy.filters.a.b', path: ['c'], list: true, value: { prefix: 'x' } }] },
    ],
  ])('when %s is %s', (key, value, match) => {
    expect(when(key, value)).toEqual(match)
  })

  describe('leaves out what cannot be enforced', () => {
    const broken = { to: [{ operation: { ports: ['x', '80'] } }] }
    const fine = { to: [{ operation: { ports: ['90'] } }] }

    it('with its rule from an ALLOW, whose other rules keep their places', () => {
      const { authorization, findings } = translateHttpAuthorization(withRules(broken, fine), MESH)
      expect(authorization?.rules.map(({ index }) => index)).toEqual([1])
      expect(findings).toEqual([{ rule: 0, field: 'ports', consequence: 'rule-skipped', reason: 'x is no port' }])
    })

    it('alone from a DENY, which denies more for it', () => {
      const { authorization, findings } = translateHttpAuthorization(policy({ action: 'DENY', rules: [broken] }), MESH)
      expect(authorization?.rules[0]?.clauses[0]?.matches).toEqual([{ destinationPorts: [80] }])
      expect(findings).toMatchObject([{ consequence: 'values-skipped' }])
      const all = { to: [{ operation: { ports: ['x'] } }] }
      const denyAll = translateHttpAuthorization(policy({ action: 'DENY', rules: [all] }), MESH)
      expect(denyAll.authorization?.rules).toEqual([{ index: 0, clauses: [] }])
    })

    it('with its rule, whatever the action, when a condition asks for what there is not', () => {
      const rules = [{ when: [{ key: 'request.weather', values: ['fine'] }] }]
      expect(translateHttpAuthorization(policy({ action: 'DENY', rules }), MESH).authorization?.rules).toEqual([])
    })

    it.each(['request.headers', 'request.headers[x', 'request.auth.claims', 'experimental.envoy.filters.x'])(
      'a condition about %s',
      (key) => {
        const rules = [{ when: [{ key, values: ['x'] }] }]
        expect(translateHttpAuthorization(policy({ rules }), MESH).authorization?.rules).toEqual([])
      },
    )

    it('a path that is no template', () => {
      const rules = [{ to: [{ operation: { paths: ['/{**}/{*}'] } }] }]
      expect(translateHttpAuthorization(policy({ rules }), MESH).findings).toMatchObject([{ field: 'paths' }])
    })
  })

  it('makes nothing of no rules: an ALLOW that allows nothing', () => {
    expect(translateHttpAuthorization(policy({}), MESH).authorization).toEqual({
      ...{ name: 'p', namespace: 'foo', action: 'ALLOW', rules: [], dryRun: false },
    })
  })

  it('knows a dry run', () => {
    const dryRun = (value: string) =>
      translateHttpAuthorization(policy({}, { 'istio.io/dry-run': value }), MESH).authorization?.dryRun
    expect([dryRun('true'), dryRun('false'), dryRun('yes')]).toEqual([true, false, false])
  })

  it.each<[string | undefined, object]>([
    ['grpc', { name: 'grpc' }],
    ['broken', { name: 'broken', problem: 'port 999999 is not from 1 to 65535' }],
    ['gone', { name: 'gone', problem: 'no extension provider "gone" in the mesh settings' }],
    [undefined, { name: '', problem: 'no extension provider "" in the mesh settings' }],
  ])('CUSTOM asks %s', (name, provider) => {
    const custom = policy({ action: 'CUSTOM', rules: [{}], ...(name && { provider: { name } }) })
    expect(translateHttpAuthorization(custom, MESH).authorization).toMatchObject({ action: 'CUSTOM', provider })
  })
})

describe('translateTcpAuthorization', () => {
  const mixed = { from: [{ source: { namespaces: ['a'] } }], to: [{ operation: { methods: ['GET'], ports: ['80'] } }] }

  it('leaves a rule that needs HTTP out of an ALLOW', () => {
    expect(translateTcpAuthorization(withRules(mixed), MESH).authorization?.rules).toEqual([])
  })

  it('leaves what needs HTTP out of a DENY', () => {
    const { authorization, findings } = translateTcpAuthorization(policy({ action: 'DENY', rules: [mixed] }), MESH)
    expect(authorization?.rules[0]?.clauses).toEqual([
      { part: 'to', matches: [{ destinationPorts: [80] }] },
      { part: 'from', matches: [{ namespaces: [{ exact: 'a' }] }] },
    ])
    expect(findings).toMatchObject([{ field: 'methods', reason: 'needs HTTP' }])
  })

  it('has no place for a provider that speaks HTTP', () => {
    const custom = (name: string) => policy({ action: 'CUSTOM', provider: { name }, rules: [{}] })
    expect(translateTcpAuthorization(custom('http'), MESH).authorization).toBeUndefined()
    expect(translateTcpAuthorization(custom('grpc'), MESH).authorization).toMatchObject({ provider: { name: 'grpc' } })
    expect(translateTcpAuthorization(custom('broken'), MESH).authorization).toMatchObject({
      provider: { name: 'broken' },
    })
  })
})

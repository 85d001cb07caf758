import { describe, expect, it } from 'vitest'
import type { StringMatch } from './authorization.ts'
import { compileHttpPolicy, matchingRule } from './compiled-policy.ts'
import { ConnectionFacts, type ConnectionFactsInit } from './connection-facts.ts'
import type { Facts } from './facts.ts'
import type { HttpAuthorizationMatch } from './http-authorization.ts'
import { RequestFacts, type RequestView } from './request-facts.ts'

const CONNECTION: ConnectionFactsInit = {
  sourceIp: '10.244.0.4',
  destinationIp: '10.96.0.5',
  destinationPort: 9080,
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
}

function request(view: Partial<RequestView> & { headers?: Record<string, string> } = {}, connection = CONNECTION) {
  const { headers = {}, ...rest } = view
  return new RequestFacts(new ConnectionFacts(connection), {
    method: 'GET',
    authority: 'Reviews:9080',
    path: '/reviews/1?x=/admin#f',
    header: (name) => headers[name],
    ...rest,
  })
}

function holds(match: HttpAuthorizationMatch, facts: Facts): boolean {
  const rules = [{ index: 0, clauses: [{ part: 'when' as const, matches: [match] }] }]
  const source = { name: 'p', namespace: 'ns', action: 'ALLOW' as const, dryRun: false, rules }
  return matchingRule(compileHttpPolicy(source), facts) !== undefined
}

const header = (name: string, value: StringMatch) => ({ headers: [{ name, value }] })
const notHeader = (name: string, value: StringMatch) => ({ notHeaders: [{ name, value }] })
const claim = (path: string[], value: StringMatch) => ({ claims: [{ path, value }] })
const token = (jwt: Record<string, unknown>) => request({ jwt })
const subject = (value: StringMatch) => ({ requestPrincipals: [{ issuer: { exact: 'iss' }, subject: value }] })
const inNamespace = (namespace: string, serviceAccount = 'curl') =>
  request({}, { ...CONNECTION, identity: { trustDomain: 'cluster.local', namespace, serviceAccount } })
const plaintext = request({}, { ...CONNECTION, identity: undefined })

const DECISIONS: readonly [what: string, match: HttpAuthorizationMatch, facts: Facts, holds: boolean][] = [
  ['a host in other case', { hosts: [{ exact: 'REVIEWS:9080' }] }, request(), true],
  ['a host without the port that the client sent', { hosts: [{ exact: 'reviews' }] }, request(), false],
  ['the beginning of a host', { hosts: [{ prefix: 'Rev' }] }, request(), true],
  ['any host, of an empty one', { hosts: [{ presence: true }] }, request({ authority: '' }), true],
  ['a method, whose case counts', { methods: [{ exact: 'get' }] }, request(), false],
  ['any method', { methods: [{ presence: true }] }, request(), true],
  ['a path without its query', { paths: [{ exact: '/reviews/1' }] }, request(), true],
  ['what is in the query', { paths: [{ suffix: '/admin' }] }, request(), false],
  ['a path template', { paths: [{ template: '/reviews/{*}' }] }, request(), true],
  ['none of two paths', { notPaths: [{ exact: '/a' }, { template: '/reviews/{**}' }] }, request(), false],
  ['any path, of an empty one', { paths: [{ presence: true }] }, request({ path: '?x' }), false],
  ['a header', header('x-a', { exact: '1' }), request({ headers: { 'x-a': '1' } }), true],
  ['a header that is missing', header('x-a', { prefix: '' }), request(), false],
  ['any header, of an empty one', header('x-a', { presence: true }), request({ headers: { 'x-a': '' } }), true],
  ['no such header, when it is missing', notHeader('x-a', { exact: '1' }), request(), true],
  [
    'no such header, when it is there',
    notHeader('x-a', { presence: true }),
    request({ headers: { 'x-a': '' } }),
    false,
  ],
  ['the method as a header', header(':method', { exact: 'GET' }), request(), true],
  ['Host, which is the authority', header('host', { exact: 'Reviews:9080' }), request(), true],
  ['an exact namespace', { namespaces: [{ exact: 'default' }] }, request(), true],
  ['a namespace by glob', { namespaces: [{ glob: 'def*' }] }, request(), true],
  ['a glob that reaches into the account, as at Envoy', { namespaces: [{ glob: '*a' }] }, inNamespace('bar'), true],
  ['a namespace `sa` in one called `ns`, as at Envoy', { namespaces: [{ glob: 'sa' }] }, inNamespace('ns'), true],
  ['a trust domain by glob', { trustDomains: [{ glob: 'cluster.*' }] }, request(), true],
  ['no such trust domain, of plaintext', { notTrustDomains: [{ presence: true }] }, plaintext, true],
  ['any trust domain, of plaintext', { trustDomains: [{ presence: true }] }, plaintext, false],
  ['the source itself where nobody forwards', { remoteIps: ['10.244.0.0/16'] }, request(), true],
  ['the client behind a proxy', { remoteIps: ['203.0.113.7'] }, request({ remoteIp: '203.0.113.7' }), true],
  ['the proxy, once it forwards', { remoteIps: ['10.244.0.0/16'] }, request({ remoteIp: '203.0.113.7' }), false],
  ['a remote address that is none', { remoteIps: ['0.0.0.0/0'] }, request({ remoteIp: 'x' }), false],
  ['the service port', { destinationPorts: [9080] }, request(), true],
  ['an SNI that is missing', { notServerNames: [{ presence: true }] }, request(), true],
  ['a subject of an issuer', subject({ exact: 'sub' }), token({ iss: 'iss', sub: 'sub' }), true],
  ['a subject of another issuer', subject({ exact: 'sub' }), token({ iss: 'other', sub: 'sub' }), false],
  ['any subject, of an empty one', subject({ presence: true }), token({ iss: 'iss', sub: '' }), false],
  ['a subject without token', subject({ presence: true }), request(), false],
  ['a claim that is a text', claim(['g'], { exact: 'a' }), token({ g: 'a' }), true],
  ['a claim that is a list', claim(['g'], { exact: 'b' }), token({ g: ['a', 'b', 1] }), true],
  ['a claim that is a number', claim(['g'], { presence: true }), token({ g: 1 }), false],
  ['a nested claim', claim(['a', 'b'], { prefix: 'x' }), token({ a: { b: ['xy'] } }), true],
  ['a nested claim with dots in its name', claim(['a.b'], { exact: 'x' }), token({ a: { b: 'x' } }), false],
  ['a claim that every object inherits', claim(['constructor', 'name'], { presence: true }), token({}), false],
  ['no such claim, without token', { notClaims: [{ path: ['g'], value: { exact: 'a' } }] }, request(), true],
  ['a field of HTTP, of a connection', { methods: [{ presence: true }] }, new ConnectionFacts(CONNECTION), false],
  ['none of HTTP, of a connection', { notPaths: [{ presence: true }] }, new ConnectionFacts(CONNECTION), true],
  ['nothing at all', {}, request(), false],
]

describe('fields of a request', () => {
  it.each(DECISIONS)('%s', (_, match, facts, expected) => {
    expect(holds(match, facts)).toBe(expected)
  })

  it('asks what another filter wrote', () => {
    const wrote = request({ metadata: (filter) => (filter === 'f' ? { k: 'v', l: ['v'] } : undefined) })
    const about = (key: string, list: boolean) => ({
      metadata: [{ filter: 'f', path: [key], value: { exact: 'v' }, list }],
    })
    expect(
      [about('k', false), about('k', true), about('l', true), about('l', false)].map((m) => holds(m, wrote)),
    ).toEqual([...[true, false, true, false]])
  })

  it('asks the view for nothing that no policy wants', () => {
    const view = {
      method: 'GET',
      authority: 'a',
      get path(): string {
        throw new Error('asked')
      },
      header: () => undefined,
    }
    expect(holds({ methods: [{ exact: 'GET' }] }, new RequestFacts(new ConnectionFacts(CONNECTION), view))).toBe(true)
  })

  it.each([
    ['a field of a newer control plane', { tlsVersions: ['1.3'] }, 'tlsVersions is not a field'],
    ['what is no list', { methods: 'GET' }, 'methods is not a list'],
    [
      'two kinds in one value',
      { methods: [{ exact: 'a', prefix: 'b' }] },
      'methods: {"exact":"a","prefix":"b"} is not valid',
    ],
    ['a template with text behind a star', { paths: [{ template: '/{*}x' }] }, 'is not valid'],
    ['a header without name', { headers: [{ value: { exact: 'a' } }] }, 'is not valid'],
    ['a CIDR that is none', { remoteIps: ['10.0.0.0/33'] }, 'remoteIps: 10.0.0.0/33 is not valid'],
  ])('refuses %s', (_, match, reason) => {
    expect(() => holds(match as HttpAuthorizationMatch, request())).toThrow(reason)
  })
})

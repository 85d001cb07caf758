/**
 * L7 decisions per second on one core, with 500 policies loaded at one place: told apart by who calls, by path, by host,
 * by a claim, by all of them at once; and one that nothing can be told apart by. A request has facts of its own, its
 * connection's are shared as on a tunnel. The last rows are what costs besides: a recorder's scan, and tokens.
 * Run: node --conditions=@ambient-lab/source libs/policy/bench/evaluate-request.ts
 */
import { createSign, generateKeyPairSync } from 'node:crypto'
import { parseJwkSet } from '@ambient-lab/pki'
import {
  ConnectionFacts,
  type EvaluationRecorder,
  evaluateRequest,
  type HttpAuthorization,
  type HttpAuthorizationMatch,
  HttpPolicies,
  JwtAuthenticator,
  LinearRegex,
  RequestFacts,
  type RequestView,
} from '../src/index.ts'
import { perSecond } from './rate.ts'

const POLICIES = 500
const SHOW_ALL: EvaluationRecorder = {}

function policies(matchesOf: (index: number) => readonly HttpAuthorizationMatch[]): HttpPolicies {
  const sources = Array.from({ length: POLICIES }, (_, index): HttpAuthorization => {
    const clauses = matchesOf(index).map((match) => ({ part: 'when' as const, matches: [match] }))
    return { name: `p${index}`, namespace: 'default', action: 'ALLOW', dryRun: false, rules: [{ index: 0, clauses }] }
  })
  return new HttpPolicies(sources)
}

const principals = (index: number) => ({ principals: [{ exact: `cluster.local/ns/default/sa/client-${index}` }] })
const methods = { methods: [{ exact: 'GET' }, { exact: 'HEAD' }] }
const paths = (index: number) => ({ paths: [{ prefix: `/tenants/${index}/` }] })
const hosts = (index: number) => ({ hosts: [{ suffix: `.tenant-${index}.example` }] })
const claims = (index: number) => ({ claims: [{ path: ['groups'], value: { exact: `group-${index}` } }] })
const header = { headers: [{ name: 'x-internal', value: { presence: true as const } }] }

const CALLER = 123
const headers = new Map([['x-internal', '1']])
const view: RequestView = {
  method: 'GET',
  authority: `api.tenant-${CALLER}.example`,
  path: `/tenants/${CALLER}/orders?page=2`,
  header: (name) => headers.get(name),
  jwt: { iss: 'issuer', sub: 'alice', groups: ['everyone', `group-${CALLER}`] },
}
const connection = new ConnectionFacts({
  sourceIp: '10.244.0.4',
  destinationIp: '10.96.0.5',
  destinationPort: 9080,
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: `client-${CALLER}` },
})

function report(what: string, work: () => unknown, goal?: number): void {
  const rate = perSecond(work)
  console.log(`${what}: ${Math.round(rate / 1000)} k/s${goal ? ` (goal: ${goal})` : ''}`)
}

for (const [what, matchesOf, recorder] of [
  ['by caller and method', (index: number) => [principals(index), methods]],
  ['by path and method', (index: number) => [methods, paths(index)]],
  ['by host', (index: number) => [hosts(index)]],
  ['by claim and header', (index: number) => [claims(index), header]],
  ['by caller, path, host, claim', (index: number) => [principals(CALLER), paths(index), hosts(index), claims(index)]],
  ['by path, nothing allows', (index: number) => [paths(index + 1000)]],
  ['all are shown', (index: number) => [methods, paths(index)], SHOW_ALL],
] as const) {
  const compiled = policies(matchesOf)
  const decide = () => evaluateRequest(new RequestFacts(connection, view), compiled, recorder)
  report(`500 policies ${what} → ${decide().allowed ? 'allowed' : 'denied'}`, decide, recorder ? undefined : 300)
}

const compileRate = perSecond(() => policies((index) => [principals(index), methods, paths(index)]))
console.log(`500 policies compiled: ${(1000 / compileRate).toFixed(1)} ms`)

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
function token(sub: string): string {
  const signed = `${encode({ alg: 'RS256', kid: 'k' })}.${encode({ iss: 'issuer', sub, groups: ['a', 'b'] })}`
  return `${signed}.${createSign('sha256').update(signed).sign(privateKey, 'base64url')}`
}
const keys = parseJwkSet(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] }))
const authenticator = new JwtAuthenticator(
  {
    providers: [
      {
        ...{ name: 'p', issuer: 'issuer', audiences: [], keys: { inline: '' }, keysTimeoutMs: 1 },
        ...{ from: { headers: [], params: [], cookies: [] }, forwardOriginalToken: true },
        ...{ outputClaimToHeaders: [], spaceDelimitedClaims: [] },
      },
    ],
  },
  { keysAt: () => keys },
)
const tokens = Array.from({ length: 2000 }, (_, index) => `Bearer ${token(`user-${index}`)}`)
let turn = 0
function nextToken(): string {
  turn = (turn + 1) % tokens.length
  return tokens[turn]!
}
const asking = (authorization: string) => ({
  ...{ scheme: 'http', method: 'GET', authority: 'a', path: '/' },
  header: (name: string) => (name === 'authorization' ? authorization : undefined),
})
report('RS256 token, known', () => authenticator.authenticate(asking(tokens[0]!), 1))
report('RS256 tokens, each new', () => authenticator.authenticate(asking(nextToken()), 1))

const regex = LinearRegex.compile('/api/v[0-9]+/users/[^/]+/orders')
report('regular expression over a path', () => regex.matches('/api/v12/users/alice-17/orders'))

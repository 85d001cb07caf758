import fc, { type Arbitrary } from 'fast-check'
import type { Authorization, AuthorizationMatch, StringMatch } from '../authorization.ts'
import { ConnectionFacts } from '../connection-facts.ts'
import type {
  HttpAuthorization,
  HttpAuthorizationClause,
  HttpAuthorizationMatch,
  HttpAuthorizationRule,
} from '../http-authorization.ts'
import { type JwtPayload, RequestFacts } from '../request-facts.ts'

/** Few words, so that policies and requests meet. */
const NAMES = ['a', 'b', 'sa']
const TRUST_DOMAINS = ['td', 'cluster.local']
const PATHS = ['/', '/a', '/a/b', '/a/b/c', '/b', '/a%2Fb']
const HOSTS = ['a.example', 'b.example:80', 'example']
const METHODS = ['GET', 'POST']
const IPS = ['10.0.0.1', '10.0.1.1', '192.168.0.1', 'fd00::1']
const CIDRS = ['10.0.0.0/8', '10.0.0.0/24', '10.0.0.1/32', '0.0.0.0/0', 'fd00::/16', 'fd00::1/128']
const PORTS = [80, 443]

const name = fc.constantFrom(...NAMES)
const principalText = fc
  .tuple(fc.constantFrom(...TRUST_DOMAINS), name, name)
  .map(([trustDomain, namespace, account]) => `${trustDomain}/ns/${namespace}/sa/${account}`)

function textMatch(texts: Arbitrary<string>): Arbitrary<StringMatch> {
  const affix = fc.tuple(texts, fc.nat({ max: 6 }))
  return fc.oneof(
    { weight: 4, arbitrary: texts.map((exact) => ({ exact })) },
    { weight: 1, arbitrary: affix.map(([text, length]) => ({ prefix: text.slice(0, length) })) },
    { weight: 1, arbitrary: affix.map(([text, length]) => ({ suffix: text.slice(text.length - length) })) },
    { weight: 1, arbitrary: fc.constant({ presence: true as const }) },
  )
}

const path = fc.constantFrom(...PATHS)
const ip = fc.constantFrom(...IPS)
const cidr = fc.constantFrom(...CIDRS)
const list = <T>(value: Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 3 })

/** Of each field its values; the same for its negation. */
const VALUES: Readonly<Record<string, Arbitrary<readonly unknown[]>>> = {
  principals: list(textMatch(principalText)),
  namespaces: list(fc.oneof(textMatch(name), fc.constantFrom({ glob: 'a*' }, { glob: '*a' }, { glob: 'sa' }))),
  serviceAccounts: list(fc.record({ namespace: name, serviceAccount: name })),
  trustDomains: list(fc.oneof(textMatch(fc.constantFrom(...TRUST_DOMAINS)), fc.constant({ glob: 't*d' }))),
  sourceIps: list(cidr),
  remoteIps: list(cidr),
  destinationIps: list(cidr),
  destinationPorts: list(fc.constantFrom(...PORTS)),
  hosts: list(textMatch(fc.constantFrom(...HOSTS, 'A.Example'))),
  methods: list(textMatch(fc.constantFrom(...METHODS))),
  paths: list(fc.oneof(textMatch(path), fc.constantFrom({ template: '/a/{*}' }, { template: '/{**}/c' }))),
  headers: list(fc.record({ name: fc.constantFrom('x-a', 'x-b', ':method'), value: textMatch(name) })),
  claims: list(fc.record({ path: fc.constantFrom(['groups'], ['n', 'm']), value: textMatch(name) })),
  requestPrincipals: list(fc.record({ issuer: textMatch(name), subject: textMatch(name) })),
  serverNames: list(textMatch(fc.constantFrom(...HOSTS))),
}

/** What a ztunnel knows of them; it has no globs. */
const CONNECTION_VALUES: Readonly<Record<string, Arbitrary<readonly unknown[]>>> = {
  principals: list(textMatch(principalText)),
  namespaces: list(textMatch(name)),
  serviceAccounts: list(fc.record({ namespace: name, serviceAccount: name })),
  sourceIps: list(cidr),
  destinationIps: list(cidr),
  destinationPorts: list(fc.constantFrom(...PORTS)),
}

/** Up to two fields, one in four of them negated. */
function matchOf(values: Readonly<Record<string, Arbitrary<readonly unknown[]>>>): Arbitrary<object> {
  const field = fc
    .tuple(fc.constantFrom(...Object.keys(values)), fc.integer({ min: 0, max: 3 }))
    .chain(([field, chance]) => {
      const named = chance === 0 ? `not${field[0]!.toUpperCase()}${field.slice(1)}` : field
      return values[field]!.map((some) => ({ [named]: some }))
    })
  return fc.array(field, { maxLength: 2 }).map((fields) => Object.assign({}, ...fields))
}

const match: Arbitrary<HttpAuthorizationMatch> = matchOf(VALUES)
const connectionMatch: Arbitrary<AuthorizationMatch> = matchOf(CONNECTION_VALUES)

const clause: Arbitrary<HttpAuthorizationClause> = fc.record({
  part: fc.constantFrom('from' as const, 'to' as const, 'when' as const),
  matches: fc.array(match, { maxLength: 2 }),
})

function rulesOf(clauses: readonly (readonly HttpAuthorizationClause[])[]): HttpAuthorizationRule[] {
  return clauses.map((own, index) => ({ index, clauses: own }))
}

const policy = fc.record({
  action: fc.constantFrom('ALLOW' as const, 'ALLOW' as const, 'DENY' as const, 'AUDIT' as const),
  dryRun: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
  rules: fc.array(fc.array(clause, { maxLength: 2 }), { maxLength: 3 }).map(rulesOf),
})

/** Up to ten policies of one place, each with a name of its own. */
export const policies: Arbitrary<readonly HttpAuthorization[]> = fc
  .array(policy, { maxLength: 10 })
  .map((some) => some.map((one, index) => ({ name: `p${index}`, namespace: 'ns', ...one })))

const STRICT: Authorization = {
  ...{ name: 'istio_converted_static_strict', namespace: 'root', scope: 'WORKLOAD_SELECTOR', action: 'DENY' },
  ...{ dryRun: false, rules: [{ clauses: [{ matches: [{ notPrincipals: [{ presence: true }] }] }] }] },
}

const connectionPolicy = fc.record({
  action: fc.constantFrom('ALLOW' as const, 'ALLOW' as const, 'DENY' as const),
  dryRun: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
  scope: fc.constantFrom('GLOBAL' as const, 'NAMESPACE' as const, 'WORKLOAD_SELECTOR' as const),
  rules: fc.array(
    fc.record({
      clauses: fc.array(fc.record({ matches: fc.array(connectionMatch, { maxLength: 2 }) }), { maxLength: 2 }),
    }),
    { maxLength: 3 },
  ),
})

/** Up to ten L4 policies, and now and then that of STRICT mutual TLS. */
export const connectionPolicies: Arbitrary<readonly Authorization[]> = fc
  .tuple(fc.array(connectionPolicy, { maxLength: 10 }), fc.boolean())
  .map(([some, isStrict]) => [
    ...some.map((one, index) => ({ name: `p${index}`, namespace: 'ns', ...one })),
    ...(isStrict ? [STRICT] : []),
  ])

const jwt: Arbitrary<JwtPayload> = fc.record(
  {
    iss: name,
    sub: name,
    groups: fc.oneof(name, fc.array(name, { maxLength: 2 }), fc.constant(1)),
    n: fc.oneof(fc.record({ m: name }), name),
  },
  { requiredKeys: [] },
)

/** Requests that may meet those policies. */
export const requests: Arbitrary<RequestFacts> = fc
  .record({
    identity: fc.option(
      fc.record({
        trustDomain: fc.constantFrom(...TRUST_DOMAINS),
        namespace: fc.oneof(name, fc.constant('ns')),
        serviceAccount: name,
      }),
      { nil: undefined, freq: 5 },
    ),
    sourceIp: ip,
    destinationIp: ip,
    destinationPort: fc.constantFrom(...PORTS),
    serverName: fc.constantFrom(...HOSTS, ''),
    remoteIp: fc.option(ip, { nil: undefined }),
    method: fc.constantFrom(...METHODS, 'PUT'),
    authority: fc.constantFrom(...HOSTS, 'B.EXAMPLE:80'),
    path: fc.constantFrom(...PATHS, '/a?x=/b'),
    headers: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.oneof(name, fc.constant(''))),
    jwt: fc.option(jwt, { nil: undefined }),
  })
  .map(({ identity, sourceIp, destinationIp, destinationPort, serverName, headers, ...view }) => {
    const connection = new ConnectionFacts({ identity, sourceIp, destinationIp, destinationPort, serverName })
    return new RequestFacts(connection, { ...view, header: (wanted) => headers[wanted] })
  })

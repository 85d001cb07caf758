import type { AuthorizationCondition, AuthorizationPolicy, AuthorizationPolicyRule } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'

/** Values of every field, good ones and some that cannot be enforced. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  principals: [
    '*',
    'cluster.local/ns/foo/sa/a',
    'td1/ns/*',
    '*/sa/curl',
    '*d1/ns/ns/sa/a',
    'elsewhere/ns/sa/sa/a',
    'odd',
  ],
  requestPrincipals: ['*', 'iss/sub', 'https://iss/a/sub', '*/sub', 'iss/*', 'is*', '*ub', 'iss'],
  serviceAccounts: ['a', 'ns/curl', 'sa/default'],
  trustDomains: ['*', 'td1', 'cluster.local', 'td*', '*ar', 'elsewhere'],
  namespaces: ['*', 'foo', 'sa', 'ns', 'f*', '*a', '*o', 'd*t'],
  remoteIpBlocks: ['10.0.0.1', '1.2.3.0/24', 'fd00::/8', 'none'],
  ipBlocks: ['10.0.0.0/8', '1.2.3.4/31', '::1', '0.0.0.0/0', '1.2.3'],
  hosts: ['*', 'example.com', 'EXAMPLE.com', 'example*', '*.com:80', 'x'],
  methods: ['*', 'GET', 'P*', '*T'],
  paths: ['*', '/', '/a', '/a/*', '*/c', '/a/{*}', '/{**}/c', '/{*}/b/{**}', '/ä'],
  ports: ['80', '443', '99999', 'http'],
}
const SOURCE = [
  'principals',
  'requestPrincipals',
  'serviceAccounts',
  'trustDomains',
  'namespaces',
  'remoteIpBlocks',
  'ipBlocks',
]
const OPERATION = ['hosts', 'methods', 'paths', 'ports']
const TEXTS = ['*', 'x', 'value', 'val*', '*e', 'a b']

/** What a condition's values are like. */
const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  'source.ip': VALUES.ipBlocks!,
  'remote.ip': VALUES.remoteIpBlocks!,
  'source.namespace': VALUES.namespaces!,
  'source.principal': VALUES.principals!,
  'source.serviceAccount': VALUES.serviceAccounts!,
  'source.trustDomain': VALUES.trustDomains!,
  'destination.ip': VALUES.ipBlocks!,
  'destination.port': VALUES.ports!,
  'connection.sni': VALUES.hosts!,
  'request.headers[X-A]': TEXTS,
  'request.headers[:method]': VALUES.methods!,
  'request.auth.principal': VALUES.requestPrincipals!,
  'request.auth.audiences': TEXTS,
  'request.auth.presenter': TEXTS,
  'request.auth.claims[groups]': TEXTS,
  'request.auth.claims[a][b]': TEXTS,
  'experimental.envoy.filters.a.b[c]': [...TEXTS, '[x]', '[val*]'],
  'request.weather': TEXTS,
}

/** Policies of one workload, of every action but CUSTOM, that any combination of fields may be in. */
export class PolicyGenerator {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  next(): AuthorizationPolicy[] {
    return this.#some(1, 4, (index) => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: {
        name: `p${index}`,
        namespace: 'foo',
        ...(this.#chance(6) && { annotations: { 'istio.io/dry-run': 'true' } }),
      },
      spec: {
        action: this.#random.pick(['ALLOW', 'ALLOW', 'DENY', 'AUDIT'] as const),
        rules: this.#some(0, 3, () => this.#rule()),
      },
    }))
  }

  #rule(): AuthorizationPolicyRule {
    return {
      ...(this.#chance(2) && { from: this.#some(1, 2, () => ({ source: this.#fields(SOURCE) })) }),
      ...(this.#chance(2) && { to: this.#some(1, 2, () => ({ operation: this.#fields(OPERATION) })) }),
      ...(this.#chance(2) && { when: this.#some(1, 2, () => this.#condition()) }),
    }
  }

  #fields(names: readonly string[]): Readonly<Record<string, string[]>> {
    const chosen = this.#some(1, 2, () => this.#random.pick(names))
    const written = chosen.map((name) => (this.#chance(4) ? `not${name[0]!.toUpperCase()}${name.slice(1)}` : name))
    return Object.fromEntries(written.map((name, index) => [name, this.#values(VALUES[chosen[index]!]!)]))
  }

  #condition(): AuthorizationCondition {
    const key = this.#random.pick(Object.keys(CONDITIONS))
    const values = CONDITIONS[key]!
    if (this.#chance(3)) return { key, notValues: this.#values(values) }
    return { key, values: this.#values(values), ...(this.#chance(4) && { notValues: this.#values(values) }) }
  }

  #values(from: readonly string[]): string[] {
    return this.#some(1, 3, () => this.#random.pick(from))
  }

  #some<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: least + this.#random.integer(most - least + 1) }, (_, index) => make(index))
  }

  #chance(oneIn: number): boolean {
    return this.#random.integer(oneIn) === 0
  }
}

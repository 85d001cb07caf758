import { isIP, isIPv6 } from 'node:net'
import type {
  AuthorizationOperation,
  AuthorizationPolicy,
  AuthorizationPolicyRule,
  AuthorizationSource,
} from '@ambient-lab/api'
import type {
  CidrRange,
  FilterConfig,
  HeaderMatcher,
  MetadataMatcher,
  Permission,
  Principal,
  RbacPolicy,
  RbacRules,
  StringMatcher,
  ValueMatcher,
} from './config.ts'

export interface IstiodInit {
  /** The mesh's own first. */
  readonly trustDomains: readonly string[]
  readonly forTcp: boolean
}

type Action = 'ALLOW' | 'DENY' | 'LOG'

/** A part of a rule that cannot be written down. */
class Unsupported extends Error {}

const JWT = 'envoy.filters.http.jwt_authn'
const NEVER: RbacPolicy = { permissions: [{ notRule: { any: true } }], principals: [{ notId: { any: true } }] }

/**
 * The RBAC filters that istiod writes for AUDIT, DENY and ALLOW policies: what the corpus shows by example, for policies
 * that it has not. Shares nothing with the translation under test; the corpus's examples judge it.
 */
export function rbacFilters(policies: readonly AuthorizationPolicy[], init: IstiodInit): FilterConfig[] {
  const of = (action: string) => policies.filter(({ spec }) => (spec?.action ?? 'ALLOW') === action)
  const name = init.forTcp ? 'envoy.filters.network.rbac' : 'envoy.filters.http.rbac'
  const filters = [
    { action: 'LOG' as const, own: of('AUDIT') },
    { action: 'DENY' as const, own: of('DENY') },
    { action: 'ALLOW' as const, own: of('ALLOW') },
  ]
  return filters.flatMap(({ action, own }) => {
    if (own.length === 0) return []
    const [enforced, shadow] = [own.filter((policy) => !isDryRun(policy)), own.filter(isDryRun)]
    const prefix = shadow.length > 0 && action === 'DENY' ? 'istio_dry_run_deny_' : 'istio_dry_run_allow_'
    const typedConfig = {
      ...(enforced.length > 0 && { rules: rulesOf(enforced, action, init) }),
      ...(shadow.length > 0 && { shadowRules: rulesOf(shadow, action, init) }),
      ...((shadow.length === 0 || action !== 'LOG') && { shadowRulesStatPrefix: prefix }),
      ...(init.forTcp && { statPrefix: 'tcp.' }),
    }
    return [{ name, typedConfig }]
  })
}

function isDryRun({ metadata }: AuthorizationPolicy): boolean {
  return metadata.annotations?.['istio.io/dry-run'] === 'true'
}

function rulesOf(own: readonly AuthorizationPolicy[], action: Action, init: IstiodInit): RbacRules {
  const policies: Record<string, RbacPolicy> = {}
  for (const { metadata, spec } of own) {
    const idOf = (index: number) => `ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${index}]`
    const rules = spec?.rules ?? []
    if (rules.length === 0) policies[idOf(0)] = NEVER
    for (const [index, rule] of rules.entries()) {
      const generated = new RuleGenerator(action, metadata.namespace ?? '', init).generate(rule)
      if (generated) policies[idOf(index)] = generated
    }
  }
  return { ...(action !== 'ALLOW' && { action }), ...(Object.keys(policies).length > 0 && { policies }) }
}

type OneValue<P> = (value: string) => P
type AllValues<P> = (values: readonly string[]) => P

class RuleGenerator {
  readonly #action: Action
  readonly #namespace: string
  readonly #init: IstiodInit

  constructor(action: Action, namespace: string, init: IstiodInit) {
    this.#action = action
    this.#namespace = namespace
    this.#init = init
  }

  /** Undefined: the rule is left out. */
  generate(rule: AuthorizationPolicyRule): RbacPolicy | undefined {
    try {
      const when = this.#conditions(rule)
      const to = rule.to?.length ? rule.to : [{}]
      const from = rule.from?.length ? rule.from : [{}]
      return {
        permissions: to.map(({ operation = {} }) => allOfRules([...this.#operation(operation), ...when.permissions])),
        principals: from.map(({ source = {} }) => allOfIds([...this.#source(source), ...when.principals])),
      }
    } catch (error) {
      if (error instanceof Unsupported) return undefined
      throw error
    }
  }

  #operation(operation: AuthorizationOperation): Permission[] {
    const header = (name: string, ignoreCase: boolean) => (value: string) => ({
      header: headerMatcher(name, value, ignoreCase),
    })
    return [
      ...this.#permissions(operation.hosts, operation.notHosts, this.#http(header(':authority', true))),
      ...this.#permissions(operation.methods, operation.notMethods, this.#http(header(':method', false))),
      ...this.#permissions(operation.paths, operation.notPaths, this.#http(pathPermission)),
      ...this.#permissions(operation.ports, operation.notPorts, destinationPort),
    ]
  }

  #source(source: AuthorizationSource): Principal[] {
    return [
      ...this.#principals(this.#aliases(source.principals), this.#aliases(source.notPrincipals), byPrincipal),
      ...this.#idsOfAll(source.requestPrincipals, source.notRequestPrincipals, this.#http(byRequestPrincipal)),
      ...this.#principals(source.serviceAccounts, source.notServiceAccounts, (value) => this.#byAccount(value)),
      ...this.#principals(this.#domains(source.trustDomains), this.#domains(source.notTrustDomains), byTrustDomain),
      ...this.#principals(source.namespaces, source.notNamespaces, byNamespace),
      ...this.#principals(source.remoteIpBlocks, source.notRemoteIpBlocks, (value) => ({ remoteIp: cidr(value) })),
      ...this.#principals(source.ipBlocks, source.notIpBlocks, (value) => ({ directRemoteIp: cidr(value) })),
    ]
  }

  #conditions({ when = [] }: AuthorizationPolicyRule): { permissions: Permission[]; principals: Principal[] } {
    const permissions: Permission[] = []
    const principals: Principal[] = []
    for (const { key, values, notValues } of when) {
      const ids = (generator: OneValue<Principal>) => principals.push(...this.#principals(values, notValues, generator))
      const rules = (generator: OneValue<Permission>) =>
        permissions.push(...this.#permissions(values, notValues, generator))
      const claims = (path: readonly string[]) =>
        principals.push(
          ...this.#idsOfAll(
            values,
            notValues,
            this.#http((all) => byClaim(path, all)),
          ),
        )
      if (key === 'destination.ip') rules((value) => ({ destinationIp: cidr(value) }))
      else if (key === 'destination.port') rules(destinationPort)
      else if (key === 'connection.sni') rules((value) => ({ requestedServerName: stringMatcher(value) }))
      else if (key === 'source.ip') ids((value) => ({ directRemoteIp: cidr(value) }))
      else if (key === 'remote.ip') ids((value) => ({ remoteIp: cidr(value) }))
      else if (key === 'source.namespace') ids(byNamespace)
      else if (key === 'source.serviceAccount') ids((value) => this.#byAccount(value))
      else if (key === 'source.trustDomain') {
        principals.push(...this.#principals(this.#domains(values), this.#domains(notValues), byTrustDomain))
      } else if (key === 'source.principal') {
        principals.push(...this.#principals(this.#aliases(values), this.#aliases(notValues), byPrincipal))
      } else if (key === 'request.auth.principal') {
        principals.push(...this.#idsOfAll(values, notValues, this.#http(byRequestPrincipal)))
      } else if (key === 'request.auth.audiences') claims(['aud'])
      else if (key === 'request.auth.presenter') claims(['azp'])
      else if (key.startsWith('request.auth.claims[')) claims(key.slice(20, -1).split(']['))
      else if (key.startsWith('request.headers[')) {
        ids(this.#http((value) => ({ header: headerMatcher(key.slice(16, -1), value, false) })))
      } else if (key.startsWith('experimental.')) {
        permissions.push(...this.#rulesOfAll(values, notValues, (all) => byMetadata(key, all)))
      } else throw new Unsupported(key)
    }
    return { permissions, principals }
  }

  /** A generator that has no place on a TCP chain. */
  #http<A, P>(generator: (argument: A) => P): (argument: A) => P {
    return (argument) => {
      if (this.#init.forTcp) throw new Unsupported('HTTP only')
      return generator(argument)
    }
  }

  #permissions(values: Values, notValues: Values, generator: OneValue<Permission>): Permission[] {
    const [any, none] = [this.#each(values, generator), this.#each(notValues, generator)]
    return [
      ...(any.length > 0 ? [{ orRules: { rules: any } }] : []),
      ...(none.length > 0 ? [{ notRule: { orRules: { rules: none } } }] : []),
    ]
  }

  #principals(values: Values, notValues: Values, generator: OneValue<Principal>): Principal[] {
    const [any, none] = [this.#each(values, generator), this.#each(notValues, generator)]
    return [
      ...(any.length > 0 ? [{ orIds: { ids: any } }] : []),
      ...(none.length > 0 ? [{ notId: { orIds: { ids: none } } }] : []),
    ]
  }

  #rulesOfAll(values: Values, notValues: Values, generator: AllValues<Permission>): Permission[] {
    return [...this.#all(values, generator), ...this.#all(notValues, generator).map((notRule) => ({ notRule }))]
  }

  #idsOfAll(values: Values, notValues: Values, generator: AllValues<Principal>): Principal[] {
    return [...this.#all(values, generator), ...this.#all(notValues, generator).map((notId) => ({ notId }))]
  }

  /** What cannot be written down costs an ALLOW its rule, and the others the value alone. */
  #each<P>(values: Values, generator: OneValue<P>): P[] {
    return (values ?? []).flatMap((value) => this.#all([value], () => generator(value)))
  }

  #all<P>(values: Values, generator: AllValues<P>): P[] {
    if (!values?.length) return []
    try {
      return [generator(values)]
    } catch (error) {
      if (error instanceof Unsupported && this.#action !== 'ALLOW') return []
      throw error
    }
  }

  #byAccount(value: string): Principal {
    const [account = '', namespace = this.#namespace] = value.split('/').reverse()
    return byName({ safeRegex: { regex: `spiffe://.+/ns/${quote(namespace)}/(.+/|)sa/${quote(account)}(/.+)?` } })
  }

  #aliases(principals: Values): Values {
    const { trustDomains } = this.#init
    return principals?.flatMap((principal) => {
      const [written = '', ...rest] = principal.split('/')
      if (rest.length !== 4 || written === '*') return [principal]
      const isOurs = (own: string) => own === written || fits(own, written) || fits(written, own)
      if (written !== 'cluster.local' && !trustDomains.some(isOurs)) return [principal]
      const isCovered = (own: string) => written.startsWith('*') && own.endsWith(written.slice(1))
      return [...new Set(trustDomains.map((own) => (isCovered(own) ? principal : [own, ...rest].join('/'))))]
    })
  }

  #domains(values: Values): Values {
    const { trustDomains } = this.#init
    return values && [...new Set(values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value])))]
  }
}

type Values = readonly string[] | undefined

function fits(text: string, pattern: string): boolean {
  if (pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1))) return true
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1))
}

function allOfRules(rules: readonly Permission[]): Permission {
  return { andRules: { rules: rules.length > 0 ? rules : [{ any: true }] } }
}

function allOfIds(ids: readonly Principal[]): Principal {
  return { andIds: { ids: ids.length > 0 ? ids : [{ any: true }] } }
}

function byName(principalName: StringMatcher): Principal {
  return { authenticated: { principalName } }
}

function byPrincipal(value: string): Principal {
  if (value === '*') return byName({ safeRegex: { regex: '.+' } })
  if (value.startsWith('*')) return byName({ safeRegex: { regex: `spiffe://.*${quote(value.slice(1))}` } })
  return byName(value.endsWith('*') ? { prefix: `spiffe://${value.slice(0, -1)}` } : { exact: `spiffe://${value}` })
}

function byNamespace(value: string): Principal {
  return byName({ safeRegex: { regex: `.*/ns/${value.split('*').map(quote).join('.*')}/.*` } })
}

function byTrustDomain(value: string): Principal {
  if (value === '*') return byName({ prefix: 'spiffe://' })
  if (!value.includes('*')) return byName({ prefix: `spiffe://${value}/` })
  const star = value.indexOf('*')
  const [before, after] = [value.slice(0, star), value.slice(star + 1)].map(quote)
  return byName({ safeRegex: { regex: `spiffe://${before}[^/]*${after}/.*` } })
}

function byRequestPrincipal(values: readonly string[]): Principal {
  const ids = values.map((value): Principal => {
    const slash = value.lastIndexOf('/')
    const [iss, sub] = slash < 0 ? [value, ''] : [value.slice(0, slash), value.slice(slash + 1)]
    const any: StringMatcher = { safeRegex: { regex: '.+' } }
    let [issuer, subject]: StringMatcher[] = [{ exact: iss }, { exact: sub }]
    if (value === '*') [issuer, subject] = [any, any]
    else if (value.startsWith('*') && slash >= 0) issuer = iss === '*' ? any : { suffix: iss.slice(1) }
    else if (value.startsWith('*')) [issuer, subject] = [any, { suffix: value.slice(1) }]
    else if (value.endsWith('*') && slash >= 0) subject = sub === '*' ? any : { prefix: sub.slice(0, -1) }
    else if (value.endsWith('*')) [issuer, subject] = [{ prefix: value.slice(0, -1) }, any]
    const claim = (key: string, stringMatch: StringMatcher) => ({ metadata: jwtMetadata([key], { stringMatch }) })
    return { andIds: { ids: [claim('iss', issuer!), claim('sub', subject!)] } }
  })
  return ids.length === 1 ? ids[0]! : { orIds: { ids } }
}

function byClaim(path: readonly string[], values: readonly string[]): Principal {
  const value = anyValue(values.map((text) => ({ stringMatch: stringMatcher(text) })))
  return { metadata: jwtMetadata(path, { orMatch: { valueMatchers: [{ listMatch: { oneOf: value } }, value] } }) }
}

function jwtMetadata(path: readonly string[], value: ValueMatcher): MetadataMatcher {
  return { filter: JWT, path: [{ key: 'payload' }, ...path.map((key) => ({ key }))], value }
}

function byMetadata(key: string, values: readonly string[]): Permission {
  const [filter = '', name = ''] = key.slice('experimental.'.length, -1).split('[')
  const value = anyValue(
    values.map((text) =>
      text.startsWith('[') && text.endsWith(']')
        ? { listMatch: { oneOf: { stringMatch: stringMatcher(text.slice(1, -1)) } } }
        : { stringMatch: stringMatcher(text) },
    ),
  )
  return { metadata: { filter, path: [{ key: name }], value } }
}

function anyValue(valueMatchers: readonly ValueMatcher[]): ValueMatcher {
  return valueMatchers.length === 1 ? valueMatchers[0]! : { orMatch: { valueMatchers } }
}

function pathPermission(value: string): Permission {
  if (!/\{\*\*?\}/.test(value)) return { urlPath: { path: stringMatcher(value) } }
  const pathTemplate = value.replaceAll('{*}', '*').replaceAll('{**}', '**')
  return { uriTemplate: { typedConfig: { pathTemplate } } }
}

function destinationPort(value: string): Permission {
  if (!/^\d+$/.test(value) || Number(value) > 65_535) throw new Unsupported(value)
  return { destinationPort: Number(value) }
}

function headerMatcher(name: string, value: string, ignoreCase: boolean): HeaderMatcher {
  if (value === '*') return { name, presentMatch: true }
  return { name, stringMatch: { ...stringMatcher(value), ...(ignoreCase && { ignoreCase }) } }
}

function stringMatcher(value: string): StringMatcher {
  if (value === '*') return { safeRegex: { regex: '.+' } }
  if (value.startsWith('*')) return { suffix: value.slice(1) }
  return value.endsWith('*') ? { prefix: value.slice(0, -1) } : { exact: value }
}

/** As Go's: host bits are cleared where it matters, in the comparison. */
function cidr(value: string): CidrRange {
  const [addressPrefix = '', length] = value.split('/')
  if (isIP(addressPrefix) === 0) throw new Unsupported(value)
  return { addressPrefix, prefixLen: length === undefined ? (isIPv6(addressPrefix) ? 128 : 32) : Number(length) }
}

/** Go's `regexp.QuoteMeta`. */
function quote(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}

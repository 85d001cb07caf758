import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicy,
  AuthorizationPolicyRule,
  AuthorizationSource,
} from '@ambient-lab/api'
import type {
  HttpAuthorization,
  HttpAuthorizationClause,
  HttpAuthorizationMatch,
  HttpAuthorizationRule,
} from '@ambient-lab/policy'
import { extAuthzProblem } from '../extension-provider.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { isDryRun } from './authorization.ts'
import { type Converted, convertField, type FieldName, fieldOfKey, isHttpField } from './http-authorization-fields.ts'

/** What a policy's author should know about what became of it. */
export interface HttpPolicyFinding {
  /** Of the policy as written, from 0. */
  readonly rule: number
  /** `hosts`, `request.headers[x]`. */
  readonly field: string
  /** Whether the whole rule is left out, or the field's values that are at fault. */
  readonly consequence: 'rule-skipped' | 'values-skipped'
  readonly reason: string
}

export interface HttpTranslation {
  /** Undefined: there is nothing to enforce. */
  readonly authorization: HttpAuthorization | undefined
  readonly findings: readonly HttpPolicyFinding[]
}

export type AuthorizationMesh = Pick<MeshConfig, 'trustDomain' | 'trustDomainAliases' | 'extensionProviders'>

/**
 * A policy as a waypoint enforces it on requests. What cannot be enforced is left out so that less is allowed: of an
 * ALLOW policy the whole rule; of any other the value, and with its last value the field, so that the rule matches more.
 * @see istiod's authorization builder, whose RBAC the outcome is equal to
 */
export function translateHttpAuthorization(policy: AuthorizationPolicy, mesh: AuthorizationMesh): HttpTranslation {
  return translate(policy, mesh, false)
}

/** The same for connections whose bytes nobody reads: fields that need HTTP are among those that cannot be enforced. */
export function translateTcpAuthorization(policy: AuthorizationPolicy, mesh: AuthorizationMesh): HttpTranslation {
  const { action, provider } = policy.spec ?? {}
  const isHttpOnly = mesh.extensionProviders.some(({ name, envoyExtAuthzHttp }) => {
    return name === provider?.name && envoyExtAuthzHttp !== undefined
  })
  // A provider that speaks HTTP has no form for connections: Istio leaves such policies out without a word.
  const isUseless = action === 'CUSTOM' && isHttpOnly && !extAuthzProblem(mesh.extensionProviders, provider?.name ?? '')
  return isUseless ? { authorization: undefined, findings: [] } : translate(policy, mesh, true)
}

function translate(policy: AuthorizationPolicy, mesh: AuthorizationMesh, forTcp: boolean): HttpTranslation {
  const { name, namespace = '' } = policy.metadata
  const { action = 'ALLOW', rules = [], provider } = policy.spec ?? {}
  const findings: HttpPolicyFinding[] = []
  const translated = rules.flatMap((rule, index) => {
    const writer = new RuleWriter({ namespace, mesh, forTcp, isStrict: action === 'ALLOW', index, findings })
    return writer.write(rule) ?? []
  })
  const authorization: HttpAuthorization = {
    name,
    namespace,
    action,
    rules: translated,
    dryRun: isDryRun(policy),
    ...(action === 'CUSTOM' && { provider: providerOf(provider?.name ?? '', mesh) }),
  }
  return { authorization, findings }
}

function providerOf(name: string, { extensionProviders }: AuthorizationMesh): { name: string; problem?: string } {
  const problem = extAuthzProblem(extensionProviders, name)
  return problem === undefined ? { name } : { name, problem }
}

interface RuleContext {
  readonly namespace: string
  readonly mesh: AuthorizationMesh
  readonly forTcp: boolean
  /** Whether a rule is left out when a part of it cannot be enforced. */
  readonly isStrict: boolean
  readonly index: number
  readonly findings: HttpPolicyFinding[]
}

/** Writes one rule. */
class RuleWriter {
  readonly #context: RuleContext
  #isSkipped = false

  constructor(context: RuleContext) {
    this.#context = context
  }

  /** Undefined: the rule is left out. */
  write(rule: AuthorizationPolicyRule): HttpAuthorizationRule | undefined {
    const clauses = [
      ...this.#clause('to', rule.to, ({ operation = {} }) => this.#operation(operation)),
      ...this.#clause('from', rule.from, ({ source = {} }) => this.#source(source)),
      ...(rule.when ?? []).flatMap((condition) => this.#condition(condition)),
    ]
    return this.#isSkipped ? undefined : { index: this.#context.index, clauses }
  }

  /** None when some item matches anything, for then all of it does. */
  #clause<T>(
    part: 'from' | 'to',
    items: readonly T[] | undefined,
    matchOf: (item: T) => HttpAuthorizationMatch,
  ): HttpAuthorizationClause[] {
    const matches = (items ?? []).map(matchOf)
    if (matches.length === 0 || matches.some((match) => Object.keys(match).length === 0)) return []
    return [{ part, matches }]
  }

  #operation(operation: AuthorizationOperation): HttpAuthorizationMatch {
    return {
      ...this.#field('hosts', 'hosts', operation.hosts, operation.notHosts),
      ...this.#field('methods', 'methods', operation.methods, operation.notMethods),
      ...this.#field('paths', 'paths', operation.paths, operation.notPaths),
      ...this.#field('ports', 'destinationPorts', operation.ports, operation.notPorts),
    }
  }

  #source(source: AuthorizationSource): HttpAuthorizationMatch {
    return {
      ...this.#field('principals', 'principals', source.principals, source.notPrincipals),
      ...this.#field('requestPrincipals', 'requestPrincipals', source.requestPrincipals, source.notRequestPrincipals),
      ...this.#field('serviceAccounts', 'serviceAccounts', source.serviceAccounts, source.notServiceAccounts),
      ...this.#field('trustDomains', 'trustDomains', source.trustDomains, source.notTrustDomains),
      ...this.#field('namespaces', 'namespaces', source.namespaces, source.notNamespaces),
      ...this.#field('remoteIpBlocks', 'remoteIps', source.remoteIpBlocks, source.notRemoteIpBlocks),
      ...this.#field('ipBlocks', 'sourceIps', source.ipBlocks, source.notIpBlocks),
    }
  }

  #condition({ key, values, notValues }: AuthorizationCondition): HttpAuthorizationClause[] {
    const field = fieldOfKey(key)
    if (!field) {
      this.#skip(key, 'is no attribute')
      return []
    }
    const match = this.#field(key, field, values, notValues)
    return Object.keys(match).length > 0 ? [{ part: 'when', matches: [match] }] : []
  }

  #field(
    written: string,
    field: FieldName,
    values: readonly string[] | undefined,
    notValues: readonly string[] | undefined,
  ): HttpAuthorizationMatch {
    if (!values?.length && !notValues?.length) return {}
    if (this.#context.forTcp && isHttpField(field)) {
      this.#refuse(written, 'needs HTTP')
      return {}
    }
    const negative = `not${field[0]!.toUpperCase()}${field.slice(1)}`
    return {
      ...this.#values(written, field, field, values),
      ...this.#values(written, field, negative, notValues),
    }
  }

  #values(
    written: string,
    field: FieldName,
    name: string,
    values: readonly string[] | undefined,
  ): HttpAuthorizationMatch {
    const converted: Converted[] = []
    for (const value of convertField(field, written, values ?? [], this.#context)) {
      if ('problem' in value) this.#refuse(written, value.problem)
      else converted.push(value.match)
    }
    return converted.length > 0 ? { [name]: converted } : {}
  }

  /** A value or a field that cannot be enforced. */
  #refuse(field: string, reason: string): void {
    if (this.#context.isStrict) this.#skip(field, reason)
    else this.#report(field, reason, 'values-skipped')
  }

  #skip(field: string, reason: string): void {
    this.#isSkipped = true
    this.#report(field, reason, 'rule-skipped')
  }

  #report(field: string, reason: string, consequence: HttpPolicyFinding['consequence']): void {
    this.#context.findings.push({ rule: this.#context.index, field, consequence, reason })
  }
}

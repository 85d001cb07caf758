import {
  type AuthorizationCondition,
  type AuthorizationOperation,
  type AuthorizationPolicy,
  type AuthorizationPolicyRule,
  type AuthorizationSource,
  HTTP_OPERATION_FIELDS,
  HTTP_SOURCE_FIELDS,
} from '@ambient-lab/api'
import type { Authorization, AuthorizationClause, AuthorizationMatch, AuthorizationRule } from '@ambient-lab/xds'
import type { MeshConfig } from '../mesh-config.ts'
import { cidrs, ports, serviceAccountMatch, stringMatch } from './authorization-values.ts'

/** Why a policy is not, or not wholly, what its author asked for. */
export interface PolicyFinding {
  readonly reason: 'UnsupportedValue'
  readonly message: string
}

export interface ConvertedPolicy {
  /** What ztunnel gets; undefined: nothing. */
  readonly authorization: Authorization | undefined
  /** Undefined: all of it is enforced as asked, or it is not meant for ztunnel at all. */
  readonly finding: PolicyFinding | undefined
}

type Match = { -readonly [K in keyof AuthorizationMatch]: AuthorizationMatch[K] }

const DRY_RUN_ANNOTATION = 'istio.io/dry-run'

/** What of the mesh's settings decides about the L4 part of a policy. */
export type L4PolicyMesh = Pick<MeshConfig, 'rootNamespace' | 'dryRunAtZtunnel'>

/** Whether ztunnel is where this policy is asked, wholly or in part. */
export function isForZtunnel(policy: AuthorizationPolicy, { dryRunAtZtunnel }: L4PolicyMesh): boolean {
  const action = policy.spec?.action ?? 'ALLOW'
  const isMeant = dryRunAtZtunnel || !isDryRun(policy)
  return !hasTarget(policy) && isMeant && (action === 'ALLOW' || action === 'DENY')
}

/** Empty for a policy that holds for a whole namespace, or for the mesh. */
export function policySelector(policy: AuthorizationPolicy): Readonly<Record<string, string>> {
  return policy.spec?.selector?.matchLabels ?? {}
}

export function hasTarget({ spec }: AuthorizationPolicy): boolean {
  return spec?.targetRef !== undefined || (spec?.targetRefs?.length ?? 0) > 0
}

export function isDryRun(policy: AuthorizationPolicy): boolean {
  // What Go's strconv.ParseBool takes for true.
  return /^(1|t|T|TRUE|true|True)$/.test(policy.metadata.annotations?.[DRY_RUN_ANNOTATION] ?? '')
}

/**
 * The L4 part of a policy. What needs HTTP is left out: of an ALLOW policy the whole rule, so that less is allowed;
 * of a DENY policy the attribute alone, and a part of a rule that held nothing else becomes a match that never matches.
 * @see reference: istio/istio pilot/pkg/serviceregistry/ambient, which this follows to the word in its findings
 */
export function convertAuthorizationPolicy(policy: AuthorizationPolicy, mesh: L4PolicyMesh): ConvertedPolicy {
  const action = policy.spec?.action ?? 'ALLOW'
  if (hasTarget(policy)) return { authorization: undefined, finding: undefined }
  if (action !== 'ALLOW' && action !== 'DENY') return refused(`ztunnel does not support the ${action} action`)
  const dryRun = isDryRun(policy)
  if (dryRun && !mesh.dryRunAtZtunnel) {
    return refused(
      'ztunnel does not enforce or log dry-run policies unless AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY is set for the control plane',
    )
  }
  const namespace = policy.metadata.namespace ?? ''
  const found = new Set<string>()
  const rules = (policy.spec?.rules ?? []).flatMap((rule) => {
    const converted = convertRule(rule, namespace)
    for (const attribute of converted.http) found.add(attribute)
    return action === 'ALLOW' && converted.http.length > 0 ? [] : [{ clauses: converted.clauses }]
  })
  const scope = scopeOf(policy, mesh.rootNamespace)
  const authorization = { name: policy.metadata.name, namespace, scope, action, rules, dryRun }
  return { authorization, finding: found.size === 0 ? undefined : httpFinding(authorization, [...found].sort()) }
}

function refused(message: string): ConvertedPolicy {
  return { authorization: undefined, finding: { reason: 'UnsupportedValue', message } }
}

function scopeOf(policy: AuthorizationPolicy, rootNamespace: string): Authorization['scope'] {
  if (Object.keys(policySelector(policy)).length > 0) return 'WORKLOAD_SELECTOR'
  return policy.metadata.namespace === rootNamespace ? 'GLOBAL' : 'NAMESPACE'
}

function httpFinding({ action, rules }: Authorization, attributes: readonly string[]): PolicyFinding {
  const consequence =
    action === 'ALLOW'
      ? 'Within an ALLOW policy, rules matching HTTP attributes are omitted. This will be more restrictive than requested.'
      : rules.some(canMatch)
        ? 'DENY policy with HTTP attributes is enforced without the HTTP rules. This will be more restrictive than requested.'
        : 'After omitting unsupported HTTP attributes, this DENY policy has no enforceable rules at ztunnel and will have no effect. Deploy a waypoint proxy and use a targetRef to enforce this policy.'
  return {
    reason: 'UnsupportedValue',
    message: `ztunnel does not support HTTP attributes (found: ${attributes.join(', ')}). In ambient mode you must use a waypoint proxy to enforce HTTP rules. ${consequence}`,
  }
}

/** An empty match never matches, so neither does a clause that has nothing else, nor a rule with such a clause. */
function canMatch({ clauses }: AuthorizationRule): boolean {
  return clauses.every(({ matches }) => matches.length === 0 || matches.some((match) => Object.keys(match).length > 0))
}

function convertRule(
  rule: AuthorizationPolicyRule,
  namespace: string,
): { clauses: AuthorizationClause[]; http: string[] } {
  const clauses: AuthorizationClause[] = []
  const http: string[] = []
  if (rule.to && rule.to.length > 0) {
    for (const { operation = {} } of rule.to) http.push(...present(operation, HTTP_OPERATION_FIELDS))
    clauses.push({ matches: rule.to.map(({ operation = {} }) => operationMatch(operation)) })
  }
  if (rule.from && rule.from.length > 0) {
    for (const { source = {} } of rule.from) http.push(...present(source, HTTP_SOURCE_FIELDS))
    clauses.push({ matches: rule.from.map(({ source = {} }) => sourceMatch(source, namespace)) })
  }
  for (const condition of rule.when ?? []) {
    const match = conditionMatch(condition)
    if (!match) http.push(condition.key)
    clauses.push({ matches: [match ?? {}] })
  }
  return { clauses, http }
}

function present<T extends object>(part: T, names: readonly (keyof T & string)[]): string[] {
  return names.filter((name) => (part[name] as readonly string[] | undefined)?.length)
}

function sourceMatch(source: AuthorizationSource, namespace: string): AuthorizationMatch {
  return withoutEmpty({
    principals: source.principals?.map(stringMatch),
    notPrincipals: source.notPrincipals?.map(stringMatch),
    namespaces: source.namespaces?.map(stringMatch),
    notNamespaces: source.notNamespaces?.map(stringMatch),
    serviceAccounts: source.serviceAccounts?.map((text) => serviceAccountMatch(text, namespace)),
    notServiceAccounts: source.notServiceAccounts?.map((text) => serviceAccountMatch(text, namespace)),
    sourceIps: cidrs(source.ipBlocks),
    notSourceIps: cidrs(source.notIpBlocks),
  })
}

function operationMatch(operation: AuthorizationOperation): AuthorizationMatch {
  return withoutEmpty({
    destinationPorts: ports(operation.ports),
    notDestinationPorts: ports(operation.notPorts),
  })
}

/** Undefined for keys that ztunnel cannot see. */
function conditionMatch({ key, values, notValues }: AuthorizationCondition): AuthorizationMatch | undefined {
  switch (key) {
    case 'source.ip':
      return withoutEmpty({ sourceIps: cidrs(values), notSourceIps: cidrs(notValues) })
    case 'source.namespace':
      return withoutEmpty({ namespaces: values?.map(stringMatch), notNamespaces: notValues?.map(stringMatch) })
    case 'source.principal':
      return withoutEmpty({ principals: values?.map(stringMatch), notPrincipals: notValues?.map(stringMatch) })
    case 'destination.ip':
      return withoutEmpty({ destinationIps: cidrs(values), notDestinationIps: cidrs(notValues) })
    case 'destination.port':
      return withoutEmpty({ destinationPorts: ports(values), notDestinationPorts: ports(notValues) })
    default:
      return undefined
  }
}

function withoutEmpty(fields: { readonly [K in keyof Match]: Match[K] | undefined }): AuthorizationMatch {
  const entries = Object.entries(fields).filter(([, values]) => values && values.length > 0)
  return Object.fromEntries(entries)
}

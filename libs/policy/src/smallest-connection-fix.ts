import type { Authorization } from './authorization.ts'
import type { CompiledPolicy } from './compiled-policy.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import { evaluate } from './evaluate.ts'
import {
  callerException,
  fixOf,
  freeName,
  type PolicyChange,
  type PolicyFix,
  ruleNames,
  withClause,
} from './policy-fix.ts'
import type { ApplicablePolicies } from './policy-set.ts'

/** The workload whose policies decided. */
export interface FixedWorkload {
  readonly name: string
  readonly namespace: string
}

/** Istio's names of the L4 policies that istiod makes of PeerAuthentications; nobody writes them. */
export const STATIC_STRICT_NAME = 'istio_converted_static_strict'
export const CONVERTED_PREFIX = 'converted_peer_authentication_'

/**
 * The smallest change of policies that turns the verdict on one connection at a ztunnel round, as `smallestFix` does for
 * requests. A new policy selects this workload only: an ALLOW for the namespace would shut its other workloads. Where
 * STRICT mutual TLS refuses, nobody can be excepted: the port becomes PERMISSIVE, and the text says for whom.
 *
 * A change whose `after` has another key than its `before` is attached to the workload in the place of that.
 */
export function smallestConnectionFix(
  facts: ConnectionFacts,
  applicable: ApplicablePolicies,
  workload: FixedWorkload,
): PolicyFix<Authorization> {
  const { deny, allow } = applicable
  return fixOf(
    {
      // Who, and at which port.
      ...{ point: 'ztunnel', facts, deny, allow, newPolicyCost: 2 },
      newPolicy: (action) => newPolicy(action, facts, applicable, workload),
      exempt: (policy, rules) =>
        isConverted(policy.source) ? permit(policy, rules, facts, workload) : exceptCaller(policy, rules, facts),
    },
    evaluate(facts, applicable).allowed,
  )
}

function exceptCaller(
  { source, key }: CompiledPolicy<Authorization>,
  rules: readonly number[],
  facts: ConnectionFacts,
): PolicyChange<Authorization> {
  const { match, text } = callerException(facts)
  return {
    before: source,
    after: withClause(source, rules, { matches: [match] }),
    text: `DENY ${key}, ${ruleNames(rules)}: except ${text}`,
  }
}

/** The port PERMISSIVE, in the workload's PeerAuthentication where it has one of its own, else in a new one. */
function permit(
  { source }: CompiledPolicy<Authorization>,
  rules: readonly number[],
  { destinationPort }: ConnectionFacts,
  { name, namespace }: FixedWorkload,
): PolicyChange<Authorization> {
  const edited = withClause(source, rules, { matches: [{ notDestinationPorts: [destinationPort] }] })
  const isShared = source.name === STATIC_STRICT_NAME
  const own = `${name}-${destinationPort}`
  const after = isShared ? { ...edited, name: `${CONVERTED_PREFIX}${own}`, namespace } : edited
  const author = isShared
    ? `new PeerAuthentication ${namespace}/${own} for ${name}`
    : `PeerAuthentication ${namespace}/${source.name.slice(CONVERTED_PREFIX.length)}`
  return {
    before: source,
    after,
    text: `${author}: port ${destinationPort} PERMISSIVE, for everybody who speaks plaintext`,
  }
}

function isConverted({ name }: Authorization): boolean {
  return name === STATIC_STRICT_NAME || name.startsWith(CONVERTED_PREFIX)
}

/** For this caller, this port and this workload, and nothing else. */
function newPolicy(
  action: 'ALLOW' | 'DENY',
  { principal, identity, init, destinationPort }: ConnectionFacts,
  { deny, allow }: ApplicablePolicies,
  { name, namespace }: FixedWorkload,
): PolicyChange<Authorization> {
  const who = identity?.serviceAccount ?? 'plaintext'
  const caller = principal === undefined ? { sourceIps: [init.sourceIp] } : { principals: [{ exact: principal }] }
  const wanted = `${action.toLowerCase()}-${who}-to-${name}-${destinationPort}`
  const after: Authorization = {
    name: freeName(wanted, namespace, [deny, allow]),
    namespace,
    scope: 'WORKLOAD_SELECTOR',
    action,
    dryRun: false,
    rules: [{ clauses: [{ matches: [caller] }, { matches: [{ destinationPorts: [destinationPort] }] }] }],
  }
  const whom = principal ?? init.sourceIp
  return {
    before: undefined,
    after,
    text: `new ${action} ${namespace}/${after.name} for ${name}: port ${destinationPort} from ${whom}`,
  }
}

import { evaluateRequest } from './evaluate-request.ts'
import type { Facts } from './facts.ts'
import type { HttpAuthorization, HttpAuthorizationMatch } from './http-authorization.ts'
import type { HttpPolicies } from './http-policies.ts'
import {
  callerException,
  fixOf,
  freeName,
  type PolicyChange,
  type PolicyFix,
  ruleNames,
  withClause,
} from './policy-fix.ts'

/**
 * The smallest change of policies that turns the verdict on one request (or, with a connection's facts, on a TCP
 * connection) at a waypoint round. What was denied: every DENY that matches lets this caller out, and where an ALLOW has
 * to match, a value is added to the ALLOW that is closest, or there is a new one for just this. What was allowed: a new
 * DENY for just this. Proposes, and changes nothing.
 * @param place where a new policy would be
 */
export function smallestFix(
  facts: Facts,
  policies: HttpPolicies,
  place: { readonly namespace: string },
): PolicyFix<HttpAuthorization> {
  const { deny, allow } = policies
  const asked = questionOf(facts)
  return fixOf(
    {
      ...{ point: 'waypoint', facts, deny, allow, newPolicyCost: 1 + Object.keys(asked.match).length },
      newPolicy: (action) => newPolicy(action, facts, policies, place.namespace),
      exempt: ({ source, key }, rules) => {
        const { match, text } = callerException(facts)
        return {
          before: source,
          after: withClause(source, rules, { part: 'when', matches: [match] }),
          text: `DENY ${key}, ${ruleNames(rules)}: except ${text}`,
        }
      },
    },
    evaluateRequest(facts, policies).allowed,
  )
}

/** For this caller, and for what it asks, and nothing else. */
function newPolicy(
  action: 'ALLOW' | 'DENY',
  facts: Facts,
  { custom, audit, deny, allow }: HttpPolicies,
  namespace: string,
): PolicyChange<HttpAuthorization> {
  const { principal, identity, init } = facts.connection
  const { match, word, text } = questionOf(facts)
  const who = identity?.serviceAccount ?? 'plaintext'
  const caller = principal === undefined ? { sourceIps: [init.sourceIp] } : { principals: [{ exact: principal }] }
  const tables = [...custom.map(({ table }) => table), audit, deny, allow]
  const after: HttpAuthorization = {
    name: freeName(`${action.toLowerCase()}-${who}-${word}`, namespace, tables),
    namespace,
    action,
    dryRun: false,
    rules: [
      {
        index: 0,
        clauses: [
          { part: 'to', matches: [match] },
          { part: 'from', matches: [caller] },
        ],
      },
    ],
  }
  const whom = principal ?? init.sourceIp
  return { before: undefined, after, text: `new ${action} ${namespace}/${after.name}: ${text} from ${whom}` }
}

/** What was asked for: a method and a path, or a port where nobody reads HTTP. */
function questionOf({ request, connection }: Facts): {
  readonly match: HttpAuthorizationMatch
  readonly word: string
  readonly text: string
} {
  if (!request) {
    const { destinationPort } = connection
    return {
      match: { destinationPorts: [destinationPort] },
      word: `${destinationPort}`,
      text: `port ${destinationPort}`,
    }
  }
  const { method } = request.view
  return {
    match: { methods: [{ exact: method }], paths: [{ exact: request.path }] },
    word: method.toLowerCase(),
    text: `${method} ${request.path}`,
  }
}

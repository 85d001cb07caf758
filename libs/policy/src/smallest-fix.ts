import type { CompiledClause, CompiledRule } from './compiled-policy.ts'
import { evaluateRequest } from './evaluate-request.ts'
import { closestValue, withoutValues } from './field-edits.ts'
import type { MatchField } from './field-kind.ts'
import type {
  HttpAuthorization,
  HttpAuthorizationMatch,
  HttpAuthorizationRule,
  RulePart,
} from './http-authorization.ts'
import type { HttpPolicies, HttpPolicy } from './http-policies.ts'
import type { Predicate } from './matchers.ts'
import type { RequestFacts } from './request-facts.ts'
import { writtenName } from './written-names.ts'

/** One policy changed, or one more. */
export interface PolicyChange {
  /** Undefined: the policy is new. */
  readonly before: HttpAuthorization | undefined
  readonly after: HttpAuthorization
  /** For people: `ALLOW default/reviews, rule 1: add POST to methods`. */
  readonly text: string
}

/** Changes that turn a verdict round together, none of them for nothing. */
export interface PolicyFix {
  readonly changes: readonly PolicyChange[]
}

/** A new policy for one request has three values (who, method, path): an edit with fewer is smaller. */
const NEW_POLICY_COST = 3

/** A way to make one rule hold, as edits of its matches. */
interface RuleEdit {
  readonly policy: HttpPolicy
  readonly rule: CompiledRule
  /** Values that it adds or takes away. */
  readonly cost: number
  readonly edits: readonly MatchEdit[]
}

interface MatchEdit {
  readonly clause: number
  readonly match: number
  readonly field: MatchField
  readonly values: readonly unknown[]
  readonly text: string
}

/**
 * The smallest change of policies that turns the verdict on one request round. A denied request: every DENY that matches
 * lets this caller out, and where an ALLOW has to match, a value is added to the ALLOW that is closest, or there is a new
 * one for just this request. An allowed one: a new DENY for just this request. Proposes, and changes nothing.
 * @param place where a new policy would be
 */
export function smallestFix(
  facts: RequestFacts,
  policies: HttpPolicies,
  place: { readonly namespace: string },
): PolicyFix {
  if (evaluateRequest(facts, policies).allowed)
    return { changes: [newPolicy('DENY', facts, policies, place.namespace)] }
  const exemptions = policies.deny.policies.filter(isEnforced).flatMap((policy) => exempt(policy, facts) ?? [])
  const needsAllow = policies.allow.isEnforced && !policies.allow.match(facts)
  return { changes: needsAllow ? [...exemptions, smallestAllow(facts, policies, place.namespace)] : exemptions }
}

function isEnforced({ source }: HttpPolicy): boolean {
  return !source.dryRun
}

/** The DENY without this caller, by a condition more for each rule that holds; undefined when none does. */
function exempt(policy: HttpPolicy, facts: RequestFacts): PolicyChange | undefined {
  const holding = policy.rules.filter((rule) => rule.clauses.every((clause) => clauseHolds(clause, facts)))
  if (holding.length === 0) return undefined
  const indexes = new Set(holding.map(({ index }) => index))
  const { match, text } = callerException(facts)
  const rules = policy.source.rules.map((rule) =>
    indexes.has(rule.index)
      ? { ...rule, clauses: [...rule.clauses, { part: 'when' as const, matches: [match] }] }
      : rule,
  )
  const places = [...indexes].sort((a, b) => a - b).map((index) => `rule ${index + 1}`)
  return {
    before: policy.source,
    after: { ...policy.source, rules },
    text: `DENY ${policy.key}, ${places.join(', ')}: except ${text}`,
  }
}

function callerException({ connection }: RequestFacts): { match: HttpAuthorizationMatch; text: string } {
  const { principal, init } = connection
  if (principal === undefined) return { match: { notSourceIps: [init.sourceIp] }, text: `source.ip ${init.sourceIp}` }
  return { match: { notPrincipals: [{ exact: principal }] }, text: `source.principal ${principal}` }
}

function smallestAllow(facts: RequestFacts, policies: HttpPolicies, namespace: string): PolicyChange {
  let best: RuleEdit | undefined
  for (const policy of policies.allow.policies.filter(isEnforced)) {
    for (const rule of policy.rules) {
      const edit = editOf(policy, rule, facts)
      if (edit && edit.cost < (best?.cost ?? NEW_POLICY_COST)) best = edit
    }
  }
  return best ? applyEdit(best) : newPolicy('ALLOW', facts, policies, namespace)
}

/** What would make the rule hold; undefined when no change of values does. */
function editOf(policy: HttpPolicy, rule: CompiledRule, facts: RequestFacts): RuleEdit | undefined {
  const source = sourceOf(policy, rule)
  const edits: MatchEdit[] = []
  for (const [clause, compiled] of rule.clauses.entries()) {
    if (clauseHolds(compiled, facts)) continue
    const { part, matches } = source.clauses[clause]!
    const options = compiled.matches.map((predicates, match) =>
      editsOf(predicates, matches[match]!, { part, clause, match }, facts),
    )
    const [smallest] = options.filter((option) => option !== undefined).sort((a, b) => a.length - b.length)
    if (!smallest) return undefined
    edits.push(...smallest)
  }
  return { policy, rule, edits, cost: edits.length }
}

function editsOf(
  predicates: readonly Predicate[],
  match: HttpAuthorizationMatch,
  { part, ...place }: { readonly part: RulePart; readonly clause: number; readonly match: number },
  facts: RequestFacts,
): readonly MatchEdit[] | undefined {
  if (predicates.length === 0) return undefined
  const edits: MatchEdit[] = []
  for (const { field, test } of predicates) {
    if (test(facts)) continue
    const values: readonly unknown[] = match[field] ?? []
    const change = field.startsWith('not') ? withoutValues(field, values, facts) : withClosest(field, values, facts)
    if (!change) return undefined
    const preposition = field.startsWith('not') ? 'out of' : 'to'
    const text = `${change.text} ${preposition} ${writtenName(field, part)}`
    edits.push({ ...place, field, values: change.values, text })
  }
  return edits
}

function withClosest(
  field: MatchField,
  values: readonly unknown[],
  facts: RequestFacts,
): { readonly values: readonly unknown[]; readonly text: string } | undefined {
  const closest = closestValue(field, values, facts)
  return closest && { values: [...values, closest.value], text: `add ${closest.text}` }
}

function clauseHolds({ matches }: CompiledClause, facts: RequestFacts): boolean {
  if (matches.length === 0) return true
  return matches.some((predicates) => predicates.length > 0 && predicates.every(({ test }) => test(facts)))
}

function sourceOf(policy: HttpPolicy, { index }: CompiledRule): HttpAuthorizationRule {
  return policy.source.rules.find((rule) => rule.index === index)!
}

function applyEdit({ policy, rule, edits }: RuleEdit): PolicyChange {
  const source = sourceOf(policy, rule)
  const clauses = source.clauses.flatMap((clause, clauseIndex) => {
    const matches = clause.matches.map((match, matchIndex) => {
      const own = edits.filter((edit) => edit.clause === clauseIndex && edit.match === matchIndex)
      const changed = { ...match, ...Object.fromEntries(own.map(({ field, values }) => [field, values])) }
      return Object.fromEntries(Object.entries(changed).filter(([, values]) => values.length > 0))
    })
    // A match that has nothing left to ask is meant to hold, and then so does its clause.
    const isBare = matches.some((match, index) => isEmpty(match) && !isEmpty(clause.matches[index]!))
    return isBare ? [] : [{ ...clause, matches }]
  })
  const rules = policy.source.rules.map((one) => (one === source ? { ...one, clauses } : one))
  const text = edits.map((edit) => edit.text).join('; ')
  return {
    before: policy.source,
    after: { ...policy.source, rules },
    text: `ALLOW ${policy.key}, rule ${rule.index + 1}: ${text}`,
  }
}

function isEmpty(match: HttpAuthorizationMatch): boolean {
  return Object.keys(match).length === 0
}

/** For this caller, this method and this path, and nothing else. */
function newPolicy(
  action: 'ALLOW' | 'DENY',
  facts: RequestFacts,
  policies: HttpPolicies,
  namespace: string,
): PolicyChange {
  const { principal, identity, init } = facts.connection
  const { method } = facts.view
  const who = identity?.serviceAccount ?? 'plaintext'
  const caller = principal === undefined ? { sourceIps: [init.sourceIp] } : { principals: [{ exact: principal }] }
  const after: HttpAuthorization = {
    name: freeName(`${action.toLowerCase()}-${who}-${method.toLowerCase()}`, policies, namespace),
    namespace,
    action,
    dryRun: false,
    rules: [
      {
        index: 0,
        clauses: [
          { part: 'to', matches: [{ methods: [{ exact: method }], paths: [{ exact: facts.path }] }] },
          { part: 'from', matches: [caller] },
        ],
      },
    ],
  }
  const text = `new ${action} ${namespace}/${after.name}: ${method} ${facts.path} from ${principal ?? init.sourceIp}`
  return { before: undefined, after, text }
}

/** The name, with a number behind it when it is taken. */
function freeName(name: string, { custom, audit, deny, allow }: HttpPolicies, namespace: string): string {
  const tables = [...custom.map(({ table }) => table), audit, deny, allow]
  const taken = new Set(tables.flatMap(({ policies }) => policies.map(({ key }) => key)))
  let free = name
  for (let number = 2; taken.has(`${namespace}/${free}`); number += 1) free = `${name}-${number}`
  return free
}

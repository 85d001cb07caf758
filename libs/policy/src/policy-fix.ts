import type { AuthorizationClause, AuthorizationRule } from './authorization.ts'
import type { CompiledClause, CompiledPolicy, CompiledRule, PolicySource } from './compiled-policy.ts'
import type { Facts } from './facts.ts'
import { closestValue, withoutValues } from './field-edits.ts'
import type { MatchField } from './field-kind.ts'
import type { HttpAuthorizationMatch, RulePart } from './http-authorization.ts'
import type { EnforcementPoint, Predicate } from './matchers.ts'
import type { PolicyTable } from './policy-table.ts'
import { partAtL4, writtenName } from './written-names.ts'

/** One policy changed, or one more. */
export interface PolicyChange<S extends PolicySource = PolicySource> {
  /** Undefined: the policy is new. */
  readonly before: S | undefined
  readonly after: S
  /** For people: `ALLOW default/reviews, rule 0: add POST to methods`. */
  readonly text: string
}

/** Changes that turn a verdict round together, none of them for nothing. */
export interface PolicyFix<S extends PolicySource = PolicySource> {
  readonly changes: readonly PolicyChange<S>[]
}

/** What was decided where, and what whoever writes policies for that place can do besides editing values. */
export interface FixGround<S extends PolicySource> {
  readonly point: EnforcementPoint
  readonly facts: Facts
  readonly deny: PolicyTable<CompiledPolicy<S>>
  readonly allow: PolicyTable<CompiledPolicy<S>>
  /** Values in a new policy for just these facts: an edit with fewer is smaller. */
  readonly newPolicyCost: number
  newPolicy(action: 'ALLOW' | 'DENY'): PolicyChange<S>
  /** The DENY without this caller. @param rules indexes of those that hold, ascending */
  exempt(policy: CompiledPolicy<S>, rules: readonly number[]): PolicyChange<S>
}

/** A rule and a clause of either layer, as a policy was written. */
type SourceClause = AuthorizationClause<HttpAuthorizationMatch> & { readonly part?: RulePart }
type SourceRule = AuthorizationRule<HttpAuthorizationMatch> & {
  readonly clauses: readonly SourceClause[]
  readonly index?: number
}

/** A way to make one rule hold, as edits of its matches. */
interface RuleEdit<S extends PolicySource> {
  readonly policy: CompiledPolicy<S>
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

/** Of what was allowed: a new DENY. Of what was denied: every DENY that matches is exempted from, and an ALLOW holds. */
export function fixOf<S extends PolicySource>(ground: FixGround<S>, allowed: boolean): PolicyFix<S> {
  if (allowed) return { changes: [ground.newPolicy('DENY')] }
  const { facts, deny, allow } = ground
  const exemptions = deny.policies.filter(isEnforced).flatMap((policy) => {
    const holding = policy.rules.filter((rule) => rule.clauses.every((clause) => clauseHolds(clause, facts)))
    const indexes = holding.map(({ index }) => index).sort((a, b) => a - b)
    return indexes.length > 0 ? [ground.exempt(policy, indexes)] : []
  })
  const needsAllow = allow.isEnforced && !allow.match(facts)
  return { changes: needsAllow ? [...exemptions, smallestAllow(ground)] : exemptions }
}

/** The policy with a clause more for each of the rules. */
export function withClause<S extends PolicySource>(source: S, rules: readonly number[], clause: SourceClause): S {
  return mapRules(source, (rule, index) =>
    rules.includes(index) ? { ...rule, clauses: [...rule.clauses, clause] } : rule,
  )
}

/** `rule 0, rule 2`, as Envoy's names of rules count. */
export function ruleNames(rules: readonly number[]): string {
  return rules.map((index) => `rule ${index}`).join(', ')
}

/** What lets this caller out of a DENY. */
export function callerException({ connection }: Facts): {
  readonly match: HttpAuthorizationMatch
  readonly text: string
} {
  const { principal, init } = connection
  if (principal === undefined) return { match: { notSourceIps: [init.sourceIp] }, text: `source.ip ${init.sourceIp}` }
  return { match: { notPrincipals: [{ exact: principal }] }, text: `source.principal ${principal}` }
}

/** The name, with a number behind it when a policy of these tables has it. */
export function freeName(name: string, namespace: string, tables: readonly PolicyTable<CompiledPolicy>[]): string {
  const taken = new Set(tables.flatMap(({ policies }) => policies.map(({ key }) => key)))
  let free = name
  for (let number = 2; taken.has(`${namespace}/${free}`); number += 1) free = `${name}-${number}`
  return free
}

function isEnforced({ source }: CompiledPolicy): boolean {
  return !source.dryRun
}

function smallestAllow<S extends PolicySource>(ground: FixGround<S>): PolicyChange<S> {
  let best: RuleEdit<S> | undefined
  for (const policy of ground.allow.policies.filter(isEnforced)) {
    for (const rule of policy.rules) {
      const edit = editOf(policy, rule, ground)
      if (edit && edit.cost < (best?.cost ?? ground.newPolicyCost)) best = edit
    }
  }
  return best ? applyEdit(best) : ground.newPolicy('ALLOW')
}

/** What would make the rule hold; undefined when no change of values does. */
function editOf<S extends PolicySource>(
  policy: CompiledPolicy<S>,
  rule: CompiledRule,
  ground: FixGround<S>,
): RuleEdit<S> | undefined {
  const source = sourceOf(policy.source, rule)
  const edits: MatchEdit[] = []
  for (const [clause, compiled] of rule.clauses.entries()) {
    if (clauseHolds(compiled, ground.facts)) continue
    const { part, matches } = source.clauses[clause]!
    const options = compiled.matches.map((predicates, match) =>
      editsOf(predicates, matches[match]!, { part, clause, match }, ground),
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
  { part, ...place }: { readonly part: RulePart | undefined; readonly clause: number; readonly match: number },
  ground: Pick<FixGround<PolicySource>, 'point' | 'facts'>,
): readonly MatchEdit[] | undefined {
  if (predicates.length === 0) return undefined
  const edits: MatchEdit[] = []
  for (const { field, test } of predicates) {
    if (test(ground.facts)) continue
    const values: readonly unknown[] = match[field] ?? []
    const change = field.startsWith('not') ? withoutValues(field, values, ground) : withClosest(field, values, ground)
    if (!change) return undefined
    const preposition = field.startsWith('not') ? 'out of' : 'to'
    const text = `${change.text} ${preposition} ${writtenName(field, part ?? partAtL4(field))}`
    edits.push({ ...place, field, values: change.values, text })
  }
  return edits
}

function withClosest(
  field: MatchField,
  values: readonly unknown[],
  ground: Pick<FixGround<PolicySource>, 'point' | 'facts'>,
): { readonly values: readonly unknown[]; readonly text: string } | undefined {
  const closest = closestValue(field, values, ground)
  return closest && { values: [...values, closest.value], text: `add ${closest.text}` }
}

function clauseHolds({ matches }: CompiledClause, facts: Facts): boolean {
  if (matches.length === 0) return true
  return matches.some((predicates) => predicates.length > 0 && predicates.every(({ test }) => test(facts)))
}

function sourceOf(source: PolicySource, { index }: CompiledRule): SourceRule {
  const rules: readonly SourceRule[] = source.rules
  return rules.find((rule, at) => indexOf(rule, at) === index)!
}

function mapRules<S extends PolicySource>(source: S, change: (rule: SourceRule, index: number) => SourceRule): S {
  const rules: readonly SourceRule[] = source.rules
  return { ...source, rules: rules.map((rule, at) => change(rule, indexOf(rule, at))) }
}

/** Rules that cannot be enforced at a waypoint are left out, so its rules carry their number; ztunnel's are counted. */
function indexOf({ index }: SourceRule, at: number): number {
  return index ?? at
}

function applyEdit<S extends PolicySource>({ policy, rule, edits }: RuleEdit<S>): PolicyChange<S> {
  const text = edits.map((edit) => edit.text).join('; ')
  return {
    before: policy.source,
    after: mapRules(policy.source, (source, index) =>
      index === rule.index ? { ...source, clauses: editedClauses(source, edits) } : source,
    ),
    text: `ALLOW ${policy.key}, rule ${rule.index}: ${text}`,
  }
}

function editedClauses({ clauses }: SourceRule, edits: readonly MatchEdit[]): readonly SourceClause[] {
  return clauses.flatMap((clause, clauseIndex) => {
    const matches = clause.matches.map((match, matchIndex) => {
      const own = edits.filter((edit) => edit.clause === clauseIndex && edit.match === matchIndex)
      const changed = { ...match, ...Object.fromEntries(own.map(({ field, values }) => [field, values])) }
      return Object.fromEntries(Object.entries(changed).filter(([, values]) => values.length > 0))
    })
    // A match that has nothing left to ask is meant to hold, and then so does its clause.
    const isBare = matches.some((match, index) => isEmpty(match) && !isEmpty(clause.matches[index]!))
    return isBare ? [] : [{ ...clause, matches }]
  })
}

function isEmpty(match: HttpAuthorizationMatch): boolean {
  return Object.keys(match).length === 0
}

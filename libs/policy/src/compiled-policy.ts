import type { Authorization } from './authorization.ts'
import { invalidPolicy } from './errors.ts'
import type { Facts } from './facts.ts'
import type { HttpAuthorization, HttpAuthorizationMatch, RulePart } from './http-authorization.ts'
import { checkHttpAuthorization } from './http-authorization-checks.ts'
import { POLICY_MATCHES_MAX, POLICY_RULES_MAX, POLICY_VALUES_MAX } from './limits.ts'
import { compileMatch, type EnforcementPoint, type Predicate } from './matchers.ts'

export type PolicySource = Authorization | HttpAuthorization

/** One policy, ready to be asked. Rules are ORed, clauses of a rule ANDed, matches of a clause ORed, predicates ANDed. */
export interface CompiledPolicy<S extends PolicySource = PolicySource> {
  /** `namespace/name`. */
  readonly key: string
  readonly source: S
  /** In the order in which they are asked. */
  readonly rules: readonly CompiledRule[]
}

export interface CompiledRule {
  readonly policy: CompiledPolicy
  /** Its place in the policy as written, from 0. */
  readonly index: number
  readonly clauses: readonly CompiledClause[]
}

export interface CompiledClause {
  /** Of the rule as written; undefined in an L4 policy, which does not say. */
  readonly part: RulePart | undefined
  /** None at all is true; one without predicates is false. */
  readonly matches: readonly (readonly Predicate[])[]
}

/** Watches an evaluation; absent members cost nothing. Given only where somebody asks why. */
export interface EvaluationRecorder {
  /** A predicate was asked; the ones behind the first that failed are not. */
  onPredicate?(policy: CompiledPolicy, place: RulePlace, predicate: Predicate, held: boolean): void
  /** A match without any field was met: it is false by definition. */
  onEmptyMatch?(policy: CompiledPolicy, place: RulePlace): void
  /** @param rule the one that matched; undefined when none did */
  onPolicy?(policy: CompiledPolicy, rule: CompiledRule | undefined): void
}

/** Indexes into the rules as written, their clauses and matches, from 0. */
export interface RulePlace {
  readonly rule: number
  readonly part: RulePart | undefined
  readonly clause: number
  readonly match: number
}

/** @throws CodedError INVALID_POLICY */
export function compilePolicy(source: Authorization): CompiledPolicy<Authorization> {
  return compile(
    source,
    'ztunnel',
    source.rules.map((rule, index) => ({ ...rule, index })),
  )
}

/**
 * @param source as it came over the wire: what is not of the documented shape is refused
 * @throws CodedError INVALID_POLICY
 */
export function compileHttpPolicy(source: HttpAuthorization): CompiledPolicy<HttpAuthorization> {
  checkHttpAuthorization(source)
  // Envoy keeps the rules of all policies in one map, by name: the tenth is asked before the second.
  const inEnvoysOrder = source.rules.toSorted((a, b) => (String(a.index) < String(b.index) ? -1 : 1))
  return compile(source, 'waypoint', inEnvoysOrder)
}

interface RuleSource {
  readonly index: number
  readonly clauses: readonly { readonly part?: RulePart; readonly matches: readonly HttpAuthorizationMatch[] }[]
}

function compile<S extends PolicySource>(
  source: S,
  point: EnforcementPoint,
  ruleSources: readonly RuleSource[],
): CompiledPolicy<S> {
  const key = `${source.namespace}/${source.name}`
  checkSize(key, ruleSources)
  const refuse = (reason: string): never => {
    throw invalidPolicy(key, reason)
  }
  const rules: CompiledRule[] = []
  const policy: CompiledPolicy<S> = { key, source, rules }
  for (const { index, clauses } of ruleSources) {
    const compiled = clauses.map(({ part, matches }) => ({
      part,
      matches: matches.map((match) => compileMatch(match, point, refuse)),
    }))
    rules.push({ policy, index, clauses: compiled })
  }
  return policy
}

function checkSize(key: string, rules: readonly RuleSource[]): void {
  if (rules.length > POLICY_RULES_MAX) throw invalidPolicy(key, `more than ${POLICY_RULES_MAX} rules`)
  let matches = 0
  let values = 0
  for (const rule of rules) {
    matches += rule.clauses.length
    for (const clause of rule.clauses) {
      matches += clause.matches.length
      for (const match of clause.matches) {
        for (const field of Object.values(match) as (readonly unknown[] | undefined)[]) values += field?.length ?? 0
      }
    }
  }
  if (matches > POLICY_MATCHES_MAX) throw invalidPolicy(key, `more than ${POLICY_MATCHES_MAX} clauses and matches`)
  if (values > POLICY_VALUES_MAX) throw invalidPolicy(key, `more than ${POLICY_VALUES_MAX} values`)
}

/** The first rule of the policy that holds; says nothing about what follows from it. */
export function matchingRule(
  policy: CompiledPolicy,
  facts: Facts,
  recorder?: EvaluationRecorder,
): CompiledRule | undefined {
  const matched = policy.rules.find((rule) => ruleHolds(rule, facts, recorder))
  recorder?.onPolicy?.(policy, matched)
  return matched
}

/** Whether every clause of the rule holds. */
export function ruleHolds(rule: CompiledRule, facts: Facts, recorder?: EvaluationRecorder): boolean {
  const { clauses } = rule
  for (let clause = 0; clause < clauses.length; clause += 1) {
    if (!clauseHolds(rule, clause, facts, recorder)) return false
  }
  return true
}

function clauseHolds(
  rule: CompiledRule,
  clause: number,
  facts: Facts,
  recorder: EvaluationRecorder | undefined,
): boolean {
  const { part, matches } = rule.clauses[clause]!
  if (matches.length === 0) return true
  for (let match = 0; match < matches.length; match += 1) {
    const predicates = matches[match]!
    if (predicates.length === 0) {
      recorder?.onEmptyMatch?.(rule.policy, { rule: rule.index, part, clause, match })
      continue
    }
    if (allHold(rule, predicates, facts, recorder, clause, match)) return true
  }
  return false
}

function allHold(
  rule: CompiledRule,
  predicates: readonly Predicate[],
  facts: Facts,
  recorder: EvaluationRecorder | undefined,
  clause: number,
  match: number,
): boolean {
  for (const predicate of predicates) {
    const held = predicate.test(facts)
    if (recorder?.onPredicate) {
      const { part } = rule.clauses[clause]!
      recorder.onPredicate(rule.policy, { rule: rule.index, part, clause, match }, predicate, held)
    }
    if (!held) return false
  }
  return true
}

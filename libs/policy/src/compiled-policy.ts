import type { Authorization, AuthorizationClause } from './authorization.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import { invalidPolicy } from './errors.ts'
import { POLICY_MATCHES_MAX, POLICY_RULES_MAX, POLICY_VALUES_MAX } from './limits.ts'
import { compileMatch, type Predicate } from './matchers.ts'

/** One policy, ready to be asked. Rules are ORed, clauses of a rule ANDed, matches of a clause ORed, predicates ANDed. */
export interface CompiledPolicy {
  /** `namespace/name`. */
  readonly key: string
  readonly source: Authorization
  readonly rules: readonly (readonly CompiledClause[])[]
}

/** No match at all is true; a match without predicates is false. */
export type CompiledClause = readonly (readonly Predicate[])[]

/** Watches an evaluation; absent members cost nothing. Given only where somebody asks why. */
export interface EvaluationRecorder {
  /** Policies that cannot match this caller need not be shown: evaluation stays as fast as without recorder. */
  readonly matchesOnly?: boolean
  /** A predicate was asked; the ones behind the first that failed are not. */
  onPredicate?(policy: CompiledPolicy, place: RulePlace, predicate: Predicate, held: boolean): void
  /** A match without any field was met: it is false by definition. */
  onEmptyMatch?(policy: CompiledPolicy, place: RulePlace): void
  onPolicy?(policy: CompiledPolicy, matched: boolean): void
}

/** Indexes into rules, clauses and matches, from 0. */
export interface RulePlace {
  readonly rule: number
  readonly clause: number
  readonly match: number
}

/** @throws CodedError INVALID_POLICY */
export function compilePolicy(source: Authorization): CompiledPolicy {
  const key = `${source.namespace}/${source.name}`
  checkSize(key, source)
  const refuse = (reason: string) => {
    throw invalidPolicy(key, reason)
  }
  const compileClause = (clause: AuthorizationClause) => clause.matches.map((match) => compileMatch(match, refuse))
  return { key, source, rules: source.rules.map((rule) => rule.clauses.map(compileClause)) }
}

function checkSize(key: string, source: Authorization): void {
  if (source.rules.length > POLICY_RULES_MAX) throw invalidPolicy(key, `more than ${POLICY_RULES_MAX} rules`)
  let matches = 0
  let values = 0
  for (const rule of source.rules) {
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

/** Whether any rule of the policy holds for the connection; says nothing about what follows from it. */
export function policyMatches(policy: CompiledPolicy, facts: ConnectionFacts, recorder?: EvaluationRecorder): boolean {
  const matched = anyRule(policy, facts, recorder)
  recorder?.onPolicy?.(policy, matched)
  return matched
}

function anyRule(policy: CompiledPolicy, facts: ConnectionFacts, recorder: EvaluationRecorder | undefined): boolean {
  for (let rule = 0; rule < policy.rules.length; rule += 1) {
    const clauses = policy.rules[rule]!
    let clause = 0
    while (clause < clauses.length && clauseHolds(policy, rule, clause, facts, recorder)) clause += 1
    if (clause === clauses.length) return true
  }
  return false
}

function clauseHolds(
  policy: CompiledPolicy,
  rule: number,
  clause: number,
  facts: ConnectionFacts,
  recorder: EvaluationRecorder | undefined,
): boolean {
  const matches = policy.rules[rule]![clause]!
  if (matches.length === 0) return true
  for (let match = 0; match < matches.length; match += 1) {
    const predicates = matches[match]!
    if (predicates.length === 0) {
      recorder?.onEmptyMatch?.(policy, { rule, clause, match })
      continue
    }
    if (allHold(policy, predicates, facts, recorder, rule, clause, match)) return true
  }
  return false
}

function allHold(
  policy: CompiledPolicy,
  predicates: readonly Predicate[],
  facts: ConnectionFacts,
  recorder: EvaluationRecorder | undefined,
  rule: number,
  clause: number,
  match: number,
): boolean {
  for (const predicate of predicates) {
    const held = predicate.test(facts)
    recorder?.onPredicate?.(policy, { rule, clause, match }, predicate, held)
    if (!held) return false
  }
  return true
}

import type { CompiledPolicy, EvaluationRecorder, RulePlace } from './compiled-policy.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import { evaluate, type Verdict } from './evaluate.ts'
import type { Predicate } from './matchers.ts'
import type { ApplicablePolicies } from './policy-set.ts'

/** One policy as a decision met it, for people. */
export interface PolicyExplanation {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: 'ALLOW' | 'DENY'
  readonly dryRun: boolean
  readonly matched: boolean
  /** Each predicate that was asked: `rule 1: principals a, b: no, it is c`. */
  readonly steps: readonly string[]
}

export interface Explanation {
  readonly verdict: Verdict
  /** In the order asked; policies behind the one that decided are not. */
  readonly policies: readonly PolicyExplanation[]
}

/** The decision of `evaluate` with its reasons: the same function, run with a recorder. */
export function explain(facts: ConnectionFacts, applicable: ApplicablePolicies): Explanation {
  const policies: PolicyExplanation[] = []
  let steps: string[] = []
  const recorder: EvaluationRecorder = {
    onPredicate: (_policy, place, predicate, held) => {
      steps.push(`${formatPlace(place)}: ${formatPredicate(predicate, facts, held)}`)
    },
    onEmptyMatch: (_policy, place) => {
      steps.push(`${formatPlace(place)}: nothing left to match at L4, so it never holds`)
    },
    onPolicy: (policy, matched) => {
      policies.push({ ...describe(policy), matched, steps: steps.length > 0 ? steps : [bareReason(policy)] })
      steps = []
    },
  }
  const verdict = evaluate(facts, applicable, recorder)
  return { verdict, policies }
}

function describe(policy: CompiledPolicy): Pick<PolicyExplanation, 'policy' | 'action' | 'dryRun'> {
  return { policy: policy.key, action: policy.source.action, dryRun: policy.source.dryRun }
}

/** Why a policy was decided without asking a single predicate. */
function bareReason(policy: CompiledPolicy): string {
  return policy.rules.length === 0
    ? 'it has no rules, so it matches nothing'
    : 'a rule without conditions matches everything'
}

function formatPlace(place: RulePlace): string {
  return `rule ${place.rule + 1}`
}

function formatPredicate(predicate: Predicate, facts: ConnectionFacts, held: boolean): string {
  return `${predicate.field} ${predicate.values.join(', ')}: ${held ? 'yes' : 'no'}, it is ${predicate.actual(facts)}`
}

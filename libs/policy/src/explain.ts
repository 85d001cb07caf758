import type { CompiledPolicy, EvaluationRecorder, PolicySource, RulePlace } from './compiled-policy.ts'
import { evaluate, type Verdict } from './evaluate.ts'
import { type CustomVerdict, evaluateCustom, evaluateRequest, type HttpVerdict, isAudited } from './evaluate-request.ts'
import type { Facts } from './facts.ts'
import type { RulePart } from './http-authorization.ts'
import type { HttpPolicies } from './http-policies.ts'
import type { ApplicablePolicies } from './policy-set.ts'
import { writtenName } from './written-names.ts'

/** One policy as a decision met it, for people. */
export interface PolicyExplanation {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: PolicySource['action']
  readonly dryRun: boolean
  readonly matched: boolean
  /** The rule that held, as written, from 0; undefined when none did. */
  readonly rule: number | undefined
  /** What was asked, in order; empty when the policy was decided without a question. */
  readonly steps: readonly PolicyStep[]
}

/** One question. */
export interface PolicyStep {
  /** Of the policy as written, from 0. */
  readonly rule: number
  /** Undefined in an L4 policy, which does not say. */
  readonly part: RulePart | undefined
  /** As the policy was written; undefined: the match had no field left, and never holds. */
  readonly field: string | undefined
  readonly wanted: readonly string[]
  readonly got: string
  readonly held: boolean
}

export interface Explanation {
  readonly verdict: Verdict
  /** In the order asked; policies behind the one that decided are not. */
  readonly policies: readonly PolicyExplanation[]
}

export interface HttpExplanation {
  /** What came before everything else; undefined when no CUSTOM policy matched. */
  readonly custom: CustomVerdict | undefined
  readonly audited: boolean
  /** Of the policies behind authentication; the one that counts unless `custom` denied. */
  readonly verdict: HttpVerdict
  /** CUSTOM, AUDIT, DENY, ALLOW, each in the order asked. */
  readonly policies: readonly PolicyExplanation[]
}

/** The decision of `evaluate` with its reasons: the same function, run with a recorder. */
export function explain(facts: Facts, applicable: ApplicablePolicies): Explanation {
  const { recorder, policies } = startRecording(facts)
  return { verdict: evaluate(facts, applicable, recorder), policies }
}

/** The same for a request, all stages of it, those behind a denial too. */
export function explainRequest(facts: Facts, applicable: HttpPolicies): HttpExplanation {
  const { recorder, policies } = startRecording(facts)
  return {
    custom: evaluateCustom(facts, applicable, recorder),
    audited: isAudited(facts, applicable, recorder),
    verdict: evaluateRequest(facts, applicable, recorder),
    policies,
  }
}

/** `rule 0, from: principals a, b: no, it is c`. */
export function formatStep({ rule, part, field, wanted, got, held }: PolicyStep): string {
  const place = part ? `rule ${rule}, ${part}` : `rule ${rule}`
  if (field === undefined) return `${place}: nothing left to match at L4, so it never holds`
  return `${place}: ${field} ${wanted.join(', ')}: ${held ? 'yes' : 'no'}, it is ${got}`
}

/** The lines that tell why a policy matched or did not. */
export function formatSteps({ steps, matched }: PolicyExplanation): readonly string[] {
  if (steps.length > 0) return steps.map(formatStep)
  return [matched ? 'a rule without conditions matches everything' : 'it has no rules, so it matches nothing']
}

function startRecording(facts: Facts): { recorder: EvaluationRecorder; policies: readonly PolicyExplanation[] } {
  const policies: PolicyExplanation[] = []
  let steps: PolicyStep[] = []
  const recorder: EvaluationRecorder = {
    onPredicate: (_policy, { rule, part }, { field, values, actual }, held) => {
      steps.push({ rule, part, field: writtenName(field, part), wanted: values, got: actual(facts), held })
    },
    onEmptyMatch: (_policy, place) => {
      steps.push(emptyStep(place))
    },
    onPolicy: (policy, rule) => {
      policies.push({ ...describe(policy), matched: rule !== undefined, rule: rule?.index, steps })
      steps = []
    },
  }
  return { recorder, policies }
}

function emptyStep({ rule, part }: RulePlace): PolicyStep {
  return { rule, part, field: undefined, wanted: [], got: '', held: false }
}

function describe(policy: CompiledPolicy): Pick<PolicyExplanation, 'policy' | 'action' | 'dryRun'> {
  return { policy: policy.key, action: policy.source.action, dryRun: policy.source.dryRun }
}

import { type CompiledPolicy, type CompiledRule, type EvaluationRecorder, matchingRule } from './compiled-policy.ts'
import type { Facts } from './facts.ts'
import { RuleIndex } from './rule-index.ts'

/** The policies of one action at one place, in the order in which they are asked. */
export class PolicyTable<P extends CompiledPolicy = CompiledPolicy> {
  readonly policies: readonly P[]
  /** Some policy here decides: not all of them are dry runs. */
  readonly isEnforced: boolean
  readonly hasDryRuns: boolean
  readonly #enforced: RuleIndex
  readonly #dryRuns: RuleIndex

  constructor(policies: readonly P[]) {
    this.policies = policies
    const [enforced, dryRuns] = [
      policies.filter(({ source }) => !source.dryRun),
      policies.filter(({ source }) => source.dryRun),
    ]
    this.isEnforced = enforced.length > 0
    this.hasDryRuns = dryRuns.length > 0
    this.#enforced = new RuleIndex(enforced)
    this.#dryRuns = new RuleIndex(dryRuns)
  }

  /**
   * The first rule that holds, dry runs left out.
   * @param recorder is shown every policy up to the one that decides, dry runs too: a scan, which answers the same
   */
  match(facts: Facts, recorder?: EvaluationRecorder): CompiledRule | undefined {
    return recorder ? this.#scan(facts, recorder) : this.#enforced.firstMatch(facts)
  }

  /** The first rule of a dry run that holds. */
  dryRunMatch(facts: Facts): CompiledRule | undefined {
    return this.hasDryRuns ? this.#dryRuns.firstMatch(facts) : undefined
  }

  #scan(facts: Facts, recorder: EvaluationRecorder): CompiledRule | undefined {
    for (const policy of this.policies) {
      const rule = matchingRule(policy, facts, recorder)
      if (rule && !policy.source.dryRun) return rule
    }
    return undefined
  }
}

import type { CompiledPolicy, EvaluationRecorder } from './compiled-policy.ts'
import type { Facts } from './facts.ts'
import type { ApplicablePolicies } from './policy-set.ts'

export type Verdict = Allowed | Denied

export interface Allowed {
  readonly allowed: true
  /** The policy that allowed it; undefined when none had to. */
  readonly policy: string | undefined
}

export interface Denied {
  readonly allowed: false
  /** The policy that denied it; undefined when allow policies exist and none matched. */
  readonly policy: string | undefined
  /** ztunnel's words. */
  readonly reason: string
}

const ALLOWED_WITHOUT_POLICY: Allowed = { allowed: true, policy: undefined }
const NONE_ALLOWED: Denied = { allowed: false, policy: undefined, reason: 'allow policies exist, but none allowed' }

/** Verdicts are values that never change, so each policy has one and a decision allocates nothing. */
const verdicts = new WeakMap<CompiledPolicy, Verdict>()

/**
 * Decides on one connection: a matching DENY denies; without ALLOW policies it is allowed; else an ALLOW must match.
 * Dry runs never decide. A recorder is shown every policy, in order; policies that cannot match are not asked without
 * one, which changes no verdict.
 */
export function evaluate(facts: Facts, { deny, allow }: ApplicablePolicies, recorder?: EvaluationRecorder): Verdict {
  const denial = deny.match(facts, recorder)
  if (denial) return verdictOf(denial.policy)
  const permission = allow.match(facts, recorder)
  if (permission) return verdictOf(permission.policy)
  return allow.isEnforced ? NONE_ALLOWED : ALLOWED_WITHOUT_POLICY
}

function verdictOf(policy: CompiledPolicy): Verdict {
  let verdict = verdicts.get(policy)
  if (!verdict) {
    verdict =
      policy.source.action === 'ALLOW'
        ? { allowed: true, policy: policy.key }
        : { allowed: false, policy: policy.key, reason: `explicitly denied by: ${policy.key}` }
    verdicts.set(policy, verdict)
  }
  return verdict
}

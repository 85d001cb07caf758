import { evaluateDryRuns, evaluateRequest, HttpPolicies, isAudited } from '@ambient-lab/policy'
import { defineHttpFilter, type FilterContext, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'

type OnDecision = NonNullable<FilterContext['onDecision']>

/**
 * Asks the DENY and ALLOW policies of the destination. What AUDIT policies and those in dry run say is noted in the
 * request's record, and stops nothing.
 */
export default defineHttpFilter({
  name: 'rbac',
  phase: 'authz',
  create({ guard, onDecision, onDryRun }) {
    const { policies = HttpPolicies.empty } = guard
    const { audit, deny, allow } = policies
    const isEmpty = [audit, deny, allow].every((table) => table.policies.length === 0)
    // What passes where nobody asks is kept as well: a first policy can be tried on it.
    if (isEmpty) {
      const filter = onDecision && passing(onDecision)
      return filter && (() => filter)
    }
    const filter: HttpFilter = {
      decodeHeaders(stream: HttpStream): FilterStatus {
        if (audit.isEnforced) stream.record.isAudited = isAudited(stream.facts, policies)
        const dryRuns = evaluateDryRuns(stream.facts, policies)
        stream.record.dryRuns = dryRuns
        if (dryRuns) onDryRun?.(dryRuns)
        const verdict = evaluateRequest(stream.facts, policies)
        onDecision?.(stream, verdict.allowed)
        if (verdict.allowed) return 'continue'
        stream.localReply(LOCAL_REPLIES.RBAC_DENIED, { details: verdict.details })
        return 'stop'
      },
    }
    // It keeps nothing of a request: one serves all.
    return () => filter
  },
})

function passing(onDecision: OnDecision): HttpFilter {
  return {
    decodeHeaders(stream): FilterStatus {
      onDecision(stream, true)
      return 'continue'
    },
  }
}

import { evaluateDryRuns, evaluateRequest } from '@ambient-lab/policy'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'

/** Asks the DENY and ALLOW policies of the destination; those in dry run are noted in the request's record. */
export default defineHttpFilter({
  name: 'rbac',
  phase: 'authz',
  create({ guard }) {
    const { policies } = guard
    if (!policies || policies.deny.policies.length + policies.allow.policies.length === 0) return undefined
    const filter: HttpFilter = {
      decodeHeaders(stream: HttpStream): FilterStatus {
        stream.record.dryRuns = evaluateDryRuns(stream.facts, policies)
        const verdict = evaluateRequest(stream.facts, policies)
        if (verdict.allowed) return 'continue'
        stream.localReply(LOCAL_REPLIES.RBAC_DENIED, { details: verdict.details })
        return 'stop'
      },
    }
    // It keeps nothing of a request: one serves all.
    return () => filter
  },
})

import { type ConnectionFacts, evaluate, type Verdict } from '@ambient-lab/policy'
import type { CodedError } from '@ambient-lab/std'
import type { Logger } from '@ambient-lab/telemetry'
import type { Workload } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { DecisionLog } from './decision-log.ts'

export interface InboundGuardComponents {
  readonly state: ProxyStateHolder
  readonly decisions: DecisionLog
  readonly log: Logger
}

/** Asks L4 policy before anything is dialled for a connection. */
export class InboundGuard {
  readonly #state: ProxyStateHolder
  readonly #decisions: DecisionLog
  readonly #log: Logger

  constructor({ state, decisions, log }: InboundGuardComponents) {
    this.#state = state
    this.#decisions = decisions
    this.#log = log
  }

  /** @returns undefined when the connection may go on, else the error with ztunnel's words */
  check(workload: Workload, facts: ConnectionFacts): CodedError | undefined {
    this.#decisions.add(workload.uid, facts)
    const policies = this.#state.current.policies.applicableTo(workload)
    const dryRun = policies.deny.dryRunMatch(facts)
    if (dryRun) this.#log.info('dry-run: deny policy match', { policy: dryRun.policy.key })
    return denialOf(evaluate(facts, policies))
  }

  /** The same question once more, after time was spent on dialling: policy may have come in between. */
  recheck(uid: string, facts: ConnectionFacts): CodedError | undefined {
    const workload = this.#state.current.workload(uid)
    // Which policies were its own went with it: who is not in yet stays outside.
    if (!workload) return dataplaneError('DESTINATION_UNKNOWN', `unknown destination: ${uid} left while it was dialled`)
    return denialOf(evaluate(facts, this.#state.current.policies.applicableTo(workload)))
  }
}

function denialOf(verdict: Verdict): CodedError | undefined {
  if (verdict.allowed) return undefined
  return dataplaneError('POLICY_DENIED', `connection closed due to policy rejection: ${verdict.reason}`)
}

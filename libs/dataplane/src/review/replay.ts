import { formatSpiffeId } from '@ambient-lab/pki'
import { evaluate, type Verdict } from '@ambient-lab/policy'
import type { ReplayAnswer, ReplayQuery, VerdictFlip } from '@ambient-lab/xds'
import type { ProxyState } from '../state/proxy-state.ts'
import { ProxyStateHolder, type ResourceError } from '../state/proxy-state-holder.ts'
import type { Decision, DecisionLog } from '../ztunnel/decision-log.ts'

export interface ReplayInit {
  readonly state: ProxyState
  readonly node: string
  readonly decisions: Pick<DecisionLog, 'since'>
}

/**
 * Takes the decisions of the last minutes again with other policies, and tells which come out otherwise. Both times by
 * the policies, not by what was answered then: what changes is what the new ones change.
 */
export function replay({ state, node, decisions }: ReplayInit, { changes, sinceMs }: ReplayQuery): ReplayAnswer {
  const holder = new ProxyStateHolder(state)
  const refused: ResourceError[] = changes
    .filter(({ typeUrl }) => ProxyStateHolder.holds(typeUrl))
    .flatMap(({ typeUrl, upserts, removed }) => holder.apply(typeUrl, upserts, removed))
  const flips = new Map<string, VerdictFlip>()
  const taken = decisions.since(sinceMs)
  for (const decision of taken) {
    const before = verdictOf(state, decision)
    const after = verdictOf(holder.current, decision)
    if (!before || !after || before.allowed === after.allowed) continue
    const flip = flipOf(state, decision, after, `ztunnel ${node}`)
    const key = `${flip.identity} ${flip.destination} ${flip.port} ${flip.becomes} ${flip.reason}`
    flips.set(key, { ...flip, count: (flips.get(key)?.count ?? 0) + 1 })
  }
  return { decisions: taken.length, flips: [...flips.values()], refused }
}

/** Undefined for a workload that is gone: nobody would ask about it. */
function verdictOf(state: ProxyState, { uid, facts }: Decision): Verdict | undefined {
  const workload = state.workload(uid)
  return workload && evaluate(facts, state.policies.applicableTo(workload))
}

function flipOf(state: ProxyState, { atMs, uid, facts }: Decision, after: Verdict, at: string): VerdictFlip {
  const { name, namespace } = state.workload(uid)!
  return {
    at,
    identity: facts.identity ? formatSpiffeId(facts.identity) : '',
    destination: `${name}.${namespace}`,
    port: facts.destinationPort,
    count: 1,
    lastAtMs: atMs,
    becomes: after.allowed ? 'allowed' : 'denied',
    reason: after.allowed ? (after.policy ?? 'no policy applies any more') : after.reason,
  }
}

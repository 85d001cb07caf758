import { formatSpiffeId } from '@ambient-lab/pki'
import { evaluateRequest, HttpPolicies } from '@ambient-lab/policy'
import { errorMessage } from '@ambient-lab/std'
import {
  FILTER_CHAIN_TYPE,
  type FilterChain,
  type ReplayAnswer,
  type ReplayQuery,
  type VerdictFlip,
} from '@ambient-lab/xds'
import { checkFilterChain } from '../waypoint/config-checks.ts'
import type { ProxyConfig } from '../waypoint/proxy-config.ts'
import type { RequestDecision, RequestDecisions } from '../waypoint/request-decisions.ts'

export interface RequestReplayInit {
  readonly config: Pick<ProxyConfig, 'name' | 'chains'>
  readonly decisions: Pick<RequestDecisions, 'since'>
}

/**
 * Takes late decisions about requests again with the DENY and ALLOW policies of changed filter chains. Tokens count as
 * they were judged then, and what was refused before these policies were asked is not among the decisions.
 */
export function replayRequests({ config, decisions }: RequestReplayInit, query: ReplayQuery): ReplayAnswer {
  const taken = decisions.since(query.sinceMs)
  const current = new Map(config.chains().map((chain) => [chain.name, chain]))
  const refused: { name: string; reason: string }[] = []
  const policies = changedPolicies(query, current, refused)
  const flips = new Map<string, VerdictFlip>()
  for (const decision of taken) {
    const changed = policies.get(decision.chain)
    if (!changed) continue
    const before = evaluateRequest(decision.facts, changed.before)
    const after = evaluateRequest(decision.facts, changed.after)
    if (before.allowed === after.allowed) continue
    const reason = after.allowed
      ? (after.policy ?? 'no policy applies any more')
      : after.policy === undefined
        ? 'allow policies exist, but none allowed'
        : `explicitly denied by: ${after.policy}`
    const becomes = after.allowed ? 'allowed' : 'denied'
    const flip: VerdictFlip = {
      ...flipOf(decision, current.get(decision.chain)!),
      at: `waypoint ${config.name}`,
      becomes,
      reason,
    }
    const key = `${flip.identity} ${flip.request} ${flip.destination} ${flip.port} ${becomes} ${reason}`
    flips.set(key, { ...flip, count: (flips.get(key)?.count ?? 0) + 1 })
  }
  return { decisions: taken.length, flips: [...flips.values()], refused }
}

interface ChangedPolicies {
  readonly before: HttpPolicies
  readonly after: HttpPolicies
}

/** Of the chains that this proxy has and that would be others: one that is new or goes was asked nothing. */
function changedPolicies(
  { changes }: ReplayQuery,
  current: ReadonlyMap<string, FilterChain>,
  refused: { name: string; reason: string }[],
): ReadonlyMap<string, ChangedPolicies> {
  const changed = new Map<string, ChangedPolicies>()
  for (const { typeUrl, upserts } of changes) {
    if (typeUrl !== FILTER_CHAIN_TYPE) continue
    for (const { name, resource } of upserts) {
      const chain = current.get(name)
      if (!chain) continue
      try {
        const after = compiled(checkFilterChain(name, resource))
        changed.set(name, { before: compiled(chain), after })
      } catch (error) {
        refused.push({ name, reason: errorMessage(error) })
      }
    }
  }
  return changed
}

function compiled({ http }: FilterChain): HttpPolicies {
  return new HttpPolicies(http?.authorization ?? [])
}

function flipOf(
  { atMs, facts }: RequestDecision,
  { match }: FilterChain,
): Omit<VerdictFlip, 'at' | 'becomes' | 'reason'> {
  const { identity, init, destinationPort } = facts.connection
  return {
    identity: identity ? formatSpiffeId(identity) : '',
    destination: match.kind === 'service' ? shortName(match.service) : init.destinationIp,
    port: destinationPort,
    request: `${facts.view.method} ${facts.path}`,
    count: 1,
    lastAtMs: atMs,
  }
}

/** `default/web.default.svc.cluster.local` as a ztunnel names a workload: `web.default`. */
function shortName(service: string): string {
  const hostname = service.slice(service.indexOf('/') + 1)
  const end = hostname.indexOf('.svc.')
  return end < 0 ? hostname : hostname.slice(0, end)
}

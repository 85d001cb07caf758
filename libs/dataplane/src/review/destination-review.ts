import { parseSpiffeId, type SvidState } from '@ambient-lab/pki'
import { ConnectionFacts, explain } from '@ambient-lab/policy'
import type { Checkpoint, DestinationReviewQuery, PolicyReview, ReviewAnswer, Workload } from '@ambient-lab/xds'
import { parseAuthority, type SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import type { DecisionLog } from '../ztunnel/decision-log.ts'
import { planInbound } from '../ztunnel/inbound-plan.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { CheckpointWriter } from './checkpoint.ts'
import { connectionFix } from './connection-fix.ts'
import { policyReview } from './policy-review.ts'

export interface DestinationReviewInit {
  readonly state: ProxyState
  readonly node: string
  readonly local: LocalWorkload | undefined
  /** Of the local workload's identity. */
  readonly svid: SvidState | undefined
  /** Of this node's ztunnel: what a fix would turn besides. */
  readonly decisions: DecisionLog
}

/** What the destination's ztunnel would decide: authority, certificate, DENY, ALLOW, and whether anybody listens. */
export function reviewDestination(init: DestinationReviewInit, query: DestinationReviewQuery): ReviewAnswer {
  const { state, node, local, svid } = init
  const write = new CheckpointWriter(`ztunnel ${node}`)
  const workload = state.workload(query.uid)
  if (!workload || !local) {
    const gone = rejection('DESTINATION_UNKNOWN', `${query.uid} does not run on node ${node}`)
    return { checkpoints: [write.denied('authority', query.authority, gone)] }
  }
  if (!local.captured) {
    const reason = 'not captured: no policy of the mesh guards it'
    return { checkpoints: [write.skipped('capture', workload.name, reason)] }
  }
  if (local.bypassesInboundCapture && query.protocol !== 'HBONE') {
    const reason = 'captured on its way out only: no policy of the mesh guards plaintext that comes in'
    return { checkpoints: [write.skipped('capture', workload.name, reason)] }
  }
  const target =
    query.protocol === 'HBONE' ? upstreamOf(state, workload, query.authority) : plainTarget(query.authority)
  if ('kind' in target) return { checkpoints: [write.denied('authority', query.authority, target)] }
  const checkpoints: Checkpoint[] = []
  if (query.protocol === 'HBONE') {
    checkpoints.push(write.ok('authority', query.authority, `is ${workload.name}`))
    const certificate = write.certificate(factsOf(workload).identity, svid)
    checkpoints.push(certificate)
    if (certificate.verdict === 'denied') return { checkpoints }
  }
  checkpoints.push(...policyCheckpoints(write, init, workload, query, target))
  if (checkpoints.at(-1)?.verdict === 'denied') return { checkpoints }
  const listens = local.dialTarget(target.port) !== undefined
  const nobody = rejection('CONNECT_REFUSED', `nothing listens on port ${target.port}`)
  const port = `port ${target.port}`
  checkpoints.push(
    listens ? write.ok('listener', port, 'the application listens') : write.denied('listener', port, nobody),
  )
  return { checkpoints }
}

function policyCheckpoints(
  write: CheckpointWriter,
  init: DestinationReviewInit,
  workload: Workload,
  { identity, sourceIp }: DestinationReviewQuery,
  target: SocketAddress,
): Checkpoint[] {
  const facts = new ConnectionFacts({
    sourceIp,
    destinationIp: target.address,
    destinationPort: target.port,
    identity: identity === '' ? undefined : parseSpiffeId(identity),
  })
  const { verdict, policies: explanations } = explain(facts, init.state.policies.applicableTo(workload))
  const policies = explanations.map(policyReview)
  const saw = identity === '' ? 'plaintext, no identity' : identity
  const deny = policies.filter(({ action }) => action === 'DENY')
  const allow = policies.filter(({ action }) => action === 'ALLOW')
  const words = verdict.allowed ? '' : verdict.reason
  const refusal = rejection('POLICY_DENIED', `connection closed due to policy rejection: ${words}`)
  const fix = verdict.allowed ? {} : connectionFix(init, facts, workload)
  const noted = dryRunCheckpoint(write, saw, deny)
  if (!verdict.allowed && deny.some(decides)) {
    return [...noted, { ...write.denied('deny', saw, refusal), policies: deny, ...fix }]
  }
  const enforced = deny.filter(({ dryRun }) => !dryRun).length
  const checkpoints: Checkpoint[] = [
    ...noted,
    enforced === 0
      ? write.skipped('deny', saw, 'no DENY policy applies')
      : { ...write.ok('deny', saw, `none of ${enforced} DENY policies matches`), policies: deny },
  ]
  if (!verdict.allowed) return [...checkpoints, { ...write.denied('allow', saw, refusal), policies: allow, ...fix }]
  const allowedBy = allow.find(decides)
  checkpoints.push(
    allowedBy
      ? { ...write.ok('allow', saw, `${allowedBy.policy} matches`), policies: allow }
      : write.skipped('allow', saw, 'no ALLOW policy applies: everybody may'),
  )
  return checkpoints
}

/** A ztunnel tells of a DENY in dry run, and of no ALLOW. */
function dryRunCheckpoint(write: CheckpointWriter, saw: string, deny: readonly PolicyReview[]): Checkpoint[] {
  const matched = deny.find((policy) => policy.dryRun && policy.matched)
  if (!matched) return []
  return [
    { ...write.skipped('dry-run', saw, `not enforced: DENY ${matched.policy} would refuse it`), policies: [matched] },
  ]
}

function decides({ matched, dryRun }: PolicyReview): boolean {
  return matched && !dryRun
}

function upstreamOf(state: ProxyState, workload: Workload, authority: string): SocketAddress | Rejection {
  const plan = planInbound(state, workload, authority)
  return plan.kind === 'rejection' ? plan : plan.upstream
}

function plainTarget(authority: string): SocketAddress | Rejection {
  const target = parseAuthority(authority)
  if (!target?.isIp) return rejection('AUTHORITY_INVALID', `${authority} is no address`)
  return { address: target.host, port: target.port }
}

import { type Authorization, type ConnectionFacts, type PolicyChange, smallestConnectionFix } from '@ambient-lab/policy'
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  type Checkpoint,
  type ResourceChanges,
  type VerdictFlip,
  type Workload,
} from '@ambient-lab/xds'
import type { Decision } from '../ztunnel/decision-log.ts'
import { type ReplayInit, replay } from './replay.ts'

/** What would let a refused connection in, and who else would come in with it: late decisions, taken again. */
export function connectionFix(
  init: ReplayInit,
  facts: ConnectionFacts,
  workload: Workload,
): Required<Pick<Checkpoint, 'fix' | 'also'>> {
  const { changes } = smallestConnectionFix(facts, init.state.policies.applicableTo(workload), workload)
  const decisions = {
    since: (sinceMs: number) => init.decisions.since(sinceMs).filter((decision) => !isSame(decision, facts, workload)),
  }
  const query = { changes: fixedResources(changes, workload), sinceMs: Number.POSITIVE_INFINITY }
  const { flips } = replay({ ...init, decisions }, query)
  return { fix: changes.map(({ text }) => text), also: flips.map(flipText) }
}

/** The resources as they would be when the changes were made: policies, and what the workload names. */
export function fixedResources(
  changes: readonly PolicyChange<Authorization>[],
  workload: Workload,
): readonly ResourceChanges[] {
  const policies = changes.map(({ after }) => ({ name: keyOf(after), resource: after }))
  const attachments = changes.reduce(attach, workload.authorizationPolicies)
  const upserts: readonly ResourceChanges[] = [{ typeUrl: AUTHORIZATION_TYPE, upserts: policies, removed: [] }]
  if (attachments === workload.authorizationPolicies) return upserts
  const attached: Workload = { ...workload, authorizationPolicies: attachments }
  const address = { name: workload.uid, resource: { workload: attached } }
  return [...upserts, { typeUrl: ADDRESS_TYPE, upserts: [address], removed: [] }]
}

/** A policy that is edited stays attached where it was; one with a new name takes the place of what it came from. */
function attach(names: readonly string[], { before, after }: PolicyChange<Authorization>): readonly string[] {
  const key = keyOf(after)
  if (before && keyOf(before) === key) return names
  return [...names.filter((name) => !before || name !== keyOf(before)), key]
}

function keyOf({ namespace, name }: Authorization): string {
  return `${namespace}/${name}`
}

/** Whether it was about the same caller and port: plaintext callers are told apart by their addresses. */
function isSame({ uid, facts }: Decision, asked: ConnectionFacts, workload: Workload): boolean {
  if (uid !== workload.uid || facts.destinationPort !== asked.destinationPort) return false
  if (facts.principal !== asked.principal) return false
  return facts.principal !== undefined || facts.init.sourceIp === asked.init.sourceIp
}

/** For people: who would be treated otherwise, and how often that came up. */
export function flipText({ identity, destination, port, request, becomes, count }: VerdictFlip): string {
  const what = request === undefined ? 'connection' : 'request'
  const asked = request === undefined ? '' : ` ${request}`
  return `${identity || 'plaintext'}${asked} to ${destination}:${port} would be ${becomes}: ${count} late ${what}${count === 1 ? '' : 's'}`
}

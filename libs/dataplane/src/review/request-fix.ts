import {
  type ConnectionFacts,
  type HttpAuthorization,
  type HttpPolicies,
  type PolicyChange,
  RequestFacts,
  smallestFix,
} from '@ambient-lab/policy'
import { type Checkpoint, FILTER_CHAIN_TYPE, type FilterChain, type ReplayQuery } from '@ambient-lab/xds'
import type { RequestDecision } from '../waypoint/request-decisions.ts'
import { flipText } from './connection-fix.ts'
import { type RequestReplayInit, replayRequests } from './request-replay.ts'

/** What would let a refused request (or TCP connection) in, and which other late requests it would let in as well. */
export function requestFix(
  init: RequestReplayInit,
  facts: ConnectionFacts | RequestFacts,
  policies: HttpPolicies,
  place: { readonly chain: FilterChain; readonly namespace: string },
): Required<Pick<Checkpoint, 'fix' | 'also'>> {
  const { changes } = smallestFix(facts, policies, place)
  const decisions = {
    since: (sinceMs: number) =>
      init.decisions.since(sinceMs).filter((decision) => !isSame(decision, facts, place.chain)),
  }
  const upserts = fixedChains(changes, init.config.chains(), place.chain).map((resource) => ({
    name: resource.name,
    resource,
  }))
  const query: ReplayQuery = {
    changes: [{ typeUrl: FILTER_CHAIN_TYPE, upserts, removed: [] }],
    sinceMs: Number.POSITIVE_INFINITY,
  }
  const { flips } = replayRequests({ ...init, decisions }, query)
  return { fix: changes.map(({ text }) => text), also: flips.map(flipText) }
}

/** Chains as they would be when the changes were made: an edited policy wherever it is, a new one for this chain. */
export function fixedChains(
  changes: readonly PolicyChange<HttpAuthorization>[],
  chains: readonly FilterChain[],
  own: FilterChain,
): readonly FilterChain[] {
  return chains.flatMap((chain) => {
    const { http } = chain
    if (!http) return []
    const before = http.authorization ?? []
    const after = changes.reduce((some, change) => withChange(some, change, chain.name === own.name), before)
    return after === before ? [] : [{ ...chain, http: { ...http, authorization: after } }]
  })
}

function withChange(
  policies: readonly HttpAuthorization[],
  { before, after }: PolicyChange<HttpAuthorization>,
  isOwn: boolean,
): readonly HttpAuthorization[] {
  if (!before) return isOwn ? [...policies, after] : policies
  const isEdited = ({ namespace, name }: HttpAuthorization) => namespace === before.namespace && name === before.name
  return policies.some(isEdited) ? policies.map((policy) => (isEdited(policy) ? after : policy)) : policies
}

/** The same caller with the same method and path. */
function isSame({ chain, facts }: RequestDecision, asked: ConnectionFacts | RequestFacts, own: FilterChain): boolean {
  if (!(asked instanceof RequestFacts) || chain !== own.name) return false
  const { connection, view } = facts
  if (connection.principal !== asked.connection.principal) return false
  return view.method === asked.view.method && facts.path === asked.path
}

import type { RetryPolicy } from '@ambient-lab/xds'
import type { DownstreamPeer } from '../request-record.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { UpstreamHost } from '../upstream/host.ts'
import type { Draw } from '../upstream/load-balancer.ts'

/** What a retry knows of the tries before it. */
export interface TryHistory {
  readonly peer: DownstreamPeer
  /** Hosts that failed. */
  readonly tried: readonly UpstreamHost[]
  readonly retry: RetryPolicy
}

/** Another host than those that failed, if a few draws find one; and of another level, where the policy asks for that. */
export function hostForTry(
  cluster: Pick<Cluster, 'pick'>,
  { random, hash }: Pick<Draw, 'random' | 'hash'>,
  { peer, tried, retry }: TryHistory,
): UpstreamHost | undefined {
  const { avoidPreviousHostsDraws: draws, avoidPreviousLevelsEvery: every } = retry
  const avoidLevelsOf = every ? tried.slice(0, tried.length - (tried.length % every)) : []
  const draw = { random, hash, avoidLevelsOf }
  let candidate = cluster.pick(draw, peer)
  // A hash always leads to the same one: whoever wants to stick does not want to avoid.
  if (hash !== undefined) return candidate
  for (let index = 0; index < draws && candidate && tried.includes(candidate); index += 1) {
    candidate = cluster.pick(draw, peer)
  }
  return candidate
}

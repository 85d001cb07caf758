import type { ClusterLoadBalancing } from '@ambient-lab/xds'

/** Share of its weight that a host gets which is `ageMs` old: rises from the minimum to 1 over the warm-up time. */
export function warmUpShare(warmup: ClusterLoadBalancing['warmup'], ageMs: number): number {
  if (!warmup || ageMs >= warmup.durationMs) return 1
  // Aggression 1 rises linearly; more of it rises fast at first.
  const progress = Math.max(ageMs / warmup.durationMs, Number.EPSILON) ** (1 / warmup.aggression)
  return Math.max(warmup.minimumPercent / 100, progress)
}

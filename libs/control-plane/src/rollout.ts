import type { DeploymentSpec } from '@ambient-lab/api'

/** How many pods of a Deployment there are, by template. */
export interface RolloutState {
  readonly desired: number
  /** Spec replicas of the ReplicaSet with the current template, and how many of its pods are available. */
  readonly current: { readonly replicas: number; readonly available: number }
  /** The others, oldest first. */
  readonly old: readonly { readonly name: string; readonly replicas: number; readonly available: number }[]
}

export interface RolloutPlan {
  /** Spec replicas for the ReplicaSet with the current template. */
  readonly current: number
  /** Spec replicas for others, by name; those that stay as they are are left out. */
  readonly old: ReadonlyMap<string, number>
}

/**
 * One step of a rollout; further steps follow as pods become available. Never more than desired + maxSurge pods, never
 * fewer than desired - maxUnavailable available ones, unless fewer were available to begin with.
 */
export function planRollout(spec: DeploymentSpec, state: RolloutState): RolloutPlan {
  const running = state.old.filter(({ replicas }) => replicas > 0)
  if (running.length === 0) return { current: state.desired, old: new Map() }
  if (spec.strategy?.type === 'Recreate') {
    // The current one starts when the last old pod is gone.
    return { current: state.current.replicas, old: new Map(running.map(({ name }) => [name, 0])) }
  }
  const { surge, unavailable } = rollingBounds(spec, state.desired)
  const total = state.current.replicas + running.reduce((sum, { replicas }) => sum + replicas, 0)
  const room = Math.max(0, state.desired + surge - total)
  const current = Math.min(state.desired, state.current.replicas + room)
  return { current, old: scaleDown(running, state, state.desired - unavailable) }
}

/**
 * Pods that are not available go first, since nobody misses them; then as many as may be missing. Pods of the new
 * template that are not available yet count as missing already.
 */
function scaleDown(running: RolloutState['old'], state: RolloutState, availableMin: number): Map<string, number> {
  const plan = new Map<string, number>()
  const sum = (of: (set: RolloutState['old'][number]) => number) => running.reduce((total, set) => total + of(set), 0)
  const missing = state.current.replicas - state.current.available
  let sparePods = state.current.replicas + sum(({ replicas }) => replicas) - availableMin - missing
  let spareAvailable = state.current.available + sum(({ available }) => available) - availableMin
  for (const { name, replicas, available } of running) {
    const idle = Math.max(0, Math.min(replicas - available, sparePods))
    const busy = Math.max(0, Math.min(available, spareAvailable, sparePods - idle))
    sparePods -= idle + busy
    spareAvailable -= busy
    if (idle + busy > 0) plan.set(name, replicas - idle - busy)
  }
  return plan
}

/** Percentages are of the desired count: surge rounds up, unavailable down; both zero would never move. */
export function rollingBounds(spec: DeploymentSpec, desired: number): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec.strategy?.rollingUpdate ?? {}
  const surge = absolute(maxSurge, desired, Math.ceil)
  const unavailable = absolute(maxUnavailable, desired, Math.floor)
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable }
}

function absolute(value: number | string, of: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value
  return value.endsWith('%') ? round((Number.parseFloat(value) / 100) * of) : Number(value)
}

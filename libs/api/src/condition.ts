import type { Clock } from '@ambient-lab/std'

export type ConditionStatus = 'True' | 'False' | 'Unknown'

/** One finding about an object, as Kubernetes' controllers write them. */
export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  /** CamelCase, for programs. */
  readonly reason?: string
  /** For people. */
  readonly message?: string
  /** RFC 3339; moves only when `status` changes. */
  readonly lastTransitionTime?: string
  readonly observedGeneration?: number
}

interface WithConditions {
  readonly status?: unknown
}

export function conditionsOf(object: WithConditions): readonly Condition[] {
  const conditions = (object.status as { conditions?: readonly Condition[] } | undefined)?.conditions
  return Array.isArray(conditions) ? conditions : []
}

export function getCondition(object: WithConditions, type: string): Condition | undefined {
  return conditionsOf(object).find((condition) => condition.type === type)
}

export function isConditionTrue(object: WithConditions, type: string): boolean {
  return getCondition(object, type)?.status === 'True'
}

/**
 * The list with `next` in it, in place or at the end. `lastTransitionTime` is kept unless the status changed; the same
 * list comes back when nothing did, so that a controller sees that there is nothing to write.
 */
export function setCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, 'lastTransitionTime'>,
  clock: Pick<Clock, 'now'>,
): readonly Condition[] {
  const index = conditions.findIndex((condition) => condition.type === next.type)
  const current = conditions[index]
  const lastTransitionTime =
    current?.status === next.status && current.lastTransitionTime ? current.lastTransitionTime : timestamp(clock.now())
  const merged: Condition = { ...current, ...next, lastTransitionTime }
  if (current === undefined) return [...conditions, merged]
  if (sameFields(current, merged)) return conditions
  return conditions.with(index, merged)
}

/** Kubernetes' time: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

function sameFields(left: Condition, right: Condition): boolean {
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]) as Set<keyof Condition>
  return [...keys].every((key) => left[key] === right[key])
}

import { type Resource, timestamp } from '@ambient-lab/api'

/** Keeps an owner until everything that it owns is gone. */
export const FOREGROUND_FINALIZER = 'foregroundDeletion'
/** Keeps an owner until what it owned is nobody's. */
export const ORPHAN_FINALIZER = 'orphan'

export type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan'

export interface DeletionOptions {
  readonly nowMs: number
  /** Seconds that the object gets to end by itself; 0 where nobody needs any. */
  readonly graceSeconds: number
  /** @default 'Background' */
  readonly propagationPolicy?: PropagationPolicy
}

/**
 * What becomes of an object that is to be deleted: undefined when nothing keeps it, otherwise the object marked with
 * its deletionTimestamp; the same object when it is marked already. Asking again can shorten the grace, never lengthen it.
 */
export function markDeleted(object: Resource, options: DeletionOptions): Resource | undefined {
  const { metadata } = object
  const marked = metadata.deletionTimestamp !== undefined
  const graceSeconds = marked
    ? Math.min(metadata.deletionGracePeriodSeconds ?? 0, options.graceSeconds)
    : options.graceSeconds
  const finalizers = finalizersFor(metadata.finalizers ?? [], options.propagationPolicy)
  if (finalizers.length === 0 && graceSeconds === 0) return undefined
  const same =
    finalizers.length === (metadata.finalizers?.length ?? 0) && graceSeconds === metadata.deletionGracePeriodSeconds
  if (marked && same) return object
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(finalizers.length > 0 && { finalizers }),
      generation: (metadata.generation ?? 0) + 1,
      deletionTimestamp: timestamp(options.nowMs + graceSeconds * 1000),
      deletionGracePeriodSeconds: graceSeconds,
    },
  }
}

function finalizersFor(present: readonly string[], policy: PropagationPolicy | undefined): readonly string[] {
  const wanted = policy === 'Foreground' ? FOREGROUND_FINALIZER : policy === 'Orphan' ? ORPHAN_FINALIZER : undefined
  return wanted === undefined || present.includes(wanted) ? present : [...present, wanted]
}

/** Takes one finalizer away; undefined when that was the last thing that kept the object. */
export function withoutFinalizer(object: Resource, finalizer: string): Resource | undefined {
  const { finalizers = [], ...rest } = object.metadata
  const left = finalizers.filter((name) => name !== finalizer)
  if (left.length === finalizers.length) return object
  if (left.length === 0 && rest.deletionTimestamp !== undefined && !rest.deletionGracePeriodSeconds) return undefined
  return { ...object, metadata: { ...rest, ...(left.length > 0 && { finalizers: left }) } }
}

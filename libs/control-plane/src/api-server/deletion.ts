import { type Resource, timestamp } from '@ambient-lab/api'

export interface DeletionOptions {
  readonly nowMs: number
  /** Seconds that the object gets to end by itself; 0 where nobody needs any. */
  readonly graceSeconds: number
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
  if (!metadata.finalizers?.length && graceSeconds === 0) return undefined
  if (marked && graceSeconds === metadata.deletionGracePeriodSeconds) return object
  return {
    ...object,
    metadata: {
      ...metadata,
      generation: (metadata.generation ?? 0) + 1,
      deletionTimestamp: timestamp(options.nowMs + graceSeconds * 1000),
      deletionGracePeriodSeconds: graceSeconds,
    },
  }
}

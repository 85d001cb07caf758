import { type GroupVersionResource, objectKey, type Resource } from '@ambient-lab/api'
import type { ApiClient, WatchOptions } from '@ambient-lab/lab'
import { type Clock, CodedError } from '@ambient-lab/std'

/**
 * Follows one type until `done` says so of all that match; asked after the first list and after each change.
 * @throws CodedError TIMEOUT; the text comes from `describe` of the state at that moment
 */
export async function waitUntil<R extends Resource>(
  client: ApiClient,
  type: GroupVersionResource,
  init: {
    readonly options: Pick<WatchOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>
    readonly done: (objects: ReadonlyMap<string, R>) => boolean
    readonly describe: (objects: ReadonlyMap<string, R>) => CodedError
    readonly timeoutMs: number
    readonly clock: Clock
    readonly signal: AbortSignal
  },
): Promise<ReadonlyMap<string, R>> {
  const objects = new Map<string, R>()
  const limit = new AbortController()
  const cancel = init.clock.schedule(init.timeoutMs, () => limit.abort(), { background: true })
  let synced = false
  try {
    const signal = AbortSignal.any([init.signal, limit.signal])
    for await (const event of client.watch<R>(type, { ...init.options, signal })) {
      if (event.type === 'SYNCED') synced = true
      else if (event.type === 'DELETED') objects.delete(objectKey(event.object.metadata))
      else objects.set(objectKey(event.object.metadata), event.object)
      if (synced && init.done(objects)) return objects
    }
  } finally {
    cancel()
  }
  if (init.signal.aborted) throw init.signal.reason
  throw limit.signal.aborted
    ? init.describe(objects)
    : new CodedError('UNAVAILABLE', 'the watch ended', { next: 'ambient check' })
}

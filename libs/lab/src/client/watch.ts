import { type GroupVersionResource, objectKey, type Resource } from '@ambient-lab/api'
import { Backoff, type Clock, CodedError, type Random, sleep } from '@ambient-lab/std'
import { WATCH_RETRY_INITIAL_MS, WATCH_RETRY_MAX_MS } from '../limits.ts'
import { type Connection, readBody, readLines } from './connection.ts'
import { queryText, resourcePath } from './resource-path.ts'
import { ApiError, type Status, statusError } from './status-error.ts'

export interface WatchOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Told when the stream breaks (with the error) and when it is live again (with none). */
  readonly onState?: ((error: CodedError | undefined) => void) | undefined
}

/**
 * One step of a view that is kept in step with the API. First an ADDED for each object there is, then SYNCED; after a
 * gap that cannot be resumed the differences come as ADDED, MODIFIED and DELETED, and SYNCED again.
 */
export type WatchEvent<R extends Resource = Resource> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: R }
  | { readonly type: 'SYNCED' }

export interface ResourceList<R extends Resource = Resource> {
  readonly metadata: {
    readonly resourceVersion?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly items: readonly R[]
}

interface WatchInit {
  readonly connection: Connection
  readonly type: GroupVersionResource
  readonly options: WatchOptions
  readonly components: { readonly clock: Clock; readonly random: Random }
}

interface WireEvent {
  readonly type: string
  readonly object: Resource & Status
}

/**
 * Lists, then follows, for as long as the caller reads: a broken stream is resumed from the last revision (bookmarks
 * keep it young), a forgotten revision (410) is listed anew and compared with what was told before.
 * @throws what cannot heal by trying again: FORBIDDEN, NOT_FOUND, BAD_REQUEST
 */
export async function* watchResources<R extends Resource>(init: WatchInit): AsyncGenerator<WatchEvent<R>> {
  const { options, components } = init
  const told = new Map<string, R>()
  const backoff = new Backoff({
    initialMs: WATCH_RETRY_INITIAL_MS,
    maxMs: WATCH_RETRY_MAX_MS,
    random: components.random,
  })
  let revision: string | undefined
  let broken = false
  const live = () => {
    backoff.reset()
    if (broken) options.onState?.(undefined)
    broken = false
  }
  while (!options.signal?.aborted) {
    try {
      if (revision === undefined) {
        const list: ResourceList<R> = await listForWatch<R>(init)
        live()
        yield* differences(told, list.items)
        yield { type: 'SYNCED' }
        revision = list.metadata.resourceVersion ?? ''
      }
      for await (const event of followFrom(init, revision, live)) {
        revision = event.object.metadata.resourceVersion ?? revision
        if (event.type === 'BOOKMARK') continue
        yield remember(told, event)
      }
      // The server ended the stream in good order, as it may at any time; the pause only keeps a server that ends
      // each stream at once from being asked in a loop.
      await pause(init, backoff)
    } catch (error) {
      if (options.signal?.aborted) return
      if (CodedError.is(error, 'GONE')) revision = undefined
      else if (!mayHeal(error)) throw error
      else {
        if (!broken) options.onState?.(error)
        broken = true
        await pause(init, backoff)
      }
    }
  }
}

async function pause({ components, options }: WatchInit, backoff: Backoff): Promise<void> {
  await sleep(components.clock, backoff.nextMs(), options.signal).catch(() => {}) // the loop looks at the signal
}

function mayHeal(error: unknown): error is CodedError {
  return CodedError.is(error, 'UNAVAILABLE') || CodedError.is(error, 'TIMEOUT')
}

function* differences<R extends Resource>(told: Map<string, R>, items: readonly R[]): Generator<WatchEvent<R>> {
  const present = new Set(items.map(({ metadata }) => objectKey(metadata)))
  for (const [key, object] of [...told]) {
    if (present.has(key)) continue
    told.delete(key)
    yield { type: 'DELETED', object }
  }
  for (const object of items) {
    const key = objectKey(object.metadata)
    const before = told.get(key)
    told.set(key, object)
    if (!before) yield { type: 'ADDED', object }
    else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) yield { type: 'MODIFIED', object }
  }
}

function remember<R extends Resource>(told: Map<string, R>, event: WireEvent): WatchEvent<R> {
  const object = event.object as unknown as R
  const key = objectKey(object.metadata)
  if (event.type === 'DELETED') {
    told.delete(key)
    return { type: 'DELETED', object }
  }
  const type = told.has(key) ? 'MODIFIED' : 'ADDED'
  told.set(key, object)
  return { type, object }
}

async function listForWatch<R extends Resource>({ connection, type, options }: WatchInit): Promise<ResourceList<R>> {
  const { labelSelector, fieldSelector, signal } = options
  const path = resourcePath(type, options) + queryText({ labelSelector, fieldSelector })
  const { status, body } = await connection.exchange({ method: 'GET', path, signal })
  if (status >= 400) throw statusError(status, body)
  return JSON.parse(body) as ResourceList<R>
}

/** One connection's worth of events; ends when the server ends it. */
async function* followFrom(init: WatchInit, revision: string, onLive: () => void): AsyncGenerator<WireEvent> {
  const { connection, type, options } = init
  const { labelSelector, fieldSelector, signal } = options
  const query = { labelSelector, fieldSelector, watch: true, allowWatchBookmarks: true, resourceVersion: revision }
  const response = await connection.stream({
    method: 'GET',
    path: resourcePath(type, options) + queryText(query),
    signal,
  })
  try {
    if ((response.statusCode ?? 0) >= 400) throw statusError(response.statusCode ?? 0, await readBody(response, signal))
    onLive()
    for await (const line of readLines(response)) {
      if (line === '') continue
      const event = JSON.parse(line) as WireEvent
      if (event.type === 'ERROR') throw statusError(event.object.code ?? 500, JSON.stringify(event.object))
      yield event
    }
  } catch (error) {
    throw error instanceof CodedError || error instanceof ApiError
      ? error
      : new CodedError('UNAVAILABLE', 'the watch was cut', { retry: 'yes', cause: error })
  } finally {
    response.destroy()
  }
}

import type { ServerResponse } from 'node:http'
import type { Resource } from '@ambient-lab/api'
import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { Revision, Store, StoreEvent } from '../store/store.ts'
import { BOOKMARK_PERIOD_MS, WATCH_CHUNK_LENGTH, WATCH_STALL_MS, WATCHES_MAX } from './limits.ts'
import { expired, type StatusError, tooManyRequests } from './status-error.ts'
import { type Rendering, renderObject, renderTableText } from './table/representation.ts'

/** The watches that are open. */
export class WatchRegistry {
  readonly #open = new Set<WatchStream>()

  get size(): number {
    return this.#open.size
  }

  /** @throws StatusError 429 */
  checkRoom(): void {
    if (this.#open.size >= WATCHES_MAX) throw tooManyRequests(`more than ${WATCHES_MAX} watches are open`, 10)
  }

  add(watch: WatchStream): void {
    this.#open.add(watch)
  }

  delete(watch: WatchStream): void {
    this.#open.delete(watch)
  }

  endAll(): void {
    for (const watch of [...this.#open]) watch.end()
  }
}

export interface WatchInit {
  readonly rendering: Rendering
  readonly matches: (object: Resource) => boolean
  /** Objects to report as ADDED before anything else; missing when the caller knows them already. */
  readonly initial?: readonly Resource[]
  /** Events after this revision follow. */
  readonly after: Revision
  readonly bookmarks: boolean
  /** Mark the end of `initial` with a bookmark that says so. */
  readonly initialBookmark: boolean
  /** @default no end */
  readonly timeoutMs?: number
}

export interface WatchComponents {
  readonly store: Store
  readonly clock: Clock
  readonly registry: WatchRegistry
  readonly response: ServerResponse
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

/** Tells a client that every object there was has been sent. */
const INITIAL_EVENTS_END = { 'k8s.io/initial-events-end': 'true' }

/**
 * One watch: JSON events, one a line, for as long as the caller reads.
 *
 * It keeps no queue. While the connection takes bytes it follows the store; when it does not, it lets go of the store,
 * remembers the revision it got to, and goes on from the store's history when the connection has drained. A watcher
 * that stays behind for longer than the history reaches is told 410 and lists again; one that reads nothing at all is
 * cut off. Either way a slow watcher costs one socket buffer.
 */
export class WatchStream {
  readonly #init: WatchInit
  readonly #components: WatchComponents
  #cancelTimeout: CancelTimer = () => {}
  #cancelBookmark: CancelTimer = () => {}
  #cancelStall: CancelTimer = () => {}
  #stopFollowing: () => void = () => {}
  #initialNext = 0
  #initialDone = false
  #cursor: Revision
  #pendingText = ''
  #blocked = false
  #ended = false
  #columnsSent = false

  constructor(init: WatchInit, components: WatchComponents) {
    this.#init = init
    this.#components = components
    this.#cursor = init.after
  }

  start(): void {
    const { response, registry, clock } = this.#components
    registry.add(this)
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' })
    response.flushHeaders()
    response.once('close', () => this.#release())
    response.on('drain', () => this.#resume())
    const { timeoutMs, bookmarks } = this.#init
    if (timeoutMs !== undefined) {
      this.#cancelTimeout = clock.schedule(timeoutMs, () => this.end(), { background: true })
    }
    if (bookmarks) this.#armBookmark()
    this.#pump()
  }

  /** Ends it the ordinary way: the client watches again from where it was. */
  end(): void {
    if (this.#ended) return
    this.#flush()
    this.#release()
    this.#components.response.end()
  }

  #release(): void {
    this.#ended = true
    this.#stopFollowing()
    this.#cancelTimeout()
    this.#cancelBookmark()
    this.#cancelStall()
    this.#components.registry.delete(this)
  }

  /** Sends what there is until the connection is full: first the objects, then the events. */
  #pump(): void {
    const { initial = [], initialBookmark } = this.#init
    while (this.#initialNext < initial.length) {
      this.#send('ADDED', initial[this.#initialNext++]!)
      if (this.#blocked) return
    }
    if (!this.#initialDone && initialBookmark) this.#sendBookmark(this.#cursor, INITIAL_EVENTS_END)
    this.#initialDone = true
    this.#follow()
  }

  #follow(): void {
    const { store } = this.#components
    try {
      const { type } = this.#init.rendering.kind
      this.#stopFollowing = store.watch({ type, after: this.#cursor }, (event) => this.#onEvent(event))
      if (this.#blocked || this.#ended) this.#stopFollowing()
    } catch (error) {
      if (!CodedError.is(error, 'REVISION_GONE')) throw error
      this.#fail(expired(`too old resource version: ${this.#cursor} (${store.revision})`))
    }
  }

  #onEvent(event: StoreEvent): void {
    if (this.#blocked || this.#ended) return
    this.#cursor = event.revision
    const type = eventType(event, this.#init.matches)
    if (type) this.#send(type, event.object)
  }

  #send(type: EventType, object: Resource): void {
    this.#write(`{"type":"${type}","object":${this.#objectText(object)}}\n`)
  }

  #objectText(object: Resource): string {
    const rendering = { ...this.#init.rendering, nowMs: this.#components.clock.now() }
    if (rendering.accepted.representation !== 'table') return renderObject(object, rendering)
    const meta = { resourceVersion: object.metadata.resourceVersion ?? '' }
    const text = renderTableText([object], meta, rendering, !this.#columnsSent)
    this.#columnsSent = true
    return text
  }

  #sendBookmark(revision: Revision, annotations?: Readonly<Record<string, string>>): void {
    const { rendering } = this.#init
    const metadata = { resourceVersion: String(revision), ...(annotations && { annotations }) }
    const { kind, accepted } = rendering
    const object =
      accepted.representation === 'table'
        ? renderTableText([], metadata, rendering, false)
        : accepted.representation === 'metadata'
          ? JSON.stringify({
              kind: 'PartialObjectMetadata',
              apiVersion: `meta.k8s.io/${accepted.metaVersion}`,
              metadata,
            })
          : JSON.stringify({ kind: kind.definition.kind, apiVersion: kind.apiVersion, metadata })
    this.#write(`{"type":"BOOKMARK","object":${object}}\n`)
  }

  /** Says how far the watch has got, so that a client of a quiet type can come back after a long time. */
  #armBookmark(): void {
    const { clock, store } = this.#components
    const tick = () => {
      if (this.#ended) return
      if (this.#initialDone && !this.#blocked) {
        this.#cursor = store.revision
        this.#sendBookmark(this.#cursor)
      }
      this.#armBookmark()
    }
    this.#cancelBookmark = clock.schedule(BOOKMARK_PERIOD_MS, tick, { background: true })
  }

  /** Events of one turn leave together. */
  #write(line: string): void {
    if (this.#pendingText === '') queueMicrotask(() => this.#flush())
    this.#pendingText += line
    if (this.#pendingText.length >= WATCH_CHUNK_LENGTH) this.#flush()
  }

  #flush(): void {
    const text = this.#pendingText
    this.#pendingText = ''
    if (text === '' || this.#ended) return
    if (!this.#components.response.write(text)) this.#block()
  }

  #block(): void {
    if (this.#blocked) return
    this.#blocked = true
    this.#stopFollowing()
    const { clock, response } = this.#components
    this.#cancelStall = clock.schedule(WATCH_STALL_MS, () => response.destroy(), { background: true })
  }

  #resume(): void {
    if (!this.#blocked || this.#ended) return
    this.#blocked = false
    this.#cancelStall()
    this.#pump()
  }

  #fail(error: StatusError): void {
    this.#write(`{"type":"ERROR","object":${JSON.stringify(error.toStatus())}}\n`)
    this.end()
  }
}

/** An object that comes to match a selector is added for its watcher, one that ceases to is deleted. */
export function eventType(event: StoreEvent, matches: (object: Resource) => boolean): EventType | undefined {
  const before = event.previous !== undefined && matches(event.previous)
  const after = event.operation !== 'deleted' && matches(event.object)
  if (after) return before ? 'MODIFIED' : 'ADDED'
  return before ? 'DELETED' : undefined
}

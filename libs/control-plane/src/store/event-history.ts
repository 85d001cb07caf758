import { CodedError } from '@ambient-lab/std'
import type { Revision, StoreEvent, StoreType } from './store.ts'

type Listener = (event: StoreEvent) => void

interface Watcher {
  readonly after: Revision
  readonly listener: Listener
}

/** Remembers the last events and hands each to those who watch. Revisions are contiguous: every event has its own. */
export class EventHistory {
  readonly #capacity: number
  #events: StoreEvent[] = []
  /** The revision before the first remembered event. */
  #start: Revision
  readonly #watchers = new Map<StoreType | undefined, Set<Watcher>>()

  constructor(capacity: number, start: Revision) {
    this.#capacity = capacity
    this.#start = start
  }

  /** Remembers and delivers, one after the other, so that a listener that starts a watch sees each event once. */
  append(event: StoreEvent): void {
    this.#events.push(event)
    if (this.#events.length >= 2 * this.#capacity) this.#forget(this.#events.length - this.#capacity)
    this.#deliver(this.#watchers.get(event.type), event)
    this.#deliver(this.#watchers.get(undefined), event)
  }

  /**
   * @param current the store's revision, which may be ahead of the last event appended
   * @throws CodedError REVISION_GONE
   */
  watch(options: { type?: StoreType; after: Revision; current: Revision }, listener: Listener): () => void {
    const { type, after, current } = options
    const oldest = Math.max(this.#start, this.#start + this.#events.length - this.#capacity)
    if (after < oldest) throw gone(`revision ${after} is older than what is remembered (${oldest})`)
    if (after > current) throw gone(`revision ${after} is newer than this store (${current}): it was replaced`)
    const missed = this.#events.slice(after - this.#start)
    const watcher: Watcher = { after: Math.max(after, this.#start + this.#events.length), listener }
    const watchers = this.#watchers.get(type) ?? new Set()
    this.#watchers.set(type, watchers)
    watchers.add(watcher)
    for (const event of missed) if (type === undefined || event.type === type) listener(event)
    return () => {
      watchers.delete(watcher)
    }
  }

  #deliver(watchers: ReadonlySet<Watcher> | undefined, event: StoreEvent): void {
    if (!watchers || watchers.size === 0) return
    for (const watcher of [...watchers]) {
      if (event.revision > watcher.after && watchers.has(watcher)) watcher.listener(event)
    }
  }

  #forget(count: number): void {
    this.#events = this.#events.slice(count)
    this.#start += count
  }
}

function gone(message: string): CodedError {
  return new CodedError('REVISION_GONE', message, { retry: 'yes', next: 'list again, and watch from the list' })
}

import type { ObjectKey, Resource } from '@ambient-lab/api'
import { EventHistory } from './event-history.ts'
import { ObjectTable } from './object-table.ts'
import type { Revision, StoreEvent, StoreType } from './store.ts'

export interface PendingWrite {
  readonly type: StoreType
  readonly key: ObjectKey
  readonly change: (current: Resource | undefined) => Resource | undefined
  readonly resolve: (object: Resource | undefined) => void
  readonly reject: (error: unknown) => void
}

/** What one change did: `event` is missing when it changed nothing. */
interface Outcome {
  readonly write: PendingWrite
  readonly object: Resource | undefined
  readonly event?: KeyedEvent
}

/** An event with the key under which its object is stored. */
export type KeyedEvent = StoreEvent & { readonly key: ObjectKey }

/** The state that every Store keeps in memory: objects, revision, history, watchers. Where it persists is up to them. */
export class RevisionedObjects {
  readonly #tables = new Map<StoreType, ObjectTable>()
  readonly #history: EventHistory
  #revision: Revision

  constructor(init: { historyEventsMax: number; revision: Revision }) {
    this.#revision = init.revision
    this.#history = new EventHistory(init.historyEventsMax, init.revision)
  }

  get revision(): Revision {
    return this.#revision
  }

  /** Puts in what was persisted earlier: no event, no new revision. */
  load(type: StoreType, key: ObjectKey, object: Resource): void {
    this.#table(type).set(key, object)
  }

  get(type: StoreType, key: ObjectKey): Resource | undefined {
    return this.#tables.get(type)?.get(key)
  }

  list(type: StoreType, namespace: string | undefined): readonly Resource[] {
    return this.#tables.get(type)?.list(namespace) ?? []
  }

  watch(options: { type?: StoreType; after: Revision }, listener: (event: StoreEvent) => void): () => void {
    return this.#history.watch({ ...options, current: this.#revision }, listener)
  }

  /**
   * Carries out writes together: each change sees those before it, and nobody else sees any of them until `persist`
   * has returned. When it throws, everything is as before and every write that was to be kept is refused.
   */
  commit(writes: readonly PendingWrite[], persist: (events: readonly KeyedEvent[]) => void): void {
    const outcomes = writes.flatMap((write) => this.#carryOut(write))
    const events = outcomes.flatMap(({ event }) => event ?? [])
    try {
      if (events.length > 0) persist(events)
    } catch (error) {
      for (const event of events.toReversed()) this.#undo(event)
      for (const { write } of outcomes) write.reject(error)
      return
    }
    for (const event of events) this.#history.append(event)
    for (const { write, object } of outcomes) write.resolve(object)
  }

  /** Nothing when the change threw: its caller has been told. */
  #carryOut(write: PendingWrite): Outcome[] {
    const { type, key } = write
    const table = this.#table(type)
    const previous = table.get(key)
    try {
      const next = write.change(previous)
      if (next === previous) return [{ write, object: previous }]
      this.#revision += 1
      const object = withResourceVersion(next ?? previous!, this.#revision)
      table.set(key, next && object)
      const operation = next === undefined ? 'deleted' : previous === undefined ? 'added' : 'modified'
      const event = { revision: this.#revision, type, key, operation, object, ...(previous && { previous }) } as const
      return [{ write, object: next && object, event }]
    } catch (error) {
      write.reject(error)
      return []
    }
  }

  #undo({ type, key, previous }: KeyedEvent): void {
    this.#table(type).set(key, previous)
    this.#revision -= 1
  }

  #table(type: StoreType): ObjectTable {
    const table = this.#tables.get(type) ?? new ObjectTable()
    this.#tables.set(type, table)
    return table
  }
}

function withResourceVersion(object: Resource, revision: Revision): Resource {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

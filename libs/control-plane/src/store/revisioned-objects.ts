import type { ObjectKey, Resource } from '@ambient-lab/api'
import { EventHistory } from './event-history.ts'
import { ObjectTable } from './object-table.ts'
import type { ObjectWrite, Revision, StoreEvent, StoreType } from './store.ts'

/** Changes that are kept together or not at all, and who waits for them. */
export interface PendingWrites {
  readonly writes: readonly ObjectWrite[]
  /** Nothing of it is kept in any case. */
  readonly dryRun: boolean
  readonly resolve: (objects: readonly (Resource | undefined)[]) => void
  readonly reject: (error: unknown) => void
}

/** What became of them; without an event where a change changed nothing. */
interface Outcome {
  readonly pending: PendingWrites
  readonly objects: readonly (Resource | undefined)[]
  readonly events: readonly KeyedEvent[]
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
  commit(pending: readonly PendingWrites[], persist: (events: readonly KeyedEvent[]) => void): void {
    const outcomes = pending.flatMap((one) => this.#carryOut(one) ?? [])
    const events = outcomes.flatMap((outcome) => outcome.events)
    try {
      if (events.length > 0) persist(events)
    } catch (error) {
      for (const event of events.toReversed()) this.#undo(event)
      for (const outcome of outcomes) outcome.pending.reject(error)
      return
    }
    for (const event of events) this.#history.append(event)
    for (const outcome of outcomes) outcome.pending.resolve(outcome.objects)
  }

  /** Undefined when nothing of it stays; whoever asked has been told. */
  #carryOut(pending: PendingWrites): Outcome | undefined {
    const objects: (Resource | undefined)[] = []
    const events: KeyedEvent[] = []
    const errors: unknown[] = []
    for (const write of pending.writes) {
      try {
        const { object, event } = this.#change(write)
        objects.push(object)
        if (event) events.push(event)
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length === 0 && !pending.dryRun) return { pending, objects, events }
    for (const event of events.toReversed()) this.#undo(event)
    if (errors.length > 0) pending.reject(errors[0])
    else pending.resolve(objects)
    return undefined
  }

  /** @throws what the change throws, with nothing changed */
  #change({ type, key, change }: ObjectWrite): { object: Resource | undefined; event?: KeyedEvent } {
    const table = this.#table(type)
    const previous = table.get(key)
    const next = change(previous)
    if (next === previous) return { object: previous }
    this.#revision += 1
    const object = withResourceVersion(next ?? previous!, this.#revision)
    table.set(key, next && object)
    const operation = next === undefined ? 'deleted' : previous === undefined ? 'added' : 'modified'
    const event = { revision: this.#revision, type, key, operation, object, ...(previous && { previous }) } as const
    return { object: next && object, event }
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

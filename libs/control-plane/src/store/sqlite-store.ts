import type { ObjectKey, Resource } from '@ambient-lab/api'
import { assert, type Clock } from '@ambient-lab/std'
import { HISTORY_EVENTS_MAX, STORE_BYTES_MAX } from './limits.ts'
import { type PendingWrites, RevisionedObjects } from './revisioned-objects.ts'
import { SqliteDatabase } from './sqlite-database.ts'
import type { ObjectWrite, Revision, Store, StoreEvent, StoreType } from './store.ts'

export interface SqliteStoreInit {
  /** The database file; its folder is made when missing, readable by its owner only. */
  readonly path: string
  /** @default HISTORY_EVENTS_MAX */
  readonly historyEventsMax?: number
  /** @default STORE_BYTES_MAX */
  readonly sizeBytesMax?: number
}

/**
 * A Store in one SQLite file. Everything is in memory as well, so that reads never touch the disk. Writes of one turn
 * of the event loop share one transaction, and with it one sync of the disk.
 * The history of events is not persisted: who watched before a restart lists again.
 */
export class SqliteStore implements Store {
  readonly #database: SqliteDatabase
  readonly #objects: RevisionedObjects
  #pending: PendingWrites[] = []
  #flush: NodeJS.Immediate | undefined
  #disposed = false

  /**
   * Opens the file, or makes it, and reads everything in it.
   * @throws CodedError STORE_IN_USE naming the owner, STORE_CORRUPT, STORE_VERSION, STORE_OPEN_FAILED
   */
  constructor({ init, components }: { init: SqliteStoreInit; components: { readonly clock: Clock } }) {
    const { path, sizeBytesMax = STORE_BYTES_MAX, historyEventsMax = HISTORY_EVENTS_MAX } = init
    this.#database = new SqliteDatabase({ path, sizeBytesMax, openedAtMs: components.clock.now() })
    const { revision, objects } = this.#database.load()
    this.#objects = new RevisionedObjects({ historyEventsMax, revision })
    for (const { type, key, object } of objects) this.#objects.load(type, key, object)
  }

  get revision(): Revision {
    return this.#objects.revision
  }

  get(type: StoreType, key: ObjectKey): Resource | undefined {
    return this.#objects.get(type, key)
  }

  list(type: StoreType, options: { readonly namespace?: string } = {}): readonly Resource[] {
    return this.#objects.list(type, options.namespace)
  }

  async write(type: StoreType, key: ObjectKey, change: ObjectWrite['change']): Promise<Resource | undefined> {
    const [object] = await this.writeAll([{ type, key, change }])
    return object
  }

  writeAll(
    writes: readonly ObjectWrite[],
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<readonly (Resource | undefined)[]> {
    assert(!this.#disposed, 'write to a store that is closed')
    return new Promise((resolve, reject) => {
      this.#pending.push({ writes, dryRun, resolve, reject })
      this.#flush ??= setImmediate(() => this.#commit())
    })
  }

  watch(
    options: { readonly type?: StoreType; readonly after: Revision },
    listener: (event: StoreEvent) => void,
  ): () => void {
    return this.#objects.watch(options, listener)
  }

  /** Carries out what is waiting, then lets go of the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#pending.length > 0) this.#commit()
    clearImmediate(this.#flush)
    this.#database.close()
  }

  #commit(): void {
    const pending = this.#pending
    this.#pending = []
    this.#flush = undefined
    this.#objects.commit(pending, (events) => this.#database.persist(events, this.#objects.revision))
  }
}

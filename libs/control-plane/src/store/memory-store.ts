import type { ObjectKey, Resource } from '@ambient-lab/api'
import { assert, CodedError } from '@ambient-lab/std'
import { HISTORY_EVENTS_MAX } from './limits.ts'
import { type PendingWrites, RevisionedObjects } from './revisioned-objects.ts'
import type { ObjectWrite, Revision, Store, StoreEvent, StoreType } from './store.ts'

/** A Store that forgets everything with its process: for simulation and tests. */
export class MemoryStore implements Store {
  /** Refuses whatever changes something, as a store does whose disk is full. */
  isFull = false
  readonly #objects: RevisionedObjects
  #pending: PendingWrites[] = []
  #disposed = false

  constructor(init: { /** @default HISTORY_EVENTS_MAX */ readonly historyEventsMax?: number } = {}) {
    this.#objects = new RevisionedObjects({
      historyEventsMax: init.historyEventsMax ?? HISTORY_EVENTS_MAX,
      revision: 0,
    })
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
      if (this.#pending.length === 0) queueMicrotask(() => this.#commit())
      this.#pending.push({ writes, dryRun, resolve, reject })
    })
  }

  watch(
    options: { readonly type?: StoreType; readonly after: Revision },
    listener: (event: StoreEvent) => void,
  ): () => void {
    return this.#objects.watch(options, listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#commit()
  }

  /** A listener may write: that write waits for the next turn, behind the events of this one. */
  #commit(): void {
    const pending = this.#pending
    this.#pending = []
    this.#objects.commit(pending, () => {
      if (this.isFull) throw new CodedError('STORE_WRITE_FAILED', 'cannot write: no space left', { retry: 'yes' })
    })
  }
}

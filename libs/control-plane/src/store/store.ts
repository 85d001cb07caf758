import type { ObjectKey, Resource } from '@ambient-lab/api'

/** Names one stored type: `apps/deployments`, `/pods` (core group), `ambient.lab/faults`. Versions share one store. */
export type StoreType = `${string}/${string}`

/** Grows by one with each change of anything; the decimal text of it is an object's resourceVersion. */
export type Revision = number

export interface StoreEvent {
  readonly revision: Revision
  readonly type: StoreType
  readonly operation: 'added' | 'modified' | 'deleted'
  /** For `deleted`: the last state, with the revision of the deletion as its resourceVersion. */
  readonly object: Resource
  /** The state before; undefined for `added`. */
  readonly previous?: Resource
}

/** One change of one object, as `Store.write` takes it. */
export interface ObjectWrite {
  readonly type: StoreType
  readonly key: ObjectKey
  readonly change: (current: Resource | undefined) => Resource | undefined
}

/**
 * Holds every object. Reads are answered at once from memory; a write is durable when its promise resolves, and its
 * event is delivered to watchers, in order of revision, before that. Objects handed in and out are never modified.
 * Implementations keep the promises of `store.conformance.ts`.
 */
export interface Store extends AsyncDisposable {
  readonly revision: Revision
  get(type: StoreType, key: ObjectKey): Resource | undefined
  /** Sorted by key. */
  list(type: StoreType, options?: { readonly namespace?: string }): readonly Resource[]
  /**
   * Applies one change to what is stored at the moment it is carried out: `change` gets the current object (or
   * undefined) and answers the new one, or undefined to delete; answering the same object changes nothing and uses no
   * revision. Sets `resourceVersion` and nothing else. Writes are carried out in the order of the calls.
   * @throws whatever `change` throws (a conflict, a missing object), with nothing written
   * @throws CodedError STORE_WRITE_FAILED when the disk refuses; nothing is half-written
   */
  write(
    type: StoreType,
    key: ObjectKey,
    change: (current: Resource | undefined) => Resource | undefined,
  ): Promise<Resource | undefined>
  /**
   * Applies changes in their order, each seeing those before it: all of them in one transaction, or, when one throws,
   * none. The others are tried all the same, so that each has its say.
   * @param options.dryRun answers as if, and keeps nothing
   * @throws what the first change threw that did; CodedError STORE_WRITE_FAILED
   */
  writeAll(
    writes: readonly ObjectWrite[],
    options?: { readonly dryRun?: boolean },
  ): Promise<readonly (Resource | undefined)[]>
  /**
   * Delivers every event of `type` (or of all types) after `after`, first those that already happened, synchronously.
   * @returns the way to stop
   * @throws CodedError REVISION_GONE when `after` is older than what is remembered
   */
  watch(
    options: { readonly type?: StoreType; readonly after: Revision },
    listener: (event: StoreEvent) => void,
  ): () => void
}

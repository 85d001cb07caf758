import { createHash } from 'node:crypto'
import { type ObjectKey, objectKey, type Resource, timestamp } from '@ambient-lab/api'
import { type Clock, CodedError, type Random } from '@ambient-lab/std'
import type { Store, StoreEvent, StoreType } from './store/store.ts'
import type { KnownType, StoredKinds } from './stored-kinds.ts'

export interface ClusterComponents {
  readonly store: Store
  readonly clock: Clock
  /** For names and uids; not for secrets. */
  readonly random: Random
}

/** What the controllers see of the store: typed, with the metadata that an API server would have set. */
export class Cluster {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random

  constructor({ store, clock, random }: ClusterComponents) {
    this.store = store
    this.clock = clock
    this.random = random
  }

  get<T extends KnownType>(type: T, key: ObjectKey): StoredKinds[T] | undefined {
    return this.store.get(type, key) as StoredKinds[T] | undefined
  }

  /** Sorted by key. */
  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    return this.store.list(type, namespace === undefined ? {} : { namespace }) as readonly StoredKinds[T][]
  }

  /** Creates unless there is one of that name already, which is then left as it is. Answers what is stored. */
  async create<T extends KnownType>(type: T, object: StoredKinds[T]): Promise<StoredKinds[T]> {
    const stored = await this.store.write(type, objectKey(object.metadata), (current) => {
      return current ?? this.withMetadata(object)
    })
    return stored as StoredKinds[T]
  }

  /**
   * Changes an object that exists; nothing happens when it does not, or is another of the same name than `uid`.
   * Answering the same object writes nothing. A changed spec counts up the generation.
   */
  async update<T extends KnownType>(
    type: T,
    key: ObjectKey,
    change: (current: StoredKinds[T]) => StoredKinds[T],
    uid?: string,
  ): Promise<StoredKinds[T] | undefined> {
    const stored = await this.store.write(type, key, (current) => {
      if (!current || (uid !== undefined && current.metadata.uid !== uid)) return current
      const next = change(current as StoredKinds[T])
      if (next === current || next.spec === current.spec) return next
      return { ...next, metadata: { ...next.metadata, generation: (current.metadata.generation ?? 0) + 1 } }
    })
    return stored as StoredKinds[T] | undefined
  }

  /** Replaces the status unless it is the same in content. */
  updateStatus<T extends KnownType>(
    type: T,
    key: ObjectKey,
    change: (current: StoredKinds[T]) => NonNullable<StoredKinds[T]['status']>,
    uid?: string,
  ): Promise<StoredKinds[T] | undefined> {
    return this.update(
      type,
      key,
      (current) => {
        const status = change(current)
        return sameContent(status, current.status) ? current : { ...current, status }
      },
      uid,
    )
  }

  /** Removes at once, without grace. Fine when it is gone already, or another of the same name took its place. */
  async remove(type: StoreType, key: ObjectKey, uid?: string): Promise<void> {
    await this.store.write(type, key, (current) => {
      return uid === undefined || current?.metadata.uid === uid ? undefined : current
    })
  }

  /** Every change of any type from now on. */
  watch(listener: (event: StoreEvent) => void): () => void {
    return this.store.watch({ after: this.store.revision }, listener)
  }

  now(): string {
    return timestamp(this.clock.now())
  }

  withMetadata(object: Resource): Resource {
    const metadata = { ...object.metadata, uid: this.uid(), creationTimestamp: this.now(), generation: 1 }
    return { ...object, metadata }
  }

  /** An RFC 9562 version 4 layout over the injected chance, so that a simulation replays. */
  uid(): string {
    const hex = Array.from({ length: 32 }, () => this.random.integer(16).toString(16))
    hex[12] = '4'
    hex[16] = '89ab'[this.random.integer(4)]!
    const text = hex.join('')
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-')
  }
}

/** Equal as JSON, whatever the order of keys; undefined fields count as absent. */
export function sameContent(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (!sameContent(left[key], right[key])) return false
  }
  return true
}

/** 32 bits of a text, for seeds that must be the same at every start. */
export function stableSeed(text: string): number {
  return createHash('sha1').update(text).digest().readUInt32BE(0)
}

/** The key of the object that an event is about. */
export function keyOf(event: Pick<StoreEvent, 'object'>): ObjectKey {
  return objectKey(event.object.metadata)
}

export function isStoreFailure(error: unknown): boolean {
  return CodedError.is(error, 'STORE_WRITE_FAILED')
}

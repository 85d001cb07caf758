import { type ObjectKey, objectKey, type Resource } from '@ambient-lab/api'
import type { StoreType } from './store/store.ts'
import type { KnownType, StoredKinds } from './stored-kinds.ts'
import type { ObjectReader } from './translate/view.ts'

/** The objects of the store as they would be after some changes; nothing is written. */
export class ObjectOverlay implements ObjectReader {
  readonly #base: ObjectReader
  /** Type → key → the object, or undefined where it would be deleted. */
  readonly #changes = new Map<StoreType, Map<ObjectKey, Resource | undefined>>()

  constructor(base: ObjectReader) {
    this.#base = base
  }

  set(type: StoreType, object: Resource): void {
    this.#of(type).set(objectKey(object.metadata), object)
  }

  remove(type: StoreType, key: ObjectKey): void {
    this.#of(type).set(key, undefined)
  }

  get<T extends KnownType>(type: T, key: string): StoredKinds[T] | undefined {
    const changes = this.#changes.get(type)
    return changes?.has(key) ? (changes.get(key) as StoredKinds[T] | undefined) : this.#base.get(type, key)
  }

  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    const base = this.#base.list(type, namespace)
    const changes = this.#changes.get(type)
    if (!changes) return base
    const kept = base.filter(({ metadata }) => !changes.has(objectKey(metadata)))
    const set = [...changes.values()].filter(
      (object) => object && (namespace === undefined || object.metadata.namespace === namespace),
    )
    return [...kept, ...(set as StoredKinds[T][])].sort((a, b) => {
      return objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1
    })
  }

  /** Nothing ever changes here. */
  watch(): () => void {
    return () => {}
  }

  #of(type: StoreType): Map<ObjectKey, Resource | undefined> {
    const known = this.#changes.get(type)
    if (known) return known
    const changes = new Map<ObjectKey, Resource | undefined>()
    this.#changes.set(type, changes)
    return changes
  }
}

import { objectKey, type Resource } from '@ambient-lab/api'
import type { KnownType, ObjectReader, StoredKinds } from '@ambient-lab/control-plane'

export type TypedObject = readonly [KnownType, Resource]

/** The objects of a case as translations read them. */
export class ObjectList implements ObjectReader {
  readonly #objects: readonly TypedObject[]

  constructor(objects: readonly TypedObject[]) {
    this.#objects = objects
  }

  get<T extends KnownType>(type: T, key: string): StoredKinds[T] | undefined {
    return this.list(type).find(({ metadata }) => objectKey(metadata) === key)
  }

  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    return this.#objects.flatMap(([of, object]) =>
      of === type && (namespace === undefined || object.metadata.namespace === namespace)
        ? (object as StoredKinds[T])
        : [],
    )
  }
}

import type { ObjectKey } from '@ambient-lab/api'
import type { ResourceTypes, TypeUrl } from '@ambient-lab/xds'
import type { StoreEvent } from '../store/store.ts'
import type { KnownType, StoredKinds } from '../stored-kinds.ts'
import type { TranslationView } from './view.ts'

/** One resource that an object stands for. */
export interface Translated<T extends TypeUrl = TypeUrl> {
  readonly name: string
  readonly resource: ResourceTypes[T]
  /** The only nodes that may see it. @default all */
  readonly nodes?: readonly string[]
}

/**
 * Turns the objects of one kind into the resources of one type. Pure: what it answers follows from the object and the
 * view alone. A file of this folder that default-exports one is its registration.
 */
export interface Translation<K extends KnownType = KnownType, T extends TypeUrl = TypeUrl> {
  /** Unique, as in `pod-workload`. */
  readonly name: string
  readonly kind: K
  readonly typeUrl: T
  translate(object: StoredKinds[K], view: TranslationView): readonly Translated<T>[]
  /** Kinds besides its own that the outcome depends on, and which objects a change of one touches. */
  readonly dependencies?: { readonly [D in KnownType]?: (change: StoreEvent, view: TranslationView) => Touched }
}

/** What happened to an object, whenever it did. */
export type ObjectChange = Omit<StoreEvent, 'revision'>

/** Keys of objects to translate again: some, or all of a namespace (undefined: of all). */
export type Touched = { readonly keys: Iterable<ObjectKey> } | { readonly namespace: string | undefined }

export function defineTranslation<K extends KnownType, T extends TypeUrl>(
  translation: Translation<K, T>,
): Translation<K, T> {
  return translation
}

import { objectKey, type Resource } from '@ambient-lab/api'
import { MESH_CONFIG_DEFAULT, type MeshConfig } from '../mesh-config.ts'
import type { KnownType, StoredKinds } from '../stored-kinds.ts'
import { type ObjectReader, TranslationView } from './view.ts'

/** A view over objects that a test has at hand. */
export function viewOf(objects: readonly [KnownType, Resource][], mesh: Partial<MeshConfig> = {}): TranslationView {
  const reader: ObjectReader = {
    get: <T extends KnownType>(type: T, key: string) => {
      const found = objects.find(([of, { metadata }]) => of === type && objectKey(metadata) === key)
      return found?.[1] as StoredKinds[T] | undefined
    },
    list: <T extends KnownType>(type: T, namespace?: string) => {
      const found = objects.filter(
        ([of, { metadata }]) => of === type && (namespace === undefined || metadata.namespace === namespace),
      )
      return found.map(([, object]) => object) as unknown as StoredKinds[T][]
    },
  }
  return new TranslationView(reader, { ...MESH_CONFIG_DEFAULT, ...mesh })
}

import { type ObjectKey, objectKey } from '@ambient-lab/api'
import { defineCatalog } from '@ambient-lab/std'
import type { ResourceTypes, TypeUrl, VersionedResources } from '@ambient-lab/xds'
import type { MeshConfig } from '../mesh-config.ts'
import type { StoreEvent, StoreType } from '../store/store.ts'
import type { KnownType } from '../stored-kinds.ts'
import catalog from './_catalog.ts'
import type { Touched, Translated, Translation } from './translation.ts'
import { type ObjectReader, TranslationView } from './view.ts'

const TRANSLATIONS = defineCatalog(catalog as readonly unknown[] as readonly Translation[], ({ name }) => name)

/** Names one resource across types. */
type ResourceId = `${TypeUrl} ${string}`
/** Names one object as the source of one translation. */
type SourceId = `${string} ${ObjectKey}`

export interface TranslatorComponents {
  /** The objects, and the news of them. */
  readonly cluster: ObjectReader & { watch(listener: (change: StoreEvent) => void): () => void }
  /** Where the resources go. */
  readonly resources: VersionedResources
  readonly mesh: MeshConfig
}

/**
 * Keeps the resources that agents are served up to date with the objects of the store. A change translates the object
 * anew, and those that depend on it; all changes of one turn of the event loop are worked off together.
 */
export class Translator implements Disposable {
  readonly #resources: VersionedResources
  readonly #view: TranslationView
  readonly #dirty = new Map<Translation, Set<ObjectKey>>()
  /** What each source produced, so that what it no longer produces is removed. */
  readonly #produced = new Map<SourceId, readonly ResourceId[]>()
  /** Several sources may stand for one resource (the static STRICT policy): it stays while one of them does. */
  readonly #sources = new Map<ResourceId, Map<SourceId, Translated>>()
  readonly #stop: () => void
  #flushQueued = false
  #translationCount = 0

  constructor(components: TranslatorComponents) {
    this.#resources = components.resources
    this.#view = new TranslationView(components.cluster, components.mesh)
    this.refresh()
    this.#stop = components.cluster.watch((change) => this.#changed(change))
  }

  /** Objects translated since the start: shows how far changes reach. */
  get translationCount(): number {
    return this.#translationCount
  }

  /** Translates everything anew: the settings of the mesh are others now. */
  refresh(): void {
    for (const translation of TRANSLATIONS.values()) this.#touch(translation, { namespace: undefined })
    this.flush()
  }

  /** Works off what has changed, at once. */
  flush(): void {
    this.#flushQueued = false
    for (const [translation, keys] of this.#dirty) {
      this.#dirty.delete(translation)
      for (const key of keys) this.#translate(translation, key)
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #changed(change: StoreEvent): void {
    this.#view.invalidate(change)
    for (const translation of TRANSLATIONS.values()) {
      if (translation.kind === change.type) this.#touch(translation, { keys: [objectKey(change.object.metadata)] })
      const touched = translation.dependencies?.[change.type as KnownType]?.(change, this.#view)
      if (touched) this.#touch(translation, touched)
    }
    if (this.#flushQueued || this.#dirty.size === 0) return
    this.#flushQueued = true
    queueMicrotask(() => this.flush())
  }

  #touch(translation: Translation, touched: Touched): void {
    const keys =
      'keys' in touched
        ? touched.keys
        : this.#view.list(translation.kind, touched.namespace).map(({ metadata }) => objectKey(metadata))
    const dirty = this.#dirty.get(translation) ?? new Set()
    for (const key of keys) dirty.add(key)
    if (dirty.size > 0) this.#dirty.set(translation, dirty)
  }

  #translate(translation: Translation, key: ObjectKey): void {
    this.#translationCount += 1
    const { typeUrl } = translation
    const source: SourceId = `${translation.name} ${key}`
    const object = this.#view.get(translation.kind, key)
    const translated = object ? translation.translate(object, this.#view) : []
    const before = this.#produced.get(source) ?? []
    const after = new Map(translated.map((one) => [`${typeUrl} ${one.name}` as ResourceId, one]))
    for (const id of before) if (!after.has(id)) this.#withdraw(typeUrl, id, source)
    for (const [id, one] of after) this.#put(typeUrl, id, source, one)
    if (after.size > 0) this.#produced.set(source, [...after.keys()])
    else this.#produced.delete(source)
  }

  #put(typeUrl: TypeUrl, id: ResourceId, source: SourceId, one: Translated): void {
    const sources = this.#sources.get(id) ?? new Map<SourceId, Translated>()
    sources.set(source, one)
    this.#sources.set(id, sources)
    this.#serve(typeUrl, sources)
  }

  #withdraw(typeUrl: TypeUrl, id: ResourceId, source: SourceId): void {
    const sources = this.#sources.get(id)
    if (!sources?.delete(source)) return
    if (sources.size > 0) {
      this.#serve(typeUrl, sources)
    } else {
      this.#sources.delete(id)
      this.#resources.delete(typeUrl, id.slice(typeUrl.length + 1))
    }
  }

  /** Where sources disagree the first by name wins, at every start the same; who may see it they say together. */
  #serve(typeUrl: TypeUrl, sources: ReadonlyMap<SourceId, Translated>): void {
    const [first] = [...sources.keys()].sort()
    const { name, resource } = sources.get(first!)!
    const audiences = [...sources.values()].map(({ nodes }) => nodes)
    const forAll = audiences.includes(undefined)
    const nodes = forAll ? undefined : [...new Set(audiences.flatMap((audience) => audience ?? []))]
    this.#resources.set(typeUrl, name, resource as ResourceTypes[TypeUrl], nodes)
  }
}

/** Types of the store that any translation reads. */
export const TRANSLATED_TYPES: ReadonlySet<StoreType> = new Set(
  [...TRANSLATIONS.values()].flatMap(({ kind, dependencies = {} }) => [
    kind,
    ...(Object.keys(dependencies) as StoreType[]),
  ]),
)

/** Changes that lie over a map before the two become one: so many are copied with each change, instead of all. */
export const OVERLAY_ENTRIES_MAX = 256

const GONE = Symbol('gone')

type Overlay<K, V> = ReadonlyMap<K, V | typeof GONE>

/**
 * An immutable map, made from another one by a few changes: what did not change is shared. Reading costs one look-up
 * more than in a Map, and nothing more where nothing lies above.
 */
export class LayeredMap<K, V> implements ReadonlyMap<K, V> {
  readonly size: number
  readonly #base: ReadonlyMap<K, V>
  readonly #overlay: Overlay<K, V> | undefined

  private constructor(base: ReadonlyMap<K, V>, overlay: Overlay<K, V> | undefined, size: number) {
    this.#base = base
    this.#overlay = overlay
    this.size = size
  }

  /** @param map is this one's from now on, and not changed any more */
  static of<K, V>(map: ReadonlyMap<K, V>): LayeredMap<K, V> {
    return map instanceof LayeredMap ? map : new LayeredMap(map, undefined, map.size)
  }

  get(key: K): V | undefined {
    const value = this.#overlay?.get(key)
    if (value === undefined) return this.#base.get(key)
    return value === GONE ? undefined : value
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  entries(): MapIterator<[K, V]> {
    return this.#overlay ? layered(this.#base, this.#overlay) : this.#base.entries()
  }

  keys(): MapIterator<K> {
    return this.#overlay ? this.entries().map(([key]) => key) : this.#base.keys()
  }

  values(): MapIterator<V> {
    return this.#overlay ? this.entries().map(([, value]) => value) : this.#base.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this)
  }

  /** The start of the next one. */
  draft(): LayeredMapDraft<K, V> {
    return new LayeredMapDraft(
      this,
      this.#base,
      this.#overlay,
      (base, overlay, size) => new LayeredMap(base, overlay, size),
    )
  }
}

type Make<K, V> = (base: ReadonlyMap<K, V>, overlay: Overlay<K, V> | undefined, size: number) => LayeredMap<K, V>

function* layered<K, V>(base: ReadonlyMap<K, V>, overlay: Overlay<K, V>): MapIterator<[K, V]> {
  for (const entry of base) if (!overlay.has(entry[0])) yield entry
  for (const [key, value] of overlay) if (value !== GONE) yield [key, value]
  return undefined
}

/** A LayeredMap in the making: one that nothing was written to becomes the map that it began with. */
export class LayeredMapDraft<K, V> {
  readonly #origin: LayeredMap<K, V>
  readonly #make: Make<K, V>
  #base: ReadonlyMap<K, V>
  /** Of this draft alone. */
  #own: Map<K, V | typeof GONE> | undefined
  #overlay: Overlay<K, V> | undefined
  /** The base, once this draft has one of its own: then there is no overlay. */
  #flat: Map<K, V> | undefined
  #size: number

  constructor(origin: LayeredMap<K, V>, base: ReadonlyMap<K, V>, overlay: Overlay<K, V> | undefined, make: Make<K, V>) {
    this.#origin = origin
    this.#base = base
    this.#overlay = overlay
    this.#size = origin.size
    this.#make = make
  }

  get(key: K): V | undefined {
    const value = this.#overlay?.get(key)
    if (value === undefined) return this.#base.get(key)
    return value === GONE ? undefined : value
  }

  set(key: K, value: V): void {
    if (this.get(key) === undefined) this.#size += 1
    this.#write(key, value)
  }

  delete(key: K): void {
    if (this.get(key) === undefined) return
    this.#size -= 1
    this.#write(key, GONE)
  }

  finish(): LayeredMap<K, V> {
    if (!this.#own && !this.#flat) return this.#origin
    return this.#make(this.#base, this.#overlay, this.#size)
  }

  #write(key: K, value: V | typeof GONE): void {
    if (!this.#flat && !this.#own) this.#open()
    if (this.#own) {
      this.#own.set(key, value)
      if (this.#own.size > OVERLAY_ENTRIES_MAX) this.#flatten()
    } else if (value === GONE) this.#flat!.delete(key)
    else this.#flat!.set(key, value)
  }

  /** What is small is copied whole, so that nothing lies over it. */
  #open(): void {
    if (this.#base.size <= OVERLAY_ENTRIES_MAX) return this.#flatten()
    this.#own = new Map(this.#overlay)
    this.#overlay = this.#own
  }

  #flatten(): void {
    const flat = new Map(this.#base)
    for (const [key, value] of this.#overlay ?? []) {
      if (value === GONE) flat.delete(key)
      else flat.set(key, value)
    }
    this.#flat = flat
    this.#base = flat
    this.#overlay = undefined
    this.#own = undefined
  }
}

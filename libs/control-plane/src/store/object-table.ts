import type { ObjectKey, Resource } from '@ambient-lab/api'

/** The objects of one type, sorted by key, so that a namespace is one contiguous run. */
export class ObjectTable {
  readonly #keys: ObjectKey[] = []
  readonly #objects: Resource[] = []

  get(key: ObjectKey): Resource | undefined {
    const index = this.#lowerBound(key)
    return this.#keys[index] === key ? this.#objects[index] : undefined
  }

  /** A copy: later changes do not show in it. */
  list(namespace: string | undefined): readonly Resource[] {
    if (namespace === undefined) return this.#objects.slice()
    // '0' is the character after '/', so this is everything that starts with `namespace/`.
    return this.#objects.slice(this.#lowerBound(`${namespace}/`), this.#lowerBound(`${namespace}0`))
  }

  /** Undefined removes. */
  set(key: ObjectKey, object: Resource | undefined): void {
    const index = this.#lowerBound(key)
    const known = this.#keys[index] === key
    if (object === undefined) {
      if (!known) return
      this.#keys.splice(index, 1)
      this.#objects.splice(index, 1)
    } else if (known) {
      this.#objects[index] = object
    } else {
      this.#keys.splice(index, 0, key)
      this.#objects.splice(index, 0, object)
    }
  }

  /** Index of the first key that is not less than `key`. */
  #lowerBound(key: ObjectKey): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#keys[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

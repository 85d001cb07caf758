/** The `capacity` values that were used last; a new one takes the place of the one that was not used for longest. */
export class LruCache<K, V> {
  readonly #capacity: number
  /** Least recently used first: a Map keeps the order in which keys were set. */
  readonly #values = new Map<K, V>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#values.size
  }

  /** Counts as use. */
  get(key: K): V | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    this.#values.delete(key)
    this.#values.set(key, value)
    return value
  }

  set(key: K, value: V): void {
    this.#values.delete(key)
    if (this.#values.size >= this.#capacity) {
      const [oldest] = this.#values.keys()
      this.#values.delete(oldest!)
    }
    this.#values.set(key, value)
  }

  delete(key: K): void {
    this.#values.delete(key)
  }
}

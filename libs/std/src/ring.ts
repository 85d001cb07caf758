/** The last `capacity` items; older ones fall out and are counted. */
export class Ring<T> {
  readonly #items: (T | undefined)[]
  #next = 0
  #total = 0

  constructor(capacity: number) {
    this.#items = new Array(capacity)
  }

  push(item: T): void {
    this.#items[this.#next] = item
    this.#next = (this.#next + 1) % this.#items.length
    this.#total += 1
  }

  /** Oldest first. */
  toArray(): T[] {
    const size = this.size
    const first = this.#total > size ? this.#next : 0
    return Array.from({ length: size }, (_, index) => this.#items[(first + index) % this.#items.length] as T)
  }

  get size(): number {
    return Math.min(this.#total, this.#items.length)
  }

  /** How many fell out. */
  get lost(): number {
    return this.#total - this.size
  }
}

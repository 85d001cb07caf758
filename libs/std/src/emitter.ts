/** Subscribers of one kind of news. Listeners run in order of subscription; one that throws is a bug. */
export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Returns the way to unsubscribe. */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value)
  }

  get size(): number {
    return this.#listeners.size
  }
}

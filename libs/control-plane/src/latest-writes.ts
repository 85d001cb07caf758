import { WorkQueue, type WorkQueueComponents } from './work-queue.ts'

/**
 * Writes of state that nobody will tell again: of each key the latest, tried until the store takes it. What replaces a
 * write that still waits is written instead of it.
 */
export class LatestWrites implements AsyncDisposable {
  readonly #writes = new Map<string, () => Promise<unknown>>()
  readonly #queue: WorkQueue

  constructor(name: string, components: WorkQueueComponents) {
    this.#queue = new WorkQueue(name, (keys) => this.#carryOut(keys), components)
  }

  /** @param write called once or more, in one transaction with the writes of other keys, those in the order of keys */
  put(key: string, write: () => Promise<unknown>): void {
    this.#writes.set(key, write)
    this.#queue.add(key)
  }

  /** Nothing waits or is under way. */
  get idle(): boolean {
    return this.#queue.idle
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#queue[Symbol.asyncDispose]()
  }

  async #carryOut(keys: readonly string[]): Promise<void> {
    const writes = keys.toSorted().map(async (key) => {
      const write = this.#writes.get(key)
      await write?.()
      // Another one may have come while this one was on its way.
      if (this.#writes.get(key) === write) this.#writes.delete(key)
    })
    await Promise.all(writes)
  }
}

import type { Store, StoreEvent, StoreType } from '@ambient-lab/control-plane'
import type { CancelTimer, Clock } from '@ambient-lab/std'

/**
 * A process that can be killed: from then on none of its timers fires. Whoever owns what reaches out of it (streams,
 * links, the store) asks `alive`, and lets nothing in or out of a dead one.
 */
export class VirtualProcess {
  readonly name: string
  readonly clock: Clock
  readonly #timers = new Set<CancelTimer>()
  #alive = true

  /** @param skewMs how far this machine's wall clock is off, asked at each look at it */
  constructor(name: string, base: Clock, skewMs: () => number = () => 0) {
    this.name = name
    this.clock = {
      now: () => base.now() + skewMs(),
      monotonic: () => base.monotonic(),
      schedule: (delayMs, callback) => this.#schedule(base, delayMs, callback),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  /** Timers that are still to come: none may be left of a process that ended in order. */
  get pending(): number {
    return this.#timers.size
  }

  /** Like SIGKILL: nothing is said to anybody. */
  kill(): void {
    this.#alive = false
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
  }

  #schedule(base: Clock, delayMs: number, callback: () => void): CancelTimer {
    if (!this.#alive) return () => {}
    const cancelBase = base.schedule(delayMs, () => {
      this.#timers.delete(cancel)
      callback()
    })
    const cancel = () => {
      this.#timers.delete(cancel)
      cancelBase()
    }
    this.#timers.add(cancel)
    return cancel
  }
}

/** What never comes, for those who wait in a dead process. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}

/** The store as one process has it open: what is stored outlives the process, its watches and its later writes do not. */
export class OpenStore implements Store {
  readonly #store: Store
  readonly #process: VirtualProcess
  readonly #watches = new Set<() => void>()

  constructor(store: Store, process: VirtualProcess) {
    this.#store = store
    this.#process = process
  }

  get revision(): number {
    return this.#store.revision
  }

  get(...args: Parameters<Store['get']>): ReturnType<Store['get']> {
    return this.#store.get(...args)
  }

  list(...args: Parameters<Store['list']>): ReturnType<Store['list']> {
    return this.#store.list(...args)
  }

  write(...args: Parameters<Store['write']>): ReturnType<Store['write']> {
    return this.#process.alive ? this.#store.write(...args) : never()
  }

  writeAll(...args: Parameters<Store['writeAll']>): ReturnType<Store['writeAll']> {
    return this.#process.alive ? this.#store.writeAll(...args) : never()
  }

  watch(
    options: { readonly type?: StoreType; readonly after: number },
    listener: (event: StoreEvent) => void,
  ): () => void {
    const stop = this.#store.watch(options, listener)
    this.#watches.add(stop)
    return () => {
      this.#watches.delete(stop)
      stop()
    }
  }

  /** Watches that nobody stopped. */
  get watches(): number {
    return this.#watches.size
  }

  /** What the end of a process does to its files. */
  abandon(): void {
    for (const stop of this.#watches) stop()
    this.#watches.clear()
  }

  /** The store stays with whoever made it. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

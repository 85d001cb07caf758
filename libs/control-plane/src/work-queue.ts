import { Backoff, type Clock, CodedError, errorMessage, type Random } from '@ambient-lab/std'

export interface WorkQueueComponents {
  readonly clock: Clock
  readonly random: Random
  /** Told of each failure; the keys are tried again later. */
  readonly onError: (message: string) => void
}

const RETRY_INITIAL_MS = 20
const RETRY_MAX_MS = 5000

/**
 * Keys that wait to be worked on, each at most once. Work is done in batches, one at a time; what is added meanwhile
 * is the next batch. A batch that fails is tried again as a whole: work is idempotent.
 */
export class WorkQueue implements AsyncDisposable {
  readonly #name: string
  readonly #work: (keys: readonly string[]) => Promise<void>
  readonly #components: WorkQueueComponents
  readonly #backoff: Backoff
  #waiting = new Set<string>()
  #running: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #stopped = false

  constructor(name: string, work: (keys: readonly string[]) => Promise<void>, components: WorkQueueComponents) {
    this.#name = name
    this.#work = work
    this.#components = components
    this.#backoff = new Backoff({ initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS, random: components.random })
  }

  add(key: string): void {
    if (this.#stopped) return
    this.#waiting.add(key)
    if (!this.#cancelRetry) this.#running ??= this.#run()
  }

  /** Nothing waits, runs, or is to be tried again. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#running === undefined
  }

  /** Waits for the batch that runs; what waits behind it is dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    this.#waiting.clear()
    this.#cancelRetry?.()
    await this.#running
  }

  async #run(): Promise<void> {
    await Promise.resolve() // keys added in the same turn belong to the same batch
    while (this.#waiting.size > 0 && !this.#cancelRetry) {
      const batch = this.#waiting
      this.#waiting = new Set()
      try {
        await this.#work([...batch])
        this.#backoff.reset()
      } catch (error) {
        this.#failed(batch, error)
      }
    }
    this.#running = undefined
  }

  #failed(batch: ReadonlySet<string>, error: unknown): void {
    if (!CodedError.is(error)) throw error // a bug: nobody goes on from one
    this.#components.onError(`${this.#name}: ${errorMessage(error)}`)
    if (this.#stopped) return
    for (const key of batch) this.#waiting.add(key)
    this.#cancelRetry = this.#components.clock.schedule(this.#backoff.nextMs(), () => {
      this.#cancelRetry = undefined
      this.#running ??= this.#run()
    })
  }
}

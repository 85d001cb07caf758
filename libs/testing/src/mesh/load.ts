import { errorMessage } from '@ambient-lab/std'
import { eventually } from '../eventually.ts'

/** Told with what was waited for in vain: the first few. */
const FAILURES_TOLD = 5
const PATIENCE_MS = 30_000

export interface LoadTarget {
  /** Of the workload that calls. */
  readonly capture: { readonly host: string; readonly port: number }
  readonly host: string
  readonly port: number
}

export interface Failure {
  /** Of the attempt, from 1. */
  readonly number: number
  /** Since the load began. */
  readonly atMs: number
  readonly error: string
}

export interface LoadInit {
  /** How many do it at once. */
  readonly programs: number
  /** How many attempts there are in all. @default as many as there are until `stop` */
  readonly attempts?: number
  readonly onCompleted?: (completed: number) => void
}

/** Several programs that do the same again and again until they are stopped; each attempt is counted once. */
export class Load {
  readonly failed: Failure[] = []
  completed = 0
  /** Settles when every program has ended. */
  readonly ended: Promise<unknown>
  readonly #init: LoadInit
  readonly #startedMs = performance.now()
  #stopped = false
  #begun = 0

  /** @param turn what a program does, once after the other, for as long as `goesOn`: one attempt, or several */
  constructor(init: LoadInit, turn: (load: Load) => Promise<unknown>) {
    this.#init = init
    const run = async () => {
      while (this.goesOn) await turn(this)
    }
    this.ended = Promise.all(Array.from({ length: init.programs }, run))
  }

  get goesOn(): boolean {
    return !this.#stopped && this.#begun < (this.#init.attempts ?? Number.POSITIVE_INFINITY)
  }

  /** @returns whether it went well */
  async attempt(work: (number: number) => Promise<void>): Promise<boolean> {
    const number = ++this.#begun
    try {
      await work(number)
      this.completed += 1
      this.#init.onCompleted?.(this.completed)
      return true
    } catch (error) {
      this.failed.push({ number, atMs: Math.round(performance.now() - this.#startedMs), error: errorMessage(error) })
      return false
    }
  }

  /** Waits until so many more attempts went well. */
  async more(count: number): Promise<void> {
    const goal = this.completed + count
    const check = () => {
      if (this.completed >= goal) return true
      const failures = this.failed.slice(0, FAILURES_TOLD).map(({ error }) => error)
      throw new Error(`${this.completed} of ${goal} completed, ${this.failed.length} failed: ${failures.join(', ')}`)
    }
    await eventually(check, { timeoutMs: PATIENCE_MS })
  }

  /** Goes on for as long as `body` takes, and a while before and after. */
  async during(body: () => Promise<unknown>, { before, after }: { before: number; after: number }): Promise<this> {
    await this.more(before)
    await body()
    await this.more(after)
    await this.stop()
    return this
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.ended
  }
}

import { createHash } from 'node:crypto'
import { type Clock, Ring } from '@ambient-lab/std'
import type { CheckerName } from './checkers/fail.ts'

/** Lines that a failure prints: the last ones before it. */
const LINES_KEPT = Number(process.env.AMBIENT_HISTORY ?? 120)

/** What happened in one run, in order: the end of it for people, the hash of all of it to compare two runs. */
export class History {
  readonly #clock: Clock
  readonly #hash = createHash('sha256')
  readonly #lines = new Ring<string>(LINES_KEPT)
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(actor: string, event: string): void {
    const line = `${this.#clock.monotonic().toFixed(2).padStart(10)}  ${actor.padEnd(14)} ${event}`
    this.#count += 1
    this.#hash.update(line)
    this.#lines.push(line)
  }

  get count(): number {
    return this.#count
  }

  /** The hash of every line so far. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  tail(lines = LINES_KEPT): string {
    return this.#lines.toArray().slice(-lines).join('\n')
  }
}

/** A promise of the lab that was not kept. Ends the run. */
export class Violation extends Error {
  /** Which checker found it. */
  readonly checker: CheckerName

  constructor(checker: CheckerName, what: string) {
    super(`${checker}: ${what}`)
    this.name = 'Violation'
    this.checker = checker
  }
}

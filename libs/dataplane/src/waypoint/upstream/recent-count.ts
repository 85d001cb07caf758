import type { Clock } from '@ambient-lab/std'

/** An interval is counted in so many parts: what is in it is told to a tenth of its length. */
const PARTS = 10

/** How many of something there were within the last interval. Takes the same memory however many there are. */
export class RecentCount {
  readonly #clock: Clock
  readonly #partMs: number
  readonly #counts: number[] = new Array(PARTS).fill(0)
  #part: number
  #sum = 0

  /** @param init the interval is positive */
  constructor({ clock }: { readonly clock: Clock }, { intervalMs }: { readonly intervalMs: number }) {
    this.#clock = clock
    this.#partMs = intervalMs / PARTS
    this.#part = this.#partNow()
  }

  get count(): number {
    this.#advance()
    return this.#sum
  }

  add(): void {
    this.#advance()
    this.#counts[this.#part % PARTS]! += 1
    this.#sum += 1
  }

  /** Empties the parts that time has passed over. */
  #advance(): void {
    const now = this.#partNow()
    const passed = Math.min(PARTS, now - this.#part)
    for (let step = 0; step < passed; step += 1) {
      const index = (now - step) % PARTS
      this.#sum -= this.#counts[index]!
      this.#counts[index] = 0
    }
    this.#part = now
  }

  #partNow(): number {
    return Math.floor(this.#clock.monotonic() / this.#partMs)
  }
}

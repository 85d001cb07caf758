/** The only source of chance that is not cryptographic. Seeded, so that a run can be replayed. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  integer(bound: number): number
  /** One element; `items` must not be empty. */
  pick<T>(items: readonly T[]): T
  /** An independent stream named `label`: draws from it do not disturb this one. */
  fork(label: string): Random
}

/** splitmix32 over a 32-bit state: small, fast, and good enough for balancing, jitter and simulation. */
export class SeededRandom implements Random {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    this.#state = this.seed
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = this.#state ^ (this.#state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }

  integer(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)]!
  }

  fork(label: string): Random {
    let hash = this.seed ^ 0x811c9dc5
    for (let index = 0; index < label.length; index += 1) hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193)
    return new SeededRandom(hash)
  }
}

/** A stream that differs at every start, for processes that nobody replays. */
export function unseededRandom(): Random {
  return new SeededRandom((Math.random() * 2 ** 32) >>> 0)
}

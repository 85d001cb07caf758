import { type Clock, Ring } from '@ambient-lab/std'

/** Something that happened to this process and that a person may ask about later. */
export interface CodedEvent {
  /** Stable; what it means is listed where the code is defined. */
  readonly code: string
  readonly message: string
  /** The thing it happened to: `identity spiffe://…`, `peer 10.244.1.7:15008`. */
  readonly where: string | undefined
  readonly firstAtMs: number
  readonly lastAtMs: number
  /** How often in a row. */
  readonly count: number
}

/** The latest events. One that repeats is counted instead of pushing the others out. */
export class EventLog {
  readonly #clock: Pick<Clock, 'now'>
  readonly #events: Ring<{ -readonly [Key in keyof CodedEvent]: CodedEvent[Key] }>
  #last: { -readonly [Key in keyof CodedEvent]: CodedEvent[Key] } | undefined

  constructor({
    components,
    init,
  }: {
    readonly components: { readonly clock: Pick<Clock, 'now'> }
    readonly init: { readonly capacity: number }
  }) {
    this.#clock = components.clock
    this.#events = new Ring(init.capacity)
  }

  record(code: string, message: string, where?: string): void {
    const nowMs = this.#clock.now()
    const last = this.#last
    if (last && last.code === code && last.message === message && last.where === where) {
      last.lastAtMs = nowMs
      last.count += 1
      return
    }
    this.#last = { code, message, where, firstAtMs: nowMs, lastAtMs: nowMs, count: 1 }
    this.#events.push(this.#last)
  }

  /** Oldest first; copies. */
  toArray(): CodedEvent[] {
    return this.#events.toArray().map((event) => ({ ...event }))
  }

  /** How many fell out. */
  get lost(): number {
    return this.#events.lost
  }
}

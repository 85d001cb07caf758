import type { CancelTimer, Clock, Random } from '@ambient-lab/std'

/** Envoy's `interval_jitter`: so that connections which began together do not all ask at once. */
const JITTER = 0.15

export interface KeepaliveInit {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly ping: () => void
  /** Nothing came in time. Called once. */
  readonly onSilence: () => void
}

/**
 * Asks the peer at intervals whether it is there, one question at a time. As Envoy has it, whatever the peer sends while
 * it owes an answer gives it more time: the answer may wait behind that.
 */
export class Keepalive {
  readonly #clock: Clock
  readonly #random: Random
  readonly #init: KeepaliveInit
  #cancel: CancelTimer
  #isWaiting = false

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }, init: KeepaliveInit) {
    this.#clock = clock
    this.#random = random
    this.#init = init
    this.#cancel = this.#pingLater()
  }

  /** Some frame came. */
  heard(): void {
    if (!this.#isWaiting) return
    this.#cancel()
    this.#cancel = this.#giveUpLater()
  }

  /** @returns whether an answer was owed */
  answered(): boolean {
    if (!this.#isWaiting) return false
    this.#isWaiting = false
    this.#cancel()
    this.#cancel = this.#pingLater()
    return true
  }

  stop(): void {
    this.#cancel()
  }

  #pingLater(): CancelTimer {
    const delayMs = this.#init.intervalMs * (1 + JITTER * this.#random.next())
    return this.#clock.schedule(
      delayMs,
      () => {
        this.#isWaiting = true
        this.#cancel = this.#giveUpLater()
        this.#init.ping()
      },
      { background: true },
    )
  }

  #giveUpLater(): CancelTimer {
    return this.#clock.schedule(this.#init.timeoutMs, () => this.#init.onSilence(), { background: true })
  }
}

import type { Clock } from '@ambient-lab/std'
import type { L4Traffic } from '@ambient-lab/xds'

interface EndpointHealth {
  failuresInARow: number
  /** How often it was left out; what it is left out for grows with it. */
  ejections: number
  /** Monotonic; in the past for one that is in use. */
  ejectedUntilMs: number
}

/** Which endpoints of one service connects have failed to lately: outlier detection as Envoy does it for TCP. */
export class EndpointEjection {
  readonly #clock: Clock
  readonly #byUid = new Map<string, EndpointHealth>()

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  isEjected(uid: string): boolean {
    const health = this.#byUid.get(uid)
    return health !== undefined && health.ejectedUntilMs > this.#clock.monotonic()
  }

  succeeded(uid: string): void {
    const health = this.#byUid.get(uid)
    if (!health) return
    health.failuresInARow = 0
    // Who works again and was never left out needs no memory.
    if (health.ejections === 0) this.#byUid.delete(uid)
  }

  /**
   * @param endpointCount how many the service has, for the share that may be left out; one always may
   * @returns whether the endpoint is left out from now on
   */
  failed(uid: string, outlier: NonNullable<L4Traffic['outlier']>, endpointCount: number): boolean {
    const health = this.#byUid.get(uid) ?? { failuresInARow: 0, ejections: 0, ejectedUntilMs: 0 }
    this.#byUid.set(uid, health)
    health.failuresInARow += 1
    if (health.failuresInARow < outlier.consecutiveFailures || this.isEjected(uid)) return false
    const mayBeOut = Math.max(1, Math.floor((endpointCount * outlier.ejectionPercentMax) / 100))
    if (this.ejectedCount >= mayBeOut) return false
    health.failuresInARow = 0
    health.ejections += 1
    health.ejectedUntilMs = this.#clock.monotonic() + outlier.baseEjectionMs * health.ejections
    return true
  }

  get ejectedCount(): number {
    const nowMs = this.#clock.monotonic()
    let count = 0
    for (const { ejectedUntilMs } of this.#byUid.values()) if (ejectedUntilMs > nowMs) count += 1
    return count
  }

  /** Forgets endpoints that are no longer there. */
  keepOnly(isEndpoint: (uid: string) => boolean): void {
    for (const uid of this.#byUid.keys()) if (!isEndpoint(uid)) this.#byUid.delete(uid)
  }
}

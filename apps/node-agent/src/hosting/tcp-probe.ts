import { connect } from 'node:net'
import { type CancelTimer, type Clock, errorCode } from '@ambient-lab/std'
import { PROBE_FAILURES_MAX, PROBE_PERIOD_MS, PROBE_PERIOD_STARTING_MS, PROBE_TIMEOUT_MS } from '../limits.ts'
import type { HostPort } from './container.ts'

/** Asks one address whether it accepts. @returns undefined for yes, else why not */
export type TcpCheck = (target: HostPort) => Promise<string | undefined>

/** Readiness as a tcpSocket probe: accepting a connection is being ready. Fast until the first success, then slow. */
export class TcpProbe {
  readonly #target: HostPort
  readonly #clock: Clock
  readonly #check: TcpCheck
  readonly #onChange: (ready: boolean, failure: string) => void
  #cancel: CancelTimer | undefined
  #stopped = false
  #ready = false
  #failures = 0

  constructor(
    target: HostPort,
    components: { readonly clock: Clock; readonly check: TcpCheck },
    onChange: (ready: boolean, failure: string) => void,
  ) {
    this.#target = target
    this.#clock = components.clock
    this.#check = components.check
    this.#onChange = onChange
    void this.#probe()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  async #probe(): Promise<void> {
    const failure = await this.#check(this.#target)
    if (this.#stopped) return
    this.#failures = failure === undefined ? 0 : this.#failures + 1
    if (failure === undefined && !this.#ready) this.#turn(true, '')
    if (failure !== undefined && this.#ready && this.#failures >= PROBE_FAILURES_MAX) this.#turn(false, failure)
    const periodMs = this.#ready || this.#failures > 100 ? PROBE_PERIOD_MS : PROBE_PERIOD_STARTING_MS
    this.#cancel = this.#clock.schedule(periodMs, () => void this.#probe(), { background: true })
  }

  #turn(ready: boolean, failure: string): void {
    this.#ready = ready
    this.#onChange(ready, failure)
  }
}

/** The check over real sockets. */
export function checkTcp(clock: Clock): TcpCheck {
  return ({ host, port }) =>
    new Promise((resolve) => {
      const socket = connect({ host, port })
      const settle = (failure: string | undefined) => {
        cancel()
        socket.destroy()
        resolve(failure)
      }
      const cancel = clock.schedule(
        PROBE_TIMEOUT_MS,
        () => settle(`dial tcp ${host}:${port}: no answer within ${PROBE_TIMEOUT_MS} ms`),
        { background: true },
      )
      socket.once('connect', () => settle(undefined))
      socket.once('error', (error) => settle(`dial tcp ${host}:${port}: ${describe(errorCode(error), error.message)}`))
    })
}

function describe(code: string | undefined, message: string): string {
  return code === 'ECONNREFUSED' ? 'connection refused' : message
}

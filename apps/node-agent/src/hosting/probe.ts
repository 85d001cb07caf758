import { request as requestHttp } from 'node:http'
import { connect } from 'node:net'
import { type CancelTimer, type Clock, errorCode, errorMessage } from '@ambient-lab/std'
import type { ContainerProbe } from '@ambient-lab/xds'
import {
  PROBE_FAILURES_MAX,
  PROBE_PERIOD_MS,
  PROBE_PERIOD_STARTING_MS,
  PROBE_STARTING_FAILURES,
  PROBE_TIMEOUT_MS,
} from '../limits.ts'
import type { HostPort } from './container.ts'

/** Asks one address how it is. @returns undefined for well, else why not, in kubelet's words */
export type Check = (
  target: HostPort,
  probe?: Pick<ContainerProbe, 'http' | 'timeoutMs'>,
) => Promise<string | undefined>

export interface ProbeTimes {
  readonly initialDelayMs: number
  readonly periodMs: number
  /** Until it was well once. @default 50 */
  readonly startingPeriodMs?: number
  /** Successes in a row until what was ill counts as well, and the reverse. */
  readonly successThreshold: number
  readonly failureThreshold: number
}

/** How a port is asked that nobody has described a probe for. */
export const TCP_PROBE_TIMES: ProbeTimes = {
  initialDelayMs: 0,
  periodMs: PROBE_PERIOD_MS,
  successThreshold: 1,
  failureThreshold: PROBE_FAILURES_MAX,
}

/** Asks again and again, and tells when the answer turns. Fast until the first success, then as often as it was told to. */
export class Probe {
  readonly #clock: Clock
  readonly #check: () => Promise<string | undefined>
  readonly #times: ProbeTimes
  readonly #onTurn: (well: boolean, failure: string) => void
  #cancel: CancelTimer
  #stopped = false
  #well: boolean | undefined
  #everWell = false
  #successes = 0
  #failures = 0
  /** When a kubelet would have given the first bad news of something that never was well. */
  #lateMs = Number.POSITIVE_INFINITY

  constructor(
    components: { readonly clock: Clock; readonly check: () => Promise<string | undefined> },
    init: {
      readonly times: ProbeTimes
      /** What counts until enough answers say otherwise; undefined: neither, and the first turn is told whichever it is. */
      readonly well: boolean | undefined
    },
    onTurn: (well: boolean, failure: string) => void,
  ) {
    this.#clock = components.clock
    this.#check = components.check
    this.#times = init.times
    this.#well = init.well
    this.#onTurn = onTurn
    const { initialDelayMs, periodMs, failureThreshold } = init.times
    if (init.well === false) this.#lateMs = this.#clock.monotonic() + initialDelayMs + periodMs * failureThreshold
    this.#cancel = this.#clock.schedule(initialDelayMs, () => void this.#ask(), { background: true })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  async #ask(): Promise<void> {
    const failure = await this.#check()
    if (this.#stopped) return
    this.#everWell ||= failure === undefined
    this.#successes = failure === undefined ? this.#successes + 1 : 0
    this.#failures = failure === undefined ? 0 : this.#failures + 1
    const { periodMs, startingPeriodMs = PROBE_PERIOD_STARTING_MS, successThreshold, failureThreshold } = this.#times
    if (failure === undefined && this.#well !== true && this.#successes >= successThreshold) this.#turn(true, '')
    if (failure !== undefined && this.#well !== false && this.#failures >= failureThreshold) this.#turn(false, failure)
    if (failure !== undefined && !this.#everWell && this.#clock.monotonic() >= this.#lateMs) {
      this.#lateMs = Number.POSITIVE_INFINITY
      this.#turn(false, failure)
    }
    // A kubelet would let a whole period pass until it asks a program again that was not up yet.
    const isStarting = !this.#everWell && this.#well === false && this.#failures <= PROBE_STARTING_FAILURES
    const nextMs = isStarting ? Math.min(periodMs, startingPeriodMs) : periodMs
    if (!this.#stopped) this.#cancel = this.#clock.schedule(nextMs, () => void this.#ask(), { background: true })
  }

  #turn(well: boolean, failure: string): void {
    this.#well = well
    this.#onTurn(well, failure)
  }
}

/** The check over real sockets. */
export function checkOverSockets(clock: Clock): Check {
  return (target, { http, timeoutMs = PROBE_TIMEOUT_MS } = { timeoutMs: PROBE_TIMEOUT_MS }) =>
    http ? checkHttp(clock, target, http, timeoutMs) : checkTcp(clock, target, timeoutMs)
}

function checkTcp(clock: Clock, { host, port }: HostPort, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const settle = (failure: string | undefined) => {
      cancel()
      socket.destroy()
      resolve(failure)
    }
    const cancel = clock.schedule(
      timeoutMs,
      () => settle(`dial tcp ${host}:${port}: no answer within ${timeoutMs} ms`),
      { background: true },
    )
    socket.once('connect', () => settle(undefined))
    socket.once('error', (error) => settle(`dial tcp ${host}:${port}: ${describe(error)}`))
  })
}

/** Anything from 200 to 399 is well; a certificate is not looked at, as by a kubelet. */
async function checkHttp(
  clock: Clock,
  { host, port }: HostPort,
  { path, secure, headers }: NonNullable<ContainerProbe['http']>,
  timeoutMs: number,
): Promise<string | undefined> {
  const url = `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
  // Few probes ask over TLS, and an idle agent should not carry what it takes.
  const request = secure ? (await import('node:https')).request : requestHttp
  return new Promise((resolve) => {
    const options = {
      ...{ host, port, path, agent: false as const, rejectUnauthorized: false },
      headers: {
        'user-agent': 'kube-probe/1.31',
        ...Object.fromEntries(headers.map(({ name, value }) => [name, value])),
      },
    }
    const asking = request(options, (response) => {
      const { statusCode = 0 } = response
      settle(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP probe failed with statuscode: ${statusCode}`)
    })
    const settle = (failure: string | undefined) => {
      cancel()
      asking.destroy()
      resolve(failure)
    }
    const late = () =>
      settle(`Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`)
    const cancel = clock.schedule(timeoutMs, late, { background: true })
    asking.once('error', (error) => settle(`Get "${url}": ${describe(error)}`))
    asking.end()
  })
}

function describe(error: Error): string {
  return errorCode(error) === 'ECONNREFUSED' ? 'connection refused' : errorMessage(error)
}

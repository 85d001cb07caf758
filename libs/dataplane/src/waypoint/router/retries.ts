import type { Random } from '@ambient-lab/std'
import type { RetryPolicy } from '@ambient-lab/xds'
import type { HeaderReader } from './matchers.ts'

/** How one try ended without an answer, in Envoy's words. */
export type ResetReason =
  | 'connection failure'
  | 'remote connection failure'
  | 'local connection failure'
  | 'connection timeout'
  | 'connection termination'
  | 'remote reset'
  | 'remote refused stream reset'
  | 'local reset'
  | 'overflow'
  | 'protocol error'

/** The outcome of one try, as far as a retry depends on it. */
export type TryOutcome =
  | { readonly kind: 'response'; readonly status: number; readonly headers: HeaderReader }
  /** @param requestSent whether any part of the request may have reached the peer's application */
  | { readonly kind: 'reset'; readonly reason: ResetReason; readonly requestSent: boolean }
  | { readonly kind: 'per-try-timeout' }

/** https://grpc.io/docs/guides/status-codes/ */
const GRPC_CONDITIONS: Readonly<Record<string, number>> = {
  cancelled: 1,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  internal: 13,
  unavailable: 14,
}

const CONNECT_FAILURES: ReadonlySet<ResetReason> = new Set([
  'connection failure',
  'remote connection failure',
  'local connection failure',
  'connection timeout',
])

/** Whether a policy's conditions hold for an outcome. Compiled once per route. */
export class RetryConditions {
  readonly #on: ReadonlySet<string>
  readonly #statusCodes: ReadonlySet<number>
  readonly #grpcStatuses: ReadonlySet<string>

  constructor(policy: Pick<RetryPolicy, 'on' | 'statusCodes'>) {
    this.#on = new Set(policy.on)
    this.#statusCodes = new Set(policy.statusCodes)
    const grpc = policy.on.flatMap((condition) => GRPC_CONDITIONS[condition] ?? [])
    this.#grpcStatuses = new Set(grpc.map(String))
  }

  allow(outcome: TryOutcome): boolean {
    if (outcome.kind === 'response') return this.#allowResponse(outcome.status, outcome.headers)
    if (outcome.kind === 'per-try-timeout') return this.#has('5xx') || this.#has('gateway-error')
    return this.#allowReset(outcome.reason, outcome.requestSent)
  }

  /** @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on */
  #allowResponse(status: number, headers: HeaderReader): boolean {
    if (headers.getJoined('x-envoy-ratelimited') !== undefined) return this.#has('envoy-ratelimited')
    if (status >= 500 && this.#has('5xx')) return true
    if (status >= 502 && status <= 504 && this.#has('gateway-error')) return true
    if (status === 409 && this.#has('retriable-4xx')) return true
    if (this.#has('retriable-status-codes') && this.#statusCodes.has(status)) return true
    const grpcStatus = this.#grpcStatuses.size > 0 ? headers.getJoined('grpc-status') : undefined
    return grpcStatus !== undefined && this.#grpcStatuses.has(grpcStatus)
  }

  #allowReset(reason: ResetReason, requestSent: boolean): boolean {
    // Our own circuit breaker said no: asking again at once is what it exists to prevent.
    if (reason === 'overflow' || reason === 'local reset') return false
    if (this.#has('5xx') || this.#has('gateway-error') || this.#has('reset')) return true
    if (CONNECT_FAILURES.has(reason)) return this.#has('connect-failure') || this.#has('reset-before-request')
    if (reason === 'remote refused stream reset') return this.#has('refused-stream')
    return !requestSent && this.#has('reset-before-request')
  }

  #has(condition: string): boolean {
    return this.#on.has(condition)
  }
}

/** The wait before retry number `retry` (1 is the first): uniform below an exponential ceiling, as Envoy draws it. */
export function retryDelayMs(
  policy: Pick<RetryPolicy, 'backoffBaseMs' | 'backoffMaxMs'>,
  retry: number,
  random: Random,
): number {
  const ceilingMs = Math.min(policy.backoffMaxMs, policy.backoffBaseMs * (2 ** Math.min(retry, 30) - 1))
  return random.next() * ceilingMs
}

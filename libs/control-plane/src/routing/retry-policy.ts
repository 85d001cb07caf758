import type { HttpRetry, HttpRouteRetry, HttpRouteTimeouts } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type { ForwardAction, RetryPolicy } from '@ambient-lab/xds'

const BACKOFF_BASE_MS = 25
/** Of the base: Envoy's default for the longest wait. */
const BACKOFF_MAX_FACTOR = 10
const PREVIOUS_HOSTS_DRAWS = 5
/** Istio’s: levels that were tried are left out anew with every second try. */
const PREVIOUS_PRIORITIES_FREQUENCY = 2
const ATTEMPTS = 2

/**
 * Istio's default: two more tries where nothing can have reached the application, on other hosts.
 * @see reference: istio/istio pilot/pkg/networking/core/route/retry
 */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: ATTEMPTS,
  on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  statusCodes: [],
  backoffBaseMs: BACKOFF_BASE_MS,
  backoffMaxMs: BACKOFF_BASE_MS * BACKOFF_MAX_FACTOR,
  avoidPreviousHostsDraws: PREVIOUS_HOSTS_DRAWS,
}

/** Of a sidecar to its own workload: what was not even sent may be sent again. */
export const INBOUND_RETRY: RetryPolicy = {
  ...DEFAULT_RETRY,
  on: ['reset-before-request'],
  avoidPreviousHostsDraws: 0,
}

/** Of a VirtualService; undefined: no retries at all. */
export function istioRetry(retry: HttpRetry | undefined): RetryPolicy | undefined {
  if (!retry) return DEFAULT_RETRY
  const { attempts = ATTEMPTS, retryOn, perTryTimeout, backoff } = retry
  const { retryIgnorePreviousHosts = true, retryRemoteLocalities = false } = retry
  if (attempts <= 0) return undefined
  const perTryTimeoutMs = parseDuration(perTryTimeout ?? '')
  return {
    ...DEFAULT_RETRY,
    attempts,
    ...(retryOn ? conditionsOf(retryOn) : {}),
    ...(perTryTimeoutMs ? { perTryTimeoutMs } : {}),
    ...backoffOf(parseDuration(backoff ?? '')),
    avoidPreviousHostsDraws: retryIgnorePreviousHosts ? PREVIOUS_HOSTS_DRAWS : 0,
    ...(retryRemoteLocalities && { avoidPreviousLevelsEvery: PREVIOUS_PRIORITIES_FREQUENCY }),
  }
}

/** A number among the words is a status code that is worth another try. */
function conditionsOf(text: string): Pick<RetryPolicy, 'on' | 'statusCodes'> {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  const isCode = (word: string) => /^[1-5]\d\d$/.test(word)
  const statusCodes = words.filter(isCode).map(Number)
  const on = words.filter((word) => !isCode(word))
  const counted = statusCodes.length > 0 && !on.includes('retriable-status-codes')
  return { on: counted ? [...on, 'retriable-status-codes'] : on, statusCodes }
}

function backoffOf(baseMs: number | undefined): Partial<RetryPolicy> {
  return baseMs ? { backoffBaseMs: baseMs, backoffMaxMs: baseMs * BACKOFF_MAX_FACTOR } : {}
}

/** Of an HTTPRoute's rule: `backendRequest` is that of each try when the rule has retries of its own, else of all. */
export function routeResilience(
  timeouts: HttpRouteTimeouts = {},
  retry: HttpRouteRetry | undefined,
): Pick<ForwardAction, 'timeoutMs' | 'retry'> {
  const requestMs = parseDuration(timeouts.request ?? '')
  const backendMs = parseDuration(timeouts.backendRequest ?? '')
  const timeoutMs = retry ? requestMs : (backendMs ?? requestMs)
  const policy = retry ? gatewayRetry(retry) : DEFAULT_RETRY
  return {
    ...(timeoutMs ? { timeoutMs } : {}),
    retry: { ...policy, ...(retry && backendMs ? { perTryTimeoutMs: backendMs } : {}) },
  }
}

function gatewayRetry({ codes = [], attempts = ATTEMPTS, backoff }: HttpRouteRetry): RetryPolicy {
  return { ...DEFAULT_RETRY, attempts, statusCodes: codes, ...backoffOf(parseDuration(backoff ?? '')) }
}

import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { L4Traffic, Service } from '@ambient-lab/xds'
import { dataplaneError, type Rejection } from '../errors.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { OutboundPlan } from './outbound-plan.ts'
import type { ServiceLimits } from './service-limits.ts'

export interface GuardedConnectInit {
  readonly service: Service
  readonly traffic: L4Traffic
  readonly limits: ServiceLimits
  /** How many endpoints the service has. */
  readonly endpointCount: number
  /** A plan that leads to none of the endpoints for which `avoid` holds. */
  readonly plan: (avoid: (uid: string) => boolean) => OutboundPlan | Rejection
  readonly dial: (plan: OutboundPlan) => Promise<ByteStream>
}

export type GuardedOutcome =
  | { readonly plan: OutboundPlan; readonly stream: ByteStream }
  | { readonly plan: OutboundPlan | undefined; readonly error: CodedError }

/**
 * Connects as an L4TrafficPolicy says: endpoints that failed lately are left out, one that fails is followed by another,
 * each has its time. What answers too late is hung up on. Whether the peer refused is no matter of the endpoint's health:
 * a policy that denies denies everywhere, and is not tried again.
 */
export async function guardedConnect(init: GuardedConnectInit, clock: Clock): Promise<GuardedOutcome> {
  const { traffic, limits, service } = init
  const tried = new Set<string>()
  const attempts = 1 + (traffic.connectRetries ?? 0)
  let last: { readonly plan: OutboundPlan; readonly error: CodedError } | undefined
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const plan = init.plan((uid) => tried.has(uid) || limits.ejection.isEjected(uid))
    // No other endpoint is left: what the last one failed with says more.
    if (plan.kind === 'rejection') return last ?? { plan: undefined, error: dataplaneError(plan.code, plan.reason) }
    const uid = plan.destination?.uid
    try {
      const stream = await withDeadline(init.dial(plan), traffic.connectTimeoutMs, clock, service)
      if (uid !== undefined) limits.ejection.succeeded(uid)
      return { plan, stream }
    } catch (error) {
      if (!CodedError.is(error)) throw error
      last = { plan, error }
      if (uid === undefined || isRefusal(error)) return last
      tried.add(uid)
      if (traffic.outlier) limits.ejection.failed(uid, traffic.outlier, init.endpointCount)
    }
  }
  if (attempts === 1) return last!
  const { error } = last!
  const text = `connect failed on ${tried.size} endpoints, retry limit reached; the last: ${error.message}`
  return { plan: last!.plan, error: dataplaneError('CONNECT_RETRIES_EXHAUSTED', text, { cause: error }) }
}

/** The destination's word: 400 and 401 come from a ztunnel that works. */
function isRefusal(error: CodedError): boolean {
  return 'status' in error && (error.status === 400 || error.status === 401)
}

function withDeadline(
  dialing: Promise<ByteStream>,
  timeoutMs: number | undefined,
  clock: Clock,
  service: Service,
): Promise<ByteStream> {
  if (timeoutMs === undefined) return dialing
  return new Promise((resolve, reject) => {
    let isLate = false
    const late = () => dataplaneError('CONNECT_TIMEOUT', `no connection to ${service.hostname} within ${timeoutMs} ms`)
    const cancel: CancelTimer = clock.schedule(timeoutMs, () => {
      isLate = true
      reject(late())
    })
    dialing.then(
      (stream) => {
        cancel()
        if (isLate) stream.reset(late())
        else resolve(stream)
      },
      (error) => {
        cancel()
        reject(error)
      },
    )
  })
}

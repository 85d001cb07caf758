import type { HttpFaultInjection, CorsPolicy as IstioCorsPolicy } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type { CorsPolicy, FaultPolicy } from '@ambient-lab/xds'
import { stringMatcher } from './virtual-service-match.ts'

const MILLIONTHS_PER_PERCENT = 10_000

/** gRPC's status codes in their order: a fault may name one by its number or by its word. */
const GRPC_STATUS = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED'],
  ...['INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
]

/** A share that is not given is none at all, as Istio has it; undefined: a fault that never happens. */
export function istioFault({ delay, abort }: HttpFaultInjection): FaultPolicy | undefined {
  const delayed = delay && delayOf(delay)
  const aborted = abort && abortOf(abort)
  return delayed || aborted ? { ...(delayed && { delay: delayed }), ...(aborted && { abort: aborted }) } : undefined
}

function delayOf(delay: NonNullable<HttpFaultInjection['delay']>): FaultPolicy['delay'] {
  const millionths = Math.round((delay.percentage?.value ?? delay.percent ?? 0) * MILLIONTHS_PER_PERCENT)
  const fixedMs = parseDuration(delay.fixedDelay ?? '')
  return millionths > 0 && fixedMs ? { millionths, fixedMs } : undefined
}

function abortOf({
  percentage,
  httpStatus,
  grpcStatus,
}: NonNullable<HttpFaultInjection['abort']>): FaultPolicy['abort'] {
  const millionths = Math.round((percentage?.value ?? 0) * MILLIONTHS_PER_PERCENT)
  if (millionths === 0) return undefined
  const code = grpcStatus === undefined ? undefined : grpcCode(grpcStatus)
  if (code !== undefined) return { millionths, grpcStatus: code }
  return httpStatus === undefined ? undefined : { millionths, httpStatus }
}

function grpcCode(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text)
  const index = GRPC_STATUS.indexOf(text.toUpperCase())
  return index < 0 ? undefined : index
}

export function istioCors(cors: IstioCorsPolicy): CorsPolicy {
  const maxAgeMs = parseDuration(cors.maxAge ?? '')
  return {
    allowOrigins: cors.allowOrigins
      ? cors.allowOrigins.flatMap((origin) => stringMatcher(origin) ?? [])
      : (cors.allowOrigin ?? []).map((exact) => ({ exact })),
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(maxAgeMs !== undefined && { maxAgeSeconds: Math.round(maxAgeMs / 1000) }),
    allowCredentials: cors.allowCredentials ?? false,
    forwardUnmatchedPreflights: cors.unmatchedPreflights !== 'IGNORE',
  }
}

import { type Fault, FOREVER } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'

/** When a fault ends by its duration; undefined: never, or it has not started. */
export function durationEndsAtMs({ spec, status }: Fault): number | undefined {
  const startedAtMs = Date.parse(status?.startedAt ?? '')
  if (!spec || spec.duration === FOREVER || Number.isNaN(startedAtMs)) return undefined
  return startedAtMs + (parseDuration(spec.duration) ?? 0)
}

/** When a fault ends because nobody renewed its lease; undefined: it has no lease. */
export function leaseEndsAtMs({ metadata, spec, status }: Fault): number | undefined {
  if (spec?.leaseSeconds === undefined) return undefined
  const renewedAtMs = Date.parse(spec.renewTime ?? status?.startedAt ?? metadata.creationTimestamp ?? '')
  return Number.isNaN(renewedAtMs) ? undefined : renewedAtMs + spec.leaseSeconds * 1000
}

/** The earlier of both. */
export function faultEndsAtMs(fault: Fault): number | undefined {
  const ends = [durationEndsAtMs(fault), leaseEndsAtMs(fault)].filter((end) => end !== undefined)
  return ends.length > 0 ? Math.min(...ends) : undefined
}

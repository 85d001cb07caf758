import type { ConnectionRate, L4TrafficPolicy, Resource } from '@ambient-lab/api'
import { assert, parseDuration } from '@ambient-lab/std'
import type { L4Traffic, ConnectionRate as SentRate } from '@ambient-lab/xds'
import type { StoreEvent } from '../store/store.ts'
import { L4_TRAFFIC_POLICIES } from '../stored-kinds.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

/** The policy that counts for a service: of several the oldest, of the same age the first by name. */
export function l4PolicyOf(view: Pick<TranslationView, 'list'>, { metadata }: Resource): L4TrafficPolicy | undefined {
  const age = (policy: L4TrafficPolicy) => `${policy.metadata.creationTimestamp ?? ''} ${policy.metadata.name}`
  return view
    .list(L4_TRAFFIC_POLICIES, metadata.namespace)
    .filter(({ spec }) => spec?.targetRefs.some(({ name }) => name === metadata.name))
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0]
}

export function l4Traffic({ metadata, spec }: L4TrafficPolicy): L4Traffic {
  const { outlierDetection: outlier, rateLimit, connectRetries, maxConnections } = spec ?? {}
  return {
    policy: `${metadata.namespace}/${metadata.name}`,
    ...(maxConnections !== undefined && { connectionsMax: maxConnections }),
    ...(spec?.connectTimeout && { connectTimeoutMs: durationMs(spec.connectTimeout) }),
    ...(connectRetries !== undefined && { connectRetries }),
    ...(outlier && {
      outlier: {
        consecutiveFailures: outlier.consecutiveConnectFailures ?? 5,
        baseEjectionMs: durationMs(outlier.baseEjectionTime ?? '30s'),
        ejectionPercentMax: outlier.maxEjectionPercent ?? 50,
      },
    }),
    ...(rateLimit?.local && { localRate: sentRate(rateLimit.local) }),
    ...(rateLimit?.global && { globalRate: sentRate(rateLimit.global) }),
    ...(spec?.idleTimeout && { idleTimeoutMs: durationMs(spec.idleTimeout) }),
    ...(spec?.maxConnectionDuration && { durationMaxMs: durationMs(spec.maxConnectionDuration) }),
  }
}

/** Services that a policy targets, or targeted before it changed. */
export function targetedByL4Policy({ object, previous }: StoreEvent): Touched {
  const keys = [object, previous].flatMap((state) =>
    ((state as L4TrafficPolicy | undefined)?.spec?.targetRefs ?? []).map(
      ({ name }) => `${object.metadata.namespace}/${name}`,
    ),
  )
  return { keys }
}

function sentRate({ connections, per = '1s' }: ConnectionRate): SentRate {
  return { connections, perMs: durationMs(per) }
}

/** Of a text that the API has let in. */
function durationMs(text: string): number {
  const parsed = parseDuration(text)
  assert(parsed !== undefined, `${text} is no duration`)
  return parsed
}

import type { Resource, Service } from '@ambient-lab/api'
import type { LoadBalancing, RoutingScope } from '@ambient-lab/xds'
import { isOfGateway } from './waypoint-attachment.ts'

const ANNOTATION = 'networking.istio.io/traffic-distribution'

const CLOSE: readonly RoutingScope[] = ['NETWORK', 'REGION', 'ZONE']
const DISTRIBUTIONS: Readonly<Record<string, readonly RoutingScope[]>> = {
  preferclose: CLOSE,
  prefersamezone: CLOSE,
  prefersamenode: [...CLOSE, 'SUBZONE', 'NODE'],
}

/** A Service's own field counts before its annotation, that before its namespace's. */
export function serviceLoadBalancing(service: Service, namespace: Resource | undefined): LoadBalancing | undefined {
  const { spec } = service
  const healthPolicy = spec?.publishNotReadyAddresses ? 'ALLOW_ALL' : 'ONLY_HEALTHY'
  if (spec?.internalTrafficPolicy === 'Local') return { routingPreference: ['NODE'], mode: 'STRICT', healthPolicy }
  // Who goes through a waypoint on its way should not leave its zone for it.
  const fallback = isOfGateway(service) ? 'PreferClose' : undefined
  const routingPreference = distribution(spec?.trafficDistribution ?? annotated(service, namespace) ?? fallback)
  if (routingPreference) return { routingPreference, mode: 'FAILOVER', healthPolicy }
  return healthPolicy === 'ALLOW_ALL' ? { routingPreference: [], mode: 'UNSPECIFIED_MODE', healthPolicy } : undefined
}

/** A ServiceEntry without resolution passes connections through to where they were going. */
export function entryLoadBalancing(
  entry: Resource,
  namespace: Resource | undefined,
  resolution: string | undefined,
): LoadBalancing | undefined {
  if (resolution === undefined || resolution === 'NONE') {
    return { routingPreference: [], mode: 'PASSTHROUGH', healthPolicy: 'ALLOW_ALL' }
  }
  const routingPreference = distribution(annotated(entry, namespace))
  return routingPreference && { routingPreference, mode: 'FAILOVER', healthPolicy: 'ONLY_HEALTHY' }
}

const LABELS: Readonly<Record<RoutingScope, string | undefined>> = {
  NETWORK: 'topology.istio.io/network',
  REGION: 'topology.kubernetes.io/region',
  ZONE: 'topology.kubernetes.io/zone',
  SUBZONE: 'topology.istio.io/subzone',
  NODE: 'kubernetes.io/hostname',
  CLUSTER: undefined,
}

/** The same for proxies of requests: labels by which endpoints are near, in order. Undefined: all alike. */
export function nearnessLabels(balancing: LoadBalancing | undefined): readonly string[] | undefined {
  if (balancing?.mode !== 'FAILOVER') return undefined
  return balancing.routingPreference.flatMap((scope) => LABELS[scope] ?? [])
}

function annotated(object: Resource, namespace: Resource | undefined): string | undefined {
  return object.metadata.annotations?.[ANNOTATION] ?? namespace?.metadata.annotations?.[ANNOTATION]
}

function distribution(value: string | undefined): readonly RoutingScope[] | undefined {
  return DISTRIBUTIONS[(value ?? '').toLowerCase()]
}

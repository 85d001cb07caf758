type Labels = Readonly<Record<string, string>> | undefined

/** On the pods and the Service of a waypoint or gateway: the Gateway they belong to. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name'
export const USE_WAYPOINT = 'istio.io/use-waypoint'
const USE_WAYPOINT_NAMESPACE = 'istio.io/use-waypoint-namespace'
const USE_CANARY = 'istio.io/use-waypoint-canary'
const USE_CANARY_NAMESPACE = 'istio.io/use-waypoint-canary-namespace'
const CANARY_WEIGHT = 'istio.io/use-waypoint-canary-weight'
const INGRESS_USE_WAYPOINT = 'istio.io/ingress-use-waypoint'

/** A waypoint by its Gateway's name. */
export interface WaypointName {
  readonly namespace: string
  readonly name: string
}

/**
 * What an object's own labels say about its waypoint; undefined: nothing, so that its namespace is asked.
 * `none` is reserved: the object has no waypoint, whatever its namespace says.
 */
export function useWaypoint(labels: Labels, namespace: string): WaypointName | 'none' | undefined {
  return named(labels, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, namespace)
}

/** The second waypoint, which gets a share of the connections: the object's, or else the namespace's. */
export function useWaypointCanary(
  labels: Labels,
  namespaceLabels: Labels,
  namespace: string,
): WaypointName | undefined {
  const own = named(labels, USE_CANARY, USE_CANARY_NAMESPACE, namespace)
  const found = own ?? named(namespaceLabels, USE_CANARY, USE_CANARY_NAMESPACE, namespace)
  return found === 'none' ? undefined : found
}

function named(
  labels: Labels,
  nameKey: string,
  namespaceKey: string,
  namespace: string,
): WaypointName | 'none' | undefined {
  const name = labels?.[nameKey]
  if (!name) return undefined
  return name === 'none' ? 'none' : { namespace: labels?.[namespaceKey] || namespace, name }
}

/** Percent of the connections that the canary gets: 0 when nobody says; undefined for what is no such number. */
export function canaryWeight(annotations: Labels, namespaceAnnotations: Labels): number | undefined {
  const text = annotations?.[CANARY_WEIGHT] ?? namespaceAnnotations?.[CANARY_WEIGHT]
  if (text === undefined) return 0
  const weight = Number(text)
  return /^\+?\d+$/.test(text) && weight <= 100 ? weight : undefined
}

/** Whether gateways are to pass through the waypoint as well; undefined: neither label says anything. */
export function ingressUseWaypoint(service: Labels, namespace: Labels): boolean | undefined {
  const value = service?.[INGRESS_USE_WAYPOINT] ?? namespace?.[INGRESS_USE_WAYPOINT]
  return value === undefined ? undefined : value.toLowerCase() === 'true'
}

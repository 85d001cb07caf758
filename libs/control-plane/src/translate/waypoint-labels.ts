type Labels = Readonly<Record<string, string>> | undefined

const INGRESS_USE_WAYPOINT = 'istio.io/ingress-use-waypoint'

/** Whether gateways are to pass through the waypoint as well; undefined: neither label says anything. */
export function ingressUseWaypoint(service: Labels, namespace: Labels): boolean | undefined {
  const value = service?.[INGRESS_USE_WAYPOINT] ?? namespace?.[INGRESS_USE_WAYPOINT]
  return value === undefined ? undefined : value.toLowerCase() === 'true'
}

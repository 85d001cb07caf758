import type { Service, Workload } from '@ambient-lab/xds'

/** A workload as an endpoint of one service. */
export interface Endpoint {
  readonly workload: Workload
  /** Service port → container port, where it differs from what the service says. */
  readonly ports: readonly { readonly servicePort: number; readonly targetPort: number }[]
}

/** The endpoints of one service, immutable. */
export type EndpointSet = ReadonlyMap<string, Endpoint>

export const NO_ENDPOINTS: EndpointSet = new Map()

/**
 * The container port behind a service's port: the endpoint's own word first, then the service's.
 * @param throughTunnel the endpoint takes whole connections on its application tunnel, so that the port stays as dialled
 */
export function targetPortOf(
  endpoint: Endpoint,
  service: Service,
  servicePort: number,
  throughTunnel = false,
): number | undefined {
  for (const mapping of endpoint.ports) if (mapping.servicePort === servicePort) return mapping.targetPort
  for (const mapping of service.ports) {
    if (mapping.servicePort !== servicePort) continue
    if (mapping.targetPort > 0) return mapping.targetPort
    return throughTunnel && endpoint.workload.applicationTunnel ? servicePort : undefined
  }
  return undefined
}

/** Unhealthy endpoints serve only where the service says so (`publishNotReadyAddresses`). */
export function isUsable(endpoint: Endpoint, service: Service): boolean {
  return endpoint.workload.status === 'HEALTHY' || service.loadBalancing?.healthPolicy === 'ALLOW_ALL'
}

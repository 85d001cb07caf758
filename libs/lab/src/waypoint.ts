import { type Gateway, isConditionTrue } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'

export const WAYPOINT_CLASS = 'istio-waypoint'
export const USE_WAYPOINT_LABEL = 'istio.io/use-waypoint'
/** What a waypoint may be for. */
export const WAYPOINT_TRAFFIC = ['service', 'workload', 'all', 'none'] as const

const WAYPOINT_FOR_LABEL = 'istio.io/waypoint-for'
const REVISION_LABEL = 'istio.io/rev'
/** As the value of a label it means that there shall be no waypoint. */
const RESERVED_NAME = 'none'
const HBONE_PORT = 15008

/**
 * The Gateway that `istioctl waypoint apply` makes.
 * @throws CodedError USAGE for the name that is reserved
 */
export function waypointGateway(init: {
  readonly name: string
  /** Undefined: the one that it is applied to. */
  readonly namespace: string | undefined
  /** Undefined: what the control plane takes without the label, services. */
  readonly traffic: string | undefined
  readonly revision: string | undefined
}): Gateway {
  const { name, namespace, traffic, revision } = init
  if (name === RESERVED_NAME) {
    throw new CodedError('USAGE', `a waypoint cannot be called "${name}": the name is reserved`, {
      next: 'the same with another --name',
    })
  }
  const labels = { ...(traffic && { [WAYPOINT_FOR_LABEL]: traffic }), ...(revision && { [REVISION_LABEL]: revision }) }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { ...(Object.keys(labels).length > 0 && { labels }), name, ...(namespace && { namespace }) },
    spec: {
      gatewayClassName: WAYPOINT_CLASS,
      listeners: [{ name: 'mesh', port: HBONE_PORT, protocol: 'HBONE' }],
    },
  }
}

export function isWaypoint({ spec }: Gateway): boolean {
  return spec?.gatewayClassName === WAYPOINT_CLASS
}

/** Waypoints of one revision, or of all where none is asked for. */
export function isOfRevision({ metadata }: Gateway, revision: string | undefined): boolean {
  return revision === undefined || (metadata.labels?.[REVISION_LABEL] ?? 'default') === revision
}

/** The control plane has programmed what its spec says now, not what it said before. */
export function isProgrammed(gateway: Gateway): boolean {
  return isConditionTrue(gateway, 'Programmed')
}

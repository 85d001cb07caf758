import {
  canaryWeight,
  matchesLabels,
  type Resource,
  useWaypoint,
  useWaypointCanary,
  type WaypointName,
} from '@ambient-lab/api'
import type { GatewayAddress, Service, Workload } from '@ambient-lab/xds'
import { NAMESPACES } from '../stored-kinds.ts'
import type { TranslationView } from './view.ts'
import { type Waypoint, waypointByKey } from './waypoint.ts'

/** Why an object has not the waypoint that its labels ask for. */
export interface WaypointFinding {
  readonly reason:
    | 'WaypointIsNotReady'
    | 'AttachmentDenied'
    | 'UnsupportedTrafficType'
    | 'CanaryInvalidWeight'
    | 'CanarySameAsPrimary'
    | 'CrossNamespaceWaypointForbidden'
  readonly message: string
}

/** The waypoint of one object, as its labels and those of its namespace pick it. */
export interface WaypointAttachment {
  readonly waypoint?: Waypoint
  readonly canary?: { readonly waypoint: Waypoint; readonly weight: number }
  readonly finding?: WaypointFinding
}

type View = Pick<TranslationView, 'get' | 'mesh'>

const NONE: WaypointAttachment = {}
const MANAGED = 'gateway.istio.io/managed'
const MANAGED_BY = new Set(['istio.io-mesh-controller', 'istio.io-eastwest-controller'])

/** Whether an object belongs to a waypoint or an east-west gateway, which never have a waypoint themselves. */
export function isOfGateway({ metadata }: Resource): boolean {
  return MANAGED_BY.has(metadata.labels?.[MANAGED] ?? '')
}

/**
 * Finds an object's waypoint. A name that leads nowhere is no reason to ask the namespace: the object is then without
 * a waypoint, and says so in its status.
 * @see reference: istio/istio pilot/pkg/serviceregistry/ambient
 */
export function waypointAttachment(view: View, object: Resource, traffic: 'service' | 'workload'): WaypointAttachment {
  if (isOfGateway(object)) return NONE
  const { namespace = '', labels } = object.metadata
  const own = useWaypoint(labels, namespace)
  if (own === 'none') return NONE
  const name = own ?? useWaypoint(view.get(NAMESPACES, namespace)?.metadata.labels, namespace)
  if (!name || name === 'none') return NONE
  const found = attach(view, name, namespace)
  if ('reason' in found) return { finding: found }
  if (!takes(found, traffic)) return own ? { finding: unsupportedTraffic(found, traffic) } : NONE
  return { waypoint: found }
}

/** The same for a service, whose connections may be shared out between two waypoints. */
export function serviceWaypoint(
  view: View,
  object: Resource,
  visibility: Service['visibility'] = 'PUBLIC',
): WaypointAttachment {
  const attachment = waypointAttachment(view, object, 'service')
  const { waypoint } = attachment
  if (!waypoint) return attachment
  const { namespace = '' } = object.metadata
  if (visibility === 'NAMESPACE' && waypoint.namespace !== namespace) return { finding: forbidden(waypoint) }
  const canary = canaryOf(view, object, waypoint)
  if (!canary) return attachment
  return 'reason' in canary ? { waypoint, finding: canary } : { waypoint, canary }
}

/** What the workload API says about the waypoint of a workload. */
export function workloadWaypoint(object: Resource, view: View): Pick<Workload, 'waypoint'> {
  const { waypoint } = waypointAttachment(view, object, 'workload')
  return waypoint ? { waypoint: waypoint.address } : {}
}

/** What the workload API says about the waypoint of a service. */
export function waypointFields({
  waypoint,
  canary,
}: WaypointAttachment): Pick<Service, 'waypoint' | 'weightedWaypoints'> {
  if (!waypoint) return {}
  if (!canary) return { waypoint: waypoint.address }
  return {
    waypoint: waypoint.address,
    weightedWaypoints: [
      { destination: waypoint.address, weight: 100 - canary.weight },
      { destination: canary.waypoint.address, weight: canary.weight },
    ],
  }
}

/** Every waypoint that connections of the service may come from. */
export function owningWaypoints(
  service: Pick<Service, 'waypoint' | 'weightedWaypoints'> | undefined,
): readonly GatewayAddress[] {
  const weighted = service?.weightedWaypoints?.map(({ destination }) => destination)
  return weighted ?? (service?.waypoint ? [service.waypoint] : [])
}

/** A namespace's canary is for those that have the namespace's waypoint too. */
function canaryOf(
  view: View,
  object: Resource,
  primary: Waypoint,
): WaypointAttachment['canary'] | WaypointFinding | undefined {
  const { namespace = '', labels, annotations } = object.metadata
  const inherited = useWaypoint(labels, namespace) === undefined
  const owner = inherited ? view.get(NAMESPACES, namespace)?.metadata : undefined
  const name = useWaypointCanary(labels, owner?.labels, namespace)
  if (!name) return undefined
  if (keyOf(name) === keyOf(primary)) return sameAsPrimary(name)
  const weight = canaryWeight(annotations, owner?.annotations)
  if (weight === undefined) return invalidWeight(name)
  const waypoint = attach(view, name, namespace)
  if ('reason' in waypoint) return waypoint
  return takes(waypoint, 'service') ? { waypoint, weight } : unsupportedTraffic(waypoint, 'service')
}

function attach(view: View, name: WaypointName, userNamespace: string): Waypoint | WaypointFinding {
  const waypoint = waypointByKey(view, keyOf(name))
  if (!waypoint) return { reason: 'WaypointIsNotReady', message: `waypoint "${keyOf(name)}" is not ready` }
  if (admits(view, waypoint, userNamespace)) return waypoint
  return {
    reason: 'AttachmentDenied',
    message: `we are not permitted to attach to waypoint "${keyOf(name)}" (missing allowedRoutes?)`,
  }
}

function admits(
  view: View,
  { namespace, allowedRoutes: { from, selector } }: Waypoint,
  userNamespace: string,
): boolean {
  if (from === 'Same') return namespace === userNamespace
  if (from === 'All') return true
  const user = view.get(NAMESPACES, userNamespace)
  return user !== undefined && matchesLabels(selector ?? {}, user.metadata.labels)
}

function takes({ traffic }: Waypoint, wanted: 'service' | 'workload'): boolean {
  return traffic === 'all' || traffic === wanted
}

function unsupportedTraffic(waypoint: Waypoint, traffic: string): WaypointFinding {
  return {
    reason: 'UnsupportedTrafficType',
    message: `attempting to bind to traffic type "${traffic}" which the waypoint "${keyOf(waypoint)}" does not support`,
  }
}

function sameAsPrimary(name: WaypointName): WaypointFinding {
  return {
    reason: 'CanarySameAsPrimary',
    message: `canary waypoint "${keyOf(name)}" must differ from the primary waypoint`,
  }
}

function invalidWeight(name: WaypointName): WaypointFinding {
  return {
    reason: 'CanaryInvalidWeight',
    message: `canary waypoint "${keyOf(name)}" has an invalid weight; must be an integer in [0,100]`,
  }
}

function forbidden(waypoint: Waypoint): WaypointFinding {
  return {
    reason: 'CrossNamespaceWaypointForbidden',
    message: `cannot bind to waypoint "${keyOf(waypoint)}" in another namespace: cross-namespace waypoint binding is not permitted for a ServiceEntry with NAMESPACE visibility`,
  }
}

function keyOf({ namespace, name }: WaypointName): string {
  return `${namespace}/${name}`
}

import { GATEWAY_GROUP, type PolicyTargetReference, type Resource } from '@ambient-lab/api'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { GATEWAY_CLASSES, GATEWAYS, NAMESPACES, SERVICE_ENTRIES, SERVICES } from '../stored-kinds.ts'
import { entryVisibility } from '../translate/entry-visibility.ts'
import { references } from '../translate/target-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { serviceWaypoint, type WaypointAttachment } from '../translate/waypoint-attachment.ts'
import { MESH_CONTROLLER } from './gateway-classes.ts'
import type { Finding } from './gateway-status.ts'

type View = Pick<TranslationView, 'get' | 'mesh'>
type Reason = 'Accepted' | 'Invalid' | 'PartiallyInvalid' | 'AncestorNotBound' | 'TargetNotFound'

interface TargetFinding {
  readonly reason: Reason
  readonly message: string
}

/**
 * Whether waypoints enforce a policy, of each of its targets; undefined for one without targets, which they ignore.
 * @see reference: istio/istio pilot/pkg/serviceregistry/ambient, WaypointPolicyStatusCollection
 */
export function waypointAccepted(policy: Resource, view: View): Finding | undefined {
  const targets = references(policy)
  if (targets.length === 0) return undefined
  const findings = targets.map((target) => targetFinding(policy, target, view))
  const { reason, message } = summary(targets, findings)
  const status = findings.some((finding) => finding.reason === 'Accepted') ? 'True' : 'False'
  return { type: 'WaypointAccepted', status, reason, message, observedGeneration: policy.metadata.generation ?? 1 }
}

function summary(targets: readonly PolicyTargetReference[], findings: readonly TargetFinding[]): TargetFinding {
  const [first, ...others] = findings
  if (others.length === 0) return first!
  const unbound = targets.filter((_, index) => findings[index]!.reason !== 'Accepted')
  if (unbound.length === 0) return { reason: 'Accepted', message: 'bound to all ancestors' }
  const names = unbound.map(({ kind, name }) => `${kind}/${name}`).join(', ')
  const reason = unbound.length < targets.length ? 'PartiallyInvalid' : findings[0]!.reason
  return { reason, message: `ancestors not bound: ${names}` }
}

function targetFinding(policy: Resource, { group = '', kind, name }: PolicyTargetReference, view: View): TargetFinding {
  const { namespace = '' } = policy.metadata
  const key = `${namespace}/${name}`
  if (group === GATEWAY_GROUP && kind === 'GatewayClass') return classFinding(policy, name, view)
  if (group === GATEWAY_GROUP && kind === 'Gateway') {
    const gateway = view.get(GATEWAYS, key)
    return gateway && classOfGateway(gateway, view) ? bound(key) : notFound(kind, key)
  }
  if (group === '' && kind === 'Service') {
    const service = view.get(SERVICES, key)
    return service ? ancestorFinding(kind, key, serviceWaypoint(view, service)) : notFound(kind, key)
  }
  if (group === 'networking.istio.io' && kind === 'ServiceEntry') {
    const entry = view.get(SERVICE_ENTRIES, key)
    const visibility = entryVisibility(view.mesh.serviceEntryVisibility, view.get(NAMESPACES, namespace))
    return entry ? ancestorFinding(kind, key, serviceWaypoint(view, entry, visibility)) : notFound(kind, key)
  }
  return { reason: 'Invalid', message: `targetRef of group "${group}" and kind "${kind}" is not supported` }
}

function classFinding({ kind, metadata }: Resource, name: string, view: View): TargetFinding {
  const { rootNamespace } = view.mesh
  if (metadata.namespace !== rootNamespace) {
    const message = `${kind} must be in the root namespace \`${rootNamespace}\` when referencing a GatewayClass`
    return { reason: 'Invalid', message }
  }
  const gatewayClass = view.get(GATEWAY_CLASSES, name)
  if (!gatewayClass) return notFound('GatewayClass', name)
  if (gatewayClass.spec?.controllerName !== MESH_CONTROLLER) {
    return { reason: 'Invalid', message: `GatewayClass must use controller name \`${MESH_CONTROLLER}\`` }
  }
  return bound(name)
}

function ancestorFinding(kind: string, key: string, { waypoint }: WaypointAttachment): TargetFinding {
  if (waypoint) return bound(`${waypoint.namespace}/${waypoint.name}`)
  return { reason: 'AncestorNotBound', message: `${kind} ${key} is not bound to a waypoint` }
}

function bound(to: string): TargetFinding {
  return { reason: 'Accepted', message: `bound to ${to}` }
}

function notFound(kind: string, key: string): TargetFinding {
  return { reason: 'TargetNotFound', message: `${kind} ${key} was not found` }
}

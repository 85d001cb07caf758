import {
  type DestinationRule,
  objectKey,
  type ParentReference,
  type Pod,
  type Resource,
  type VirtualService,
} from '@ambient-lab/api'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { targetOfHost } from '../routing/targets.ts'
import { appliesTo } from '../routing/virtual-service.ts'
import {
  DESTINATION_RULES,
  GATEWAYS,
  NAMESPACES,
  PODS,
  REQUEST_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { entryVisibility } from '../translate/entry-visibility.ts'
import { isCaptured, type TranslationView } from '../translate/view.ts'
import { serviceWaypoint } from '../translate/waypoint-attachment.ts'

/** A condition of the lab's own: Istio leaves whoever forgot the waypoint to wonder. */
export const IN_EFFECT = 'ambient.lab/InEffect'

/** Why nobody in the mesh follows an object. */
export interface LostEffect {
  readonly reason: 'NoWaypoint' | 'NoTarget'
  readonly message: string
}

const REMEDY = 'Deploy a waypoint proxy and label the service with istio.io/use-waypoint.'
const NO_TARGET =
  'ztunnel does not read requests, nor the tokens in them. Deploy a waypoint proxy and use a targetRef to enforce this policy.'

/** Of a route whose parent is a Service or ServiceEntry without a waypoint. */
export function lostRouteEffect(
  route: Resource,
  parent: ParentReference,
  view: TranslationView,
): LostEffect | undefined {
  const { kind, name } = parent
  if (kind !== 'Service' && kind !== 'ServiceEntry') return undefined
  const key = `${parent.namespace ?? route.metadata.namespace}/${name}`
  const target = view.get(kind === 'Service' ? SERVICES : SERVICE_ENTRIES, key)
  return target && lostEffect(route, [target], view)
}

/** Of kinds that say it once for all of the object. */
export const LOST_EFFECTS = {
  /** One that is for gateways only has nothing to lose. */
  [VIRTUAL_SERVICES](object: Resource, view: TranslationView): LostEffect | undefined {
    const virtualService = object as VirtualService
    if (!appliesTo(virtualService, { gateway: 'mesh' })) return undefined
    return lostEffect(object, targetsOf(view.routes.hostsOf(virtualService), object, view), view)
  },

  [DESTINATION_RULES](object: Resource, view: TranslationView): LostEffect | undefined {
    return lostEffect(object, targetsOf([view.routes.hostOf(object as DestinationRule)], object, view), view)
  },

  /** Without targets it is about workloads, of which only the pods of gateways, and sidecars, read tokens. */
  [REQUEST_AUTHENTICATIONS](object: Resource, view: TranslationView): LostEffect | undefined {
    const isFollowed =
      view.targets.targetsOf(object).length > 0 || isOfGateway(object, view) || isOfSidecar(object, view)
    return isFollowed ? undefined : { reason: 'NoTarget', message: NO_TARGET }
  },
}

function isOfGateway(policy: Resource, view: TranslationView): boolean {
  const gateways = view.list(GATEWAYS).filter((gateway) => classOfGateway(gateway, view)?.proxy === 'gateway')
  const pods = gateways.flatMap(({ metadata }) => view.routes.replicasOf(objectKey(metadata)))
  return pods.some((pod) => isSelected(pod, policy, view))
}

function isOfSidecar(policy: Resource, view: TranslationView): boolean {
  const { namespace } = policy.metadata
  const keys = view.sidecars.podsOf(namespace === view.mesh.rootNamespace ? undefined : namespace)
  return keys.some((key) => {
    const pod = view.get(PODS, key)
    return pod !== undefined && isSelected(pod, policy, view)
  })
}

function isSelected({ metadata }: Pod, policy: Resource, view: TranslationView): boolean {
  const { namespace = '', labels = {} } = metadata
  return view.targets
    .selecting(REQUEST_AUTHENTICATIONS, namespace, labels)
    .some((one) => objectKey(one.metadata) === objectKey(policy.metadata))
}

function targetsOf(hosts: readonly string[], { metadata }: Resource, view: TranslationView): Resource[] {
  return hosts.flatMap((host) => targetOfHost(view, host, metadata.namespace ?? '')?.source.object ?? [])
}

function lostEffect({ kind }: Resource, targets: readonly Resource[], view: TranslationView): LostEffect | undefined {
  const hasSidecars = view.sidecars.namespaces.length > 0
  // Sidecars follow it; where they are all that there is, nobody has lost anything.
  if (hasSidecars && !view.list(PODS).some(isCaptured)) return undefined
  const without = targets.filter((target) => !hasWaypoint(target, view))
  if (without.length === 0) return undefined
  const names = without.map((target) => `${target.kind} ${objectKey(target.metadata)}`).join(', ')
  const lack = `${names} ${without.length === 1 ? 'has' : 'have'} no waypoint`
  const whom = hasSidecars ? 'callers without a sidecar' : 'callers in the mesh'
  const why = `ztunnel does not look into connections, so that this ${kind} has no effect on ${whom}`
  return { reason: 'NoWaypoint', message: `${lack}, and ${why}. ${REMEDY}` }
}

function hasWaypoint(target: Resource, view: TranslationView): boolean {
  const namespace = view.get(NAMESPACES, target.metadata.namespace ?? '')
  const visibility =
    target.kind === 'ServiceEntry' ? entryVisibility(view.mesh.serviceEntryVisibility, namespace) : 'PUBLIC'
  return serviceWaypoint(view, target, visibility).waypoint !== undefined
}

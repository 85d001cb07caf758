import {
  type DestinationRule,
  GATEWAY_GROUP,
  type ListenerSet,
  type ObjectKey,
  objectKey,
  type Pod,
  type Resource,
  type ServiceEntry,
  type VirtualService,
} from '@ambient-lab/api'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { parentOfSet } from '../routing/route-attachment.ts'
import {
  GATEWAYS,
  GRPC_ROUTES,
  HTTP_ROUTES,
  type KnownType,
  LISTENER_SETS,
  SERVICE_ENTRIES,
  SERVICES,
  TCP_ROUTES,
  TLS_ROUTES,
} from '../stored-kinds.ts'
import { attachedTo } from './dependencies.ts'
import { backendIds, parentIds, type ReferenceId, type RouteRef, replicaOf } from './route-index.ts'
import type { ObjectChange, Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

/** What routes attach to, by the word that references use. */
type TargetKind = 'Service' | 'ServiceEntry' | 'Gateway'
type Touch = (change: ObjectChange, view: TranslationView) => Touched

const NOTHING: Touched = { keys: [] }

/** The states of an object before and after a change; one of them alone at its beginning and its end. */
function states<T extends Resource>({ operation, object, previous }: ObjectChange): T[] {
  return [operation === 'deleted' ? undefined : object, previous].filter((state) => state !== undefined) as T[]
}

/** Keys among ids of one kind: `Service default/a` → `default/a`. A ListenerSet stands for its Gateway. */
function keysOf(kind: TargetKind, ids: Iterable<ReferenceId>, view: TranslationView): ObjectKey[] {
  return [...ids].flatMap((id) => {
    const [of = '', key = ''] = id.split(' ')
    if (of === kind) return key
    const set = kind === 'Gateway' && of === 'ListenerSet' ? view.get(LISTENER_SETS, key) : undefined
    return set ? parentOfSet(set) : []
  })
}

/** Gateways of a class that changed. */
export const ofGatewayClass: Touch = ({ object }, view) => {
  const gateways = view.list(GATEWAYS).filter(({ spec }) => spec?.gatewayClassName === object.metadata.name)
  return { keys: gateways.map(({ metadata }) => objectKey(metadata)) }
}

/** The Gateway of a pod that was placed, or went: nothing else of a pod is part of a proxy. */
export const placementOfReplica: Touch = (change) => ({ keys: movedReplica(change) ?? [] })

/** The Gateway that a ListenerSet names, or named. */
export const parentOfListenerSet: Touch = (change) => ({ keys: states<ListenerSet>(change).map(parentOfSet) })

/** The Gateways that gained or lost a replica, or of which one moved; undefined: none did. */
export function movedReplica({ operation, object, previous }: ObjectChange): ObjectKey[] | undefined {
  const after = replicaState(operation === 'deleted' ? undefined : (object as Pod))
  const before = replicaState(previous as Pod | undefined)
  if (after?.gateway === before?.gateway && after?.node === before?.node) return undefined
  return [...new Set([after, before].flatMap((state) => state?.gateway ?? []))]
}

function replicaState(pod: Pod | undefined): { readonly gateway: ObjectKey; readonly node: string } | undefined {
  const gateway = pod && replicaOf(pod)
  return gateway === undefined ? undefined : { gateway, node: pod?.spec?.nodeName ?? '' }
}

/** Users of a waypoint of which a replica was placed, or went: its chains are for the nodes that run it. */
export function usersOfReplica(kind: KnownType): Touch {
  return (change, view) => {
    const gateways = (movedReplica(change) ?? []).flatMap((key) => view.get(GATEWAYS, key) ?? [])
    return { keys: gateways.flatMap((gateway) => attachedTo(kind, gateway, view)) }
  }
}

/** What a route is attached to, before and after. */
export function parentsOfRoute(kind: TargetKind): Record<RouteRef['type'], Touch> {
  const touch: Touch = (change, view) => ({ keys: keysOf(kind, states(change).flatMap(parentIds), view) })
  return { [HTTP_ROUTES]: touch, [GRPC_ROUTES]: touch, [TCP_ROUTES]: touch, [TLS_ROUTES]: touch }
}

/** What a route sends to, before and after. */
export function backendsOfRoute(kind: TargetKind): Record<RouteRef['type'], Touch> {
  const touch: Touch = (change, view) => ({ keys: keysOf(kind, states(change).flatMap(backendIds), view) })
  return { [HTTP_ROUTES]: touch, [GRPC_ROUTES]: touch, [TCP_ROUTES]: touch, [TLS_ROUTES]: touch }
}

/** Parents of the routes that send to a Service which came, went, or changed its ports. */
export function parentsOfSenders(kind: TargetKind): Touch {
  return (change, view) => {
    const ports = (object: Resource | undefined) =>
      JSON.stringify((object?.spec as { ports?: unknown } | undefined)?.ports)
    const [after, before] = [change.operation === 'deleted' ? undefined : change.object, change.previous]
    if (after && before && ports(after) === ports(before)) return NOTHING
    const { metadata } = change.object
    const hosts = [`${metadata.name}.${metadata.namespace}.svc.${view.mesh.clusterDomain}`]
    return {
      keys: [
        ...parentKeys(kind, view.routes.sendingTo(`Service ${objectKey(metadata)}`), view),
        ...senderKeys(kind, hosts, view),
      ],
    }
  }
}

/** The same for the hosts of a ServiceEntry. */
export function parentsOfHostSenders(kind: TargetKind): Touch {
  return (change, view) => {
    const hosts = new Set(
      states(change).flatMap(({ spec }) => (spec as { readonly hosts?: readonly string[] } | undefined)?.hosts ?? []),
    )
    const refs = [...hosts].flatMap((host) => view.routes.sendingTo(`Hostname ${host}`))
    return { keys: [...parentKeys(kind, refs, view), ...senderKeys(kind, hosts, view)] }
  }
}

/** ServiceEntries that name a host of the one that changed: another may have come to stand for it. */
export const rivalEntries: Touch = (change, view) => {
  const hosts = states<ServiceEntry>(change).flatMap(({ spec }) => spec?.hosts ?? [])
  return {
    keys: [...new Set(hosts)].flatMap((host) =>
      [...view.entriesNaming(host)].map(({ metadata }) => objectKey(metadata)),
    ),
  }
}

/** Every ingress gateway that runs: Istio's Gateways find them by labels, and there are few. */
export const runningIngress: Touch = (_, view) => ({
  keys: view.routes.runningGateways.filter((key) => {
    const gateway = view.get(GATEWAYS, key)
    return gateway !== undefined && classOfGateway(gateway, view)?.proxy === 'gateway'
  }),
})

/** The same, if a VirtualService is for gateways, or something that is delegates to it. */
export const ingressOfVirtualService: Touch = (change, view) => {
  const key = objectKey(change.object.metadata)
  const concerned = [...states<VirtualService>(change), ...view.routes.delegatorsOf(key)]
  return concerned.some(isForGateways) ? runningIngress(change, view) : NOTHING
}

/** The same, if a VirtualService for gateways sends to the Service or ServiceEntry that changed. */
export const ingressOfSenders: Touch = (change, view) => {
  const hosts = states<ServiceEntry>(change).flatMap(({ kind, metadata, spec }) =>
    kind === 'Service'
      ? [`${metadata.name}.${metadata.namespace}.svc.${view.mesh.clusterDomain}`]
      : (spec?.hosts ?? []),
  )
  const senders = hosts.flatMap((host) => view.routes.virtualServicesTo(host))
  const roots = senders.flatMap(({ metadata }) => view.routes.delegatorsOf(objectKey(metadata)))
  return [...senders, ...roots].some(isForGateways) ? runningIngress(change, view) : NOTHING
}

function isForGateways({ spec }: VirtualService): boolean {
  return (spec?.gateways ?? []).some((gateway) => gateway !== 'mesh')
}

/** What either of two touches. */
export function both(first: Touch, second: Touch): Touch {
  return (change, view) => {
    const [one, other] = [first(change, view), second(change, view)]
    return 'keys' in one && 'keys' in other ? { keys: [...one.keys, ...other.keys] } : { namespace: undefined }
  }
}

/** Parents of the routes that a ReferenceGrant may have allowed something, or does now. */
export function parentsOfGranted(kind: TargetKind): Touch {
  return ({ object }, view) => ({
    keys: parentKeys(kind, view.routes.referringInto(object.metadata.namespace ?? ''), view),
  })
}

function parentKeys(kind: TargetKind, refs: readonly RouteRef[], view: TranslationView): ObjectKey[] {
  return refs.flatMap(({ type, key }) => {
    const route = view.get(type, key)
    return route ? keysOf(kind, parentIds(route), view) : []
  })
}

/** Services whose VirtualServices send to one of the hosts. */
function senderKeys(kind: TargetKind, hosts: Iterable<string>, view: TranslationView): ObjectKey[] {
  return [...hosts].flatMap((host) =>
    view.routes
      .virtualServicesTo(host)
      .flatMap((virtualService) => hostKeys(kind, view.routes.hostsOf(virtualService), view)),
  )
}

/** The services that the hosts of a VirtualService mean, and those of the ones that delegate to it. */
export function hostsOfVirtualService(kind: 'Service' | 'ServiceEntry'): Touch {
  return (change, view) => {
    const own = states<VirtualService>(change).flatMap((state) => view.routes.hostsOf(state))
    const roots = view.routes.delegatorsOf(objectKey(change.object.metadata))
    return { keys: hostKeys(kind, [...own, ...roots.flatMap((root) => view.routes.hostsOf(root))], view) }
  }
}

/** The services that a VirtualService sends to, before and after. */
export function destinationsOfVirtualService(kind: 'Service' | 'ServiceEntry'): Touch {
  return (change, view) => ({
    keys: hostKeys(
      kind,
      states<VirtualService>(change).flatMap((state) => [...view.routes.destinationsOf(state)]),
      view,
    ),
  })
}

/** The services that a DestinationRule is about, before and after. */
export function hostOfDestinationRule(kind: 'Service' | 'ServiceEntry'): Touch {
  return (change, view) => ({
    keys: hostKeys(
      kind,
      states<DestinationRule>(change).map((state) => view.routes.hostOf(state)),
      view,
    ),
  })
}

/** Objects of a kind that stand for hosts, wildcards among them. */
export function hostKeys(kind: TargetKind, hosts: readonly string[], view: TranslationView): ObjectKey[] {
  if (kind === 'Gateway') return []
  return [...new Set(hosts)].flatMap((host) => {
    if (host.startsWith('*')) return wildcardKeys(kind, host, view)
    if (kind === 'ServiceEntry') return [...view.entriesNaming(host)].map(({ metadata }) => objectKey(metadata))
    const suffix = `.svc.${view.mesh.clusterDomain}`
    if (!host.endsWith(suffix)) return []
    const [name, namespace] = host.slice(0, -suffix.length).split('.')
    return namespace ? `${namespace}/${name}` : []
  })
}

/** A wildcard may mean any of them: rare, and worth no index. */
function wildcardKeys(kind: 'Service' | 'ServiceEntry', pattern: string, view: TranslationView): ObjectKey[] {
  const suffix = pattern.slice(1)
  const { clusterDomain } = view.mesh
  const matches = (host: string) => host.endsWith(suffix)
  const found =
    kind === 'ServiceEntry'
      ? view.list(SERVICE_ENTRIES).filter(({ spec }) => spec?.hosts?.some(matches))
      : view
          .list(SERVICES)
          .filter(({ metadata }) => matches(`${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`))
  return found.map(({ metadata }) => objectKey(metadata))
}

/** Targets of a policy of the Gateway API, before and after. */
export function targetsOfPolicy(kind: TargetKind): Touch {
  const groups = { Service: '', ServiceEntry: 'networking.istio.io', Gateway: GATEWAY_GROUP }
  return (change) => ({
    keys: states(change).flatMap(({ metadata, spec }) =>
      (
        (spec as { targetRefs?: readonly { group?: string; kind: string; name: string }[] } | undefined)?.targetRefs ??
        []
      )
        .filter((target) => target.kind === kind && (target.group ?? '') === groups[kind])
        .map(({ name }) => `${metadata.namespace}/${name}`),
    ),
  })
}

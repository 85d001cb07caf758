import {
  type DestinationRule,
  GATEWAY_GROUP,
  type ObjectKey,
  objectKey,
  type Pod,
  type Resource,
  type VirtualService,
} from '@ambient-lab/api'
import { gatewayKeyOf } from '../gateways/gateway-names.ts'
import type { StoreEvent, StoreType } from '../store/store.ts'
import {
  DESTINATION_RULES,
  GRPC_ROUTES,
  HTTP_ROUTES,
  type KnownType,
  LISTENER_SETS,
  PODS,
  TCP_ROUTES,
  TLS_ROUTES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { Groups, HostGroups } from './groups.ts'

export const ROUTE_KINDS = [HTTP_ROUTES, GRPC_ROUTES, TCP_ROUTES, TLS_ROUTES] as const
export type RouteKind = (typeof ROUTE_KINDS)[number]

export interface RouteRef {
  readonly type: RouteKind
  readonly key: ObjectKey
}

/** `Service ns/name`, `ServiceEntry ns/name`, `Gateway ns/name`, `Hostname reviews.example.com`. */
export type ReferenceId = string

interface Reference {
  readonly group?: string
  readonly kind?: string
  readonly name: string
  readonly namespace?: string
}

/** What all kinds of routes share, as far as references go. */
interface RouteSpecLike {
  readonly parentRefs?: readonly Reference[]
  readonly rules?: readonly RuleLike[]
}

interface RuleLike {
  readonly backendRefs?: readonly (Reference & { readonly filters?: readonly FilterLike[] })[]
  readonly filters?: readonly FilterLike[]
}

interface FilterLike {
  readonly requestMirror?: { readonly backendRef: Reference }
}

interface Listing {
  list<T extends KnownType>(type: T, namespace?: string): readonly Resource[]
}

/**
 * Which routes are attached to what, which send where, and which pods run a Gateway: kept with every change, so that
 * one route is never searched for among thousands.
 */
export class RouteIndex {
  readonly #byParent = new Groups<RouteRef>()
  readonly #byBackend = new Groups<RouteRef>()
  /** Routes of one namespace that refer to another one, by that other's name: what a ReferenceGrant there may allow. */
  readonly #abroad = new Groups<RouteRef>()
  readonly #virtualServices = new HostGroups<VirtualService>()
  readonly #destinationRules = new HostGroups<DestinationRule>()
  /** By the hosts that they send to. */
  readonly #senders = new Groups<VirtualService>()
  /** Delegate → those that delegate to it. */
  readonly #delegators = new Groups<VirtualService>()
  readonly #replicas = new Groups<Pod>()
  readonly #listenerSets = new Groups<Resource>()
  readonly #clusterDomain: string

  constructor(reader: Listing, clusterDomain: string) {
    this.#clusterDomain = clusterDomain
    for (const type of [...ROUTE_KINDS, VIRTUAL_SERVICES, DESTINATION_RULES, PODS, LISTENER_SETS]) {
      for (const object of reader.list(type as KnownType)) this.#add(type as StoreType, object)
    }
  }

  update({ type, operation, object, previous }: Pick<StoreEvent, 'type' | 'operation' | 'object' | 'previous'>): void {
    if (previous) this.#remove(type, previous)
    if (operation === 'deleted') this.#remove(type, object)
    else this.#add(type, object)
  }

  attachedTo(parent: ReferenceId): RouteRef[] {
    return this.#byParent.of(parent)
  }

  sendingTo(backend: ReferenceId): RouteRef[] {
    return this.#byBackend.of(backend)
  }

  referringInto(namespace: string): RouteRef[] {
    return this.#abroad.of(namespace)
  }

  /** Oldest first. */
  virtualServicesOf(hostname: string): VirtualService[] {
    return this.#virtualServices.of(hostname).sort(oldestFirst)
  }

  /** Oldest first. */
  destinationRulesOf(hostname: string): DestinationRule[] {
    return this.#destinationRules.of(hostname).sort(oldestFirst)
  }

  /** VirtualServices that send to a host. */
  virtualServicesTo(hostname: string): VirtualService[] {
    return this.#senders.of(hostname)
  }

  delegatorsOf(virtualService: ObjectKey): VirtualService[] {
    return this.#delegators.of(virtualService)
  }

  /** The hosts of a VirtualService as whole names: short ones are completed with its own namespace. */
  hostsOf({ metadata, spec }: VirtualService): string[] {
    return (spec?.hosts ?? []).map((host) => wholeHost(host, metadata.namespace ?? '', this.#clusterDomain))
  }

  /** Of a DestinationRule, as a whole name. */
  hostOf({ metadata, spec }: DestinationRule): string {
    return wholeHost(spec?.host ?? '', metadata.namespace ?? '', this.#clusterDomain)
  }

  /** Hosts that a VirtualService sends to, mirrors among them, as whole names. */
  destinationsOf({ metadata, spec }: VirtualService): Set<string> {
    const { http = [], tls = [], tcp = [] } = spec ?? {}
    const destinations = [
      ...http.flatMap(({ route = [], mirror, mirrors = [] }) => [
        ...route.map(({ destination }) => destination),
        ...(mirror ? [mirror] : []),
        ...mirrors.map(({ destination }) => destination),
      ]),
      ...[...tls, ...tcp].flatMap(({ route = [] }) => route.map(({ destination }) => destination)),
    ]
    return new Set(destinations.map(({ host }) => wholeHost(host, metadata.namespace ?? '', this.#clusterDomain)))
  }

  /** Pods that run the proxy of a Gateway and have a place, by key. */
  replicasOf(gateway: ObjectKey): readonly Pod[] {
    return this.#replicas.of(gateway).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  /** Names of the nodes that run the proxy of a Gateway, sorted. */
  nodesOf(gateway: ObjectKey): string[] {
    const nodes = this.#replicas.of(gateway).map(({ spec }) => spec?.nodeName ?? '')
    return [...new Set(nodes)].sort()
  }

  /** Every Gateway that has a replica somewhere. */
  get runningGateways(): readonly ObjectKey[] {
    return this.#replicas.keys
  }

  /** ListenerSets that name a Gateway as their parent, whether it allows them or not. */
  listenerSetsOf(gateway: ObjectKey): readonly Resource[] {
    return this.#listenerSets.of(gateway)
  }

  #add(type: StoreType, object: Resource): void {
    const key = objectKey(object.metadata)
    if (isRouteKind(type)) {
      const ref = { type, key }
      const id = `${type} ${key}`
      for (const parent of parentIds(object)) this.#byParent.add(parent, id, ref)
      for (const backend of backendIds(object)) this.#byBackend.add(backend, id, ref)
      for (const namespace of foreignNamespaces(object)) this.#abroad.add(namespace, id, ref)
    } else if (type === VIRTUAL_SERVICES) {
      const virtualService = object as VirtualService
      for (const host of this.hostsOf(virtualService)) this.#virtualServices.add(host, key, virtualService)
      for (const host of this.destinationsOf(virtualService)) this.#senders.add(host, key, virtualService)
      for (const delegate of delegatesOf(virtualService)) this.#delegators.add(delegate, key, virtualService)
    } else if (type === DESTINATION_RULES) {
      this.#destinationRules.add(this.hostOf(object as DestinationRule), key, object as DestinationRule)
    } else if (type === PODS) {
      const gateway = replicaOf(object as Pod)
      if (gateway) this.#replicas.add(gateway, key, object as Pod)
    } else if (type === LISTENER_SETS) {
      this.#listenerSets.add(gatewayOfSet(object), key, object)
    }
  }

  #remove(type: StoreType, object: Resource): void {
    const key = objectKey(object.metadata)
    if (isRouteKind(type)) {
      const id = `${type} ${key}`
      for (const parent of parentIds(object)) this.#byParent.delete(parent, id)
      for (const backend of backendIds(object)) this.#byBackend.delete(backend, id)
      for (const namespace of foreignNamespaces(object)) this.#abroad.delete(namespace, id)
    } else if (type === VIRTUAL_SERVICES) {
      for (const host of this.hostsOf(object as VirtualService)) this.#virtualServices.delete(host, key)
      for (const host of this.destinationsOf(object as VirtualService)) this.#senders.delete(host, key)
      for (const delegate of delegatesOf(object as VirtualService)) this.#delegators.delete(delegate, key)
    } else if (type === DESTINATION_RULES) {
      this.#destinationRules.delete(this.hostOf(object as DestinationRule), key)
    } else if (type === PODS) {
      const gateway = gatewayKeyOf(object.metadata)
      if (gateway) this.#replicas.delete(gateway, key)
    } else if (type === LISTENER_SETS) {
      this.#listenerSets.delete(gatewayOfSet(object), key)
    }
  }
}

export function isRouteKind(type: string): type is RouteKind {
  return (ROUTE_KINDS as readonly string[]).includes(type)
}

export function referenceId(
  { group = GATEWAY_GROUP, kind = 'Gateway', name, namespace }: Reference,
  home: string,
): ReferenceId {
  return kind === 'Hostname' && group === 'networking.istio.io'
    ? `Hostname ${name}`
    : `${kind} ${namespace ?? home}/${name}`
}

/** What a route names as its parents. */
export function parentIds({ metadata, spec }: Resource): ReferenceId[] {
  return ((spec as RouteSpecLike | undefined)?.parentRefs ?? []).map((parent) =>
    referenceId(parent, metadata.namespace ?? ''),
  )
}

/** What a route sends to, mirrors among them. */
export function backendIds(route: Resource): ReferenceId[] {
  return backendReferences(route).map((reference) =>
    referenceId({ group: '', kind: 'Service', ...reference }, route.metadata.namespace ?? ''),
  )
}

function foreignNamespaces(route: Resource): Set<string> {
  const home = route.metadata.namespace
  return new Set(
    backendReferences(route).flatMap(({ namespace }) => (namespace && namespace !== home ? namespace : [])),
  )
}

function backendReferences({ spec }: Resource): Reference[] {
  const mirrors = (filters: readonly FilterLike[] = []) =>
    filters.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? [])
  return ((spec as RouteSpecLike | undefined)?.rules ?? []).flatMap(({ backendRefs = [], filters }) => [
    ...backendRefs,
    ...mirrors(filters),
    ...backendRefs.flatMap((backend) => mirrors(backend.filters)),
  ])
}

function delegatesOf({ metadata, spec }: VirtualService): ObjectKey[] {
  return (spec?.http ?? []).flatMap(({ delegate }) =>
    delegate?.name ? `${delegate.namespace || metadata.namespace}/${delegate.name}` : [],
  )
}

/** Undefined for a pod that is no replica, or has no place or no future. */
export function replicaOf(pod: Pod): ObjectKey | undefined {
  const { spec, status, metadata } = pod
  const finished = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  return spec?.nodeName && status?.podIP && !finished ? gatewayKeyOf(metadata) : undefined
}

function gatewayOfSet({ metadata, spec }: Resource): ObjectKey {
  const { parentRef } = (spec ?? {}) as { readonly parentRef?: Reference }
  return `${parentRef?.namespace ?? metadata.namespace}/${parentRef?.name ?? ''}`
}

/** `reviews` → `reviews.default.svc.cluster.local`; names with dots and wildcards are whole already. */
export function wholeHost(host: string, namespace: string, clusterDomain: string): string {
  return host.includes('.') || host.includes('*') ? host : `${host}.${namespace}.svc.${clusterDomain}`
}

export function oldestFirst(a: Resource, b: Resource): number {
  return ageOf(a) < ageOf(b) ? -1 : 1
}

function ageOf({ metadata }: Resource): string {
  return `${metadata.creationTimestamp ?? ''} ${objectKey(metadata)}`
}

import {
  GATEWAY_NAME_LABEL,
  type Gateway,
  matchesEvery,
  objectKey,
  type Resource,
  useWaypoint,
  useWaypointCanary,
} from '@ambient-lab/api'
import type { StoreEvent } from '../store/store.ts'
import { GATEWAY_CLASSES, GATEWAYS, type KnownType, NAMESPACES, PODS } from '../stored-kinds.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'
import { waypointOf } from './waypoint.ts'

/** A namespace's labels and annotations steer what is in it. */
export function ofNamespace(change: StoreEvent): Touched {
  const { object, previous } = change
  const steering = (namespace: Resource | undefined) =>
    JSON.stringify([namespace?.metadata.labels, namespace?.metadata.annotations])
  return steering(after(change)) === steering(previous) ? { keys: [] } : { namespace: object.metadata.name }
}

/** What there is now: a deletion's event carries what there was. */
function after({ operation, object }: StoreEvent): Resource | undefined {
  return operation === 'deleted' ? undefined : object
}

type SelectorOf = (object: Resource) => Readonly<Record<string, string>> | undefined

/**
 * Objects of `kind` in the changed object's namespace that its selector matches, or matched before.
 * An object of the root namespace selects everywhere when `everywhereFrom` names it.
 */
export function selectedBy(
  kind: typeof PODS | 'networking.istio.io/workloadentries',
  selectorOf: SelectorOf,
  options: { readonly everywhereFromRoot?: boolean } = {},
): (change: StoreEvent, view: TranslationView) => Touched {
  return ({ object, previous }, view) => {
    const namespace = object.metadata.namespace
    const everywhere = options.everywhereFromRoot && namespace === view.mesh.rootNamespace
    const selectors = [object, previous].map((state) => (state && selectorOf(state)) ?? {})
    const matching = view
      .list(kind, everywhere ? undefined : namespace)
      .filter(({ metadata }) => selectors.some((selector) => matchesSome(selector, metadata.labels)))
    return { keys: matching.map(({ metadata }) => objectKey(metadata)) }
  }
}

function matchesSome(selector: Readonly<Record<string, string>>, labels: Resource['metadata']['labels']): boolean {
  return Object.keys(selector).length > 0 && matchesEvery(selector, labels)
}

/** Pods that an EndpointSlice names, before or after. */
export function namedBySlice({ object, previous }: StoreEvent): Touched {
  const keys = [object, previous].flatMap((slice) =>
    ((slice?.endpoints ?? []) as { targetRef?: { kind?: string; name?: string; namespace?: string } }[]).flatMap(
      ({ targetRef }) =>
        targetRef?.kind === 'Pod' ? `${targetRef.namespace ?? object.metadata.namespace}/${targetRef.name}` : [],
    ),
  )
  return { keys }
}

/** Pods on a node whose topology labels changed; nothing else of a node is part of a workload. */
export function placedOn(change: StoreEvent, view: TranslationView): Touched {
  const { object, previous } = change
  const topology = (node: Resource | undefined) =>
    Object.entries(node?.metadata.labels ?? {}).filter(([key]) => key.includes('topology'))
  if (JSON.stringify(topology(after(change))) === JSON.stringify(topology(previous))) return { keys: [] }
  const pods = view.list(PODS).filter(({ spec }) => spec?.nodeName === object.metadata.name)
  return { keys: pods.map(({ metadata }) => objectKey(metadata)) }
}

/** Everything in the namespace of the changed object; everywhere when that is the root namespace. */
export function sameNamespaceOrAll({ object }: StoreEvent, view: TranslationView): Touched {
  const { namespace } = object.metadata
  return { namespace: namespace === view.mesh.rootNamespace ? undefined : namespace }
}

/** What a change of a Gateway means to those that may have it as their waypoint. */
type GatewayDependencies = Record<
  typeof GATEWAYS | typeof GATEWAY_CLASSES,
  (change: StoreEvent, view: TranslationView) => Touched
>

/** Objects of `kind` whose waypoint may be the Gateway that changed, by their own labels or their namespace's. */
export function attachedToWaypoint(kind: KnownType): GatewayDependencies {
  return {
    [GATEWAYS](change, view) {
      const states = [after(change), change.previous].map((gateway) => gateway && waypointStateOf(gateway, view))
      return states[0] === states[1] ? { keys: [] } : { keys: attachedTo(kind, change.object, view) }
    },
    [GATEWAY_CLASSES](change, view) {
      const gateways = view.list(GATEWAYS).filter(({ spec }) => spec?.gatewayClassName === change.object.metadata.name)
      return { keys: gateways.flatMap((gateway) => attachedTo(kind, gateway, view)) }
    },
  }
}

/** Comparable; the status of a Gateway is written far more often than what a waypoint's users read changes. */
function waypointStateOf(gateway: Resource, view: TranslationView): string {
  const of = view.get(GATEWAY_CLASSES, (gateway as Gateway).spec?.gatewayClassName ?? '')
  return JSON.stringify(waypointOf(gateway as Gateway, of, view.mesh.network))
}

/** Keys of the objects that name the Gateway as waypoint or canary, and of the waypoint's own. */
export function attachedTo(kind: KnownType, gateway: Resource, view: Pick<TranslationView, 'list' | 'get'>): string[] {
  const { name, namespace = '' } = gateway.metadata
  const names = (labels: Resource['metadata']['labels'], home: string) =>
    [useWaypoint(labels, home), useWaypointCanary(labels, undefined, home)].some(
      (used) => typeof used === 'object' && used.name === name && used.namespace === namespace,
    )
  const namespaces = new Set(
    view.list(NAMESPACES).flatMap(({ metadata }) => (names(metadata.labels, metadata.name) ? metadata.name : [])),
  )
  return view.list(kind).flatMap(({ metadata }) => {
    const home = metadata.namespace ?? ''
    const isAttached =
      namespaces.has(home) || names(metadata.labels, home) || metadata.labels?.[GATEWAY_NAME_LABEL] === name
    return isAttached ? objectKey(metadata) : []
  })
}

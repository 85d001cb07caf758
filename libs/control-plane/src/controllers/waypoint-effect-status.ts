import {
  type Condition,
  conditionsOf,
  objectKey,
  type Resource,
  type RouteStatus,
  type ServiceEntry,
  setCondition,
} from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { AnyRoute } from '../gateways/route-status.ts'
import { IN_EFFECT, LOST_EFFECTS, type LostEffect, lostRouteEffect } from '../gateways/waypoint-effect.ts'
import {
  DESTINATION_RULES,
  GATEWAYS,
  type KnownType,
  NAMESPACES,
  PODS,
  REQUEST_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { attachedTo } from '../translate/dependencies.ts'
import { ROUTE_KINDS, type RouteKind } from '../translate/route-index.ts'
import { serviceHostname } from '../translate/service-info.ts'
import { isCaptured, type TranslationView } from '../translate/view.ts'
import { type Change, type Controller, forEach } from './controller.ts'

type SingleKind = keyof typeof LOST_EFFECTS

const SINGLE_KINDS = Object.keys(LOST_EFFECTS) as readonly SingleKind[]
const TARGET_KINDS = [SERVICES, SERVICE_ENTRIES] as const

/**
 * Tells the author of routes and the like that only a waypoint follows them, where there is none. Istio's own conditions
 * stay as they are: a route without a waypoint is as accepted there as any other.
 */
export class WaypointEffectStatusController implements Controller {
  readonly name = 'waypoint-effect-status'
  readonly watches: Controller['watches']
  readonly #cluster: Cluster
  readonly #view: TranslationView

  constructor(components: { cluster: Cluster; view: TranslationView }) {
    this.#cluster = components.cluster
    this.#view = components.view
    this.watches = {
      ...Object.fromEntries(
        [...ROUTE_KINDS, ...SINGLE_KINDS].map((kind) => [kind, ({ object }: Change) => [jobKey(kind, object)]]),
      ),
      ...Object.fromEntries(TARGET_KINDS.map((kind) => [kind, ({ object }: Change) => this.#about(kind, object)])),
      [PODS]: (change) => (this.#changesModes(change) ? this.#all() : []),
      [NAMESPACES]: ({ object }) =>
        TARGET_KINDS.flatMap((kind) =>
          this.#cluster.list(kind, object.metadata.name).flatMap((target) => this.#about(kind, target)),
        ),
      [GATEWAYS]: ({ object }) => [
        ...TARGET_KINDS.flatMap((kind) =>
          attachedTo(kind, object, this.#view).flatMap((key) => {
            const target = this.#cluster.get(kind, key)
            return target ? this.#about(kind, target) : []
          }),
        ),
        ...this.#cluster.list(REQUEST_AUTHENTICATIONS).map((policy) => jobKey(REQUEST_AUTHENTICATIONS, policy)),
      ],
    }
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (job) => {
      const [kind = '', key = ''] = job.split(' ')
      const isRoute = ROUTE_KINDS.some((route) => route === kind)
      return isRoute ? this.#updateRoute(kind as RouteKind, key) : this.#updateSingle(kind as SingleKind, key)
    })
  }

  #updateSingle(kind: SingleKind, key: string): Promise<unknown> {
    return this.#cluster.update(kind, key, (object: Resource) => {
      const before = conditionsOf(object)
      const conditions = this.#withEffect(before, LOST_EFFECTS[kind](object, this.#view), object)
      if (conditions === before) return object as never
      return { ...object, status: { ...(object.status as object | undefined), conditions } } as never
    })
  }

  /** The parents are there once the route's own status is. */
  #updateRoute(kind: RouteKind, key: string): Promise<unknown> {
    return this.#cluster.update(kind, key, (route: AnyRoute) => {
      const before = route.status?.parents ?? []
      const parents = before.map((parent): NonNullable<RouteStatus['parents']>[number] => {
        const lost = lostRouteEffect(route, parent.parentRef, this.#view)
        const conditions = this.#withEffect(parent.conditions ?? [], lost, route)
        return conditions === parent.conditions ? parent : { ...parent, conditions }
      })
      const isSame = parents.every((parent, index) => parent === before[index])
      return (isSame ? route : { ...route, status: { ...route.status, parents } }) as never
    })
  }

  /** What is in effect needs no word: the condition goes with its reason. */
  #withEffect(
    before: readonly Condition[],
    lost: LostEffect | undefined,
    { metadata }: Resource,
  ): readonly Condition[] {
    if (lost) {
      const finding = { type: IN_EFFECT, status: 'False' as const, ...lost }
      return setCondition(before, { ...finding, observedGeneration: metadata.generation ?? 1 }, this.#cluster.clock)
    }
    return before.some(({ type }) => type === IN_EFFECT) ? before.filter(({ type }) => type !== IN_EFFECT) : before
  }

  /** Whether the first sidecar came to a place or the last one went, or a pod became ambient, or ceased to be. */
  #changesModes(change: Change): boolean {
    const { operation, object, previous } = change
    const [after, before] = [
      operation !== 'deleted' && isCaptured(object),
      previous !== undefined && isCaptured(previous),
    ]
    return this.#view.sidecars.isTurningPoint(change) || (after !== before && this.#view.sidecars.nodes.length > 0)
  }

  #all(): string[] {
    return [...ROUTE_KINDS, ...SINGLE_KINDS].flatMap((kind) =>
      this.#cluster.list(kind).map((object) => jobKey(kind, object)),
    )
  }

  /** Jobs of what names a Service or ServiceEntry, or a host of it. */
  #about(kind: (typeof TARGET_KINDS)[number], target: Resource): string[] {
    const { routes, mesh } = this.#view
    const { name, namespace = '' } = target.metadata
    const hosts =
      kind === SERVICES
        ? [serviceHostname(name, namespace, mesh.clusterDomain)]
        : ((target as ServiceEntry).spec?.hosts ?? [])
    return [
      ...routes.attachedTo(`${target.kind} ${objectKey(target.metadata)}`).map(({ type, key }) => `${type} ${key}`),
      ...hosts.flatMap((host) => [
        ...routes.virtualServicesOf(host).map((one) => jobKey(VIRTUAL_SERVICES, one)),
        ...routes.destinationRulesOf(host).map((one) => jobKey(DESTINATION_RULES, one)),
      ]),
    ]
  }
}

function jobKey(kind: KnownType, object: Resource): string {
  return `${kind} ${objectKey(object.metadata)}`
}

import type { ListenerSet } from '@ambient-lab/api'
import { type Condition, objectKey, type ParentReference, type RouteStatus, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { type AnyRoute, foreignParents, isSameParent, routeFindings } from '../gateways/route-status.ts'
import { parentOfSet } from '../routing/route-attachment.ts'
import {
  CONFIG_MAPS,
  GATEWAY_CLASSES,
  GATEWAYS,
  LISTENER_SETS,
  NAMESPACES,
  REFERENCE_GRANTS,
  SECRETS,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
} from '../stored-kinds.ts'
import { gatewaysAdmitting, gatewaysUsing } from '../translate/gateway-dependencies.ts'
import { ofGatewayClass } from '../translate/l7-dependencies.ts'
import { ROUTE_KINDS, type RouteKind, type RouteRef } from '../translate/route-index.ts'
import type { Touched } from '../translate/translation.ts'
import type { TranslationView } from '../translate/view.ts'
import { type Change, type Controller, forEach } from './controller.ts'
import { statesOf } from './gateway-status.ts'

type ParentStatus = NonNullable<RouteStatus['parents']>[number]

/** Tells the author of a route what each of its parents makes of it. */
export class RouteStatusController implements Controller {
  readonly name = 'route-status'
  readonly watches: Controller['watches']
  readonly #cluster: Cluster
  readonly #view: TranslationView

  constructor(components: { cluster: Cluster; view: TranslationView }) {
    this.#cluster = components.cluster
    this.#view = components.view
    const onGateways = (of: (change: Change, view: TranslationView) => Touched) => (change: Change) => {
      const touched = of(change, this.#view)
      return 'keys' in touched ? [...touched.keys].flatMap((key) => this.#attachedToGateway(key)) : []
    }
    const { routes } = this.#view
    this.watches = {
      ...Object.fromEntries(
        ROUTE_KINDS.map((type) => [type, ({ object }: Change) => [jobKey({ type, key: objectKey(object.metadata) })]]),
      ),
      [GATEWAYS]: ({ object }) => this.#attachedToGateway(objectKey(object.metadata)),
      [GATEWAY_CLASSES]: onGateways(ofGatewayClass),
      [LISTENER_SETS]: (change) =>
        statesOf<ListenerSet>(change).flatMap((set) => this.#attachedToGateway(parentOfSet(set))),
      [NAMESPACES]: onGateways(gatewaysAdmitting),
      [SECRETS]: onGateways(gatewaysUsing),
      [CONFIG_MAPS]: onGateways(gatewaysUsing),
      [REFERENCE_GRANTS]: (change) => [
        ...onGateways(gatewaysUsing)(change),
        ...routes.referringInto(change.object.metadata.namespace ?? '').map(jobKey),
      ],
      [SERVICES]: ({ object }) => this.#naming(`Service ${objectKey(object.metadata)}`),
      [SERVICE_ENTRIES]: (change) => [
        ...this.#naming(`ServiceEntry ${objectKey(change.object.metadata)}`),
        ...statesOf<ServiceEntry>(change).flatMap(({ spec }) =>
          (spec?.hosts ?? []).flatMap((host) => this.#naming(`Hostname ${host}`)),
        ),
      ],
    }
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (job) => {
      const [type = '', key = ''] = job.split(' ')
      return this.#cluster.update(type as RouteKind, key, (route: AnyRoute) => this.#withStatus(route) as never)
    })
  }

  #attachedToGateway(gateway: string): string[] {
    const { routes } = this.#view
    const sets = routes.listenerSetsOf(gateway).map(({ metadata }) => `ListenerSet ${objectKey(metadata)}`)
    return [`Gateway ${gateway}`, ...sets].flatMap((parent) => routes.attachedTo(parent).map(jobKey))
  }

  #naming(id: string): string[] {
    const { routes } = this.#view
    return [...routes.attachedTo(id), ...routes.sendingTo(id)].map(jobKey)
  }

  #withStatus(route: AnyRoute): AnyRoute {
    const before = route.status?.parents ?? []
    const home = route.metadata.namespace ?? ''
    const ours = routeFindings(route, this.#view).map((found): ParentStatus => {
      const known = before.find((parent) => isOurs(parent, found, home))
      const conditions = found.conditions.reduce<readonly Condition[]>(
        (conditions, finding) => setCondition(conditions, finding, this.#cluster.clock),
        known?.conditions ?? [],
      )
      return { ...found, conditions }
    })
    const parents = [...foreignParents(route.status), ...ours]
    if (parents.length === 0 && route.status === undefined) return route
    if (JSON.stringify(parents) === JSON.stringify(before)) return route
    return { ...route, status: { ...route.status, parents } } as AnyRoute
  }
}

function isOurs(
  parent: ParentStatus,
  found: { readonly parentRef: ParentReference; readonly controllerName: string },
  home: string,
): boolean {
  return parent.controllerName === found.controllerName && isSameParent(parent.parentRef, found.parentRef, home)
}

function jobKey({ type, key }: RouteRef): string {
  return `${type} ${key}`
}

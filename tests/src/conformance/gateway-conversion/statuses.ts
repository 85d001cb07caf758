import type { BackendTlsPolicy, Gateway, GatewayClass, HttpRoute, ListenerSet, Resource } from '@ambient-lab/api'
import {
  backendTlsFindings,
  classAccepted,
  foreignParents,
  type GatewayServices,
  gatewayFindings,
  isSameParent,
  listenerSetFindings,
  routeFindings,
  type TranslationView,
} from '@ambient-lab/control-plane'

interface ConditionLike {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

interface ParentLike {
  readonly parentRef: object
  readonly controllerName: string
  readonly conditions?: readonly ConditionLike[]
}

interface AncestorLike {
  readonly ancestorRef: object
  readonly controllerName: string
  readonly conditions?: readonly ConditionLike[]
}

interface StatusLike {
  readonly ancestors?: readonly AncestorLike[]
  readonly addresses?: readonly unknown[]
  readonly attachedListenerSets?: number
  readonly conditions?: readonly ConditionLike[]
  readonly listeners?: readonly {
    readonly name: string
    readonly attachedRoutes?: number
    readonly supportedKinds?: readonly unknown[] | null
    readonly conditions?: readonly ConditionLike[]
  }[]
  readonly parents?: readonly ParentLike[]
}

const ROUTES = new Set(['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'])

/** The status that our controllers would write; undefined for kinds that they write none of. */
export function ourStatus(object: Resource, services: GatewayServices, view: TranslationView): StatusLike | undefined {
  if (object.kind === 'Gateway') return gatewayFindings(object as Gateway, services, view) as StatusLike | undefined
  if (object.kind === 'GatewayClass')
    return { conditions: [classAccepted(object as GatewayClass)].flatMap((one) => one ?? []) }
  if (object.kind === 'ListenerSet') return listenerSetFindings(object as ListenerSet, services, view) as StatusLike
  if (object.kind === 'BackendTLSPolicy')
    return { ancestors: backendTlsFindings(object as BackendTlsPolicy, view) as readonly AncestorLike[] }
  if (!ROUTES.has(object.kind)) return undefined
  const route = object as HttpRoute
  const ours = routeFindings(route, view).map((found) => ({ ...found, conditions: besideOthers(route, found) }))
  return { parents: [...foreignParents(route.status), ...ours] as readonly ParentLike[] }
}

/** As the controller writes them: beside conditions of other types that are there. */
function besideOthers(
  { metadata, status }: HttpRoute,
  found: ReturnType<typeof routeFindings>[number],
): ConditionLike[] {
  const known = status?.parents?.find(
    ({ controllerName, parentRef }) =>
      controllerName === found.controllerName && isSameParent(parentRef, found.parentRef, metadata.namespace ?? ''),
  )
  const ours = found.conditions as readonly ConditionLike[]
  const others = (known?.conditions ?? []) as readonly ConditionLike[]
  return [...others.filter(({ type }) => !ours.some((one) => one.type === type)), ...ours]
}

/** What is compared: types, statuses, reasons and their words, names and numbers; not the order. */
export function essence(status: StatusLike = {}): unknown {
  return {
    ...(status.addresses?.length && { addresses: status.addresses }),
    ...(status.attachedListenerSets && { attachedListenerSets: status.attachedListenerSets }),
    ...(status.conditions && { conditions: conditionTexts(status.conditions) }),
    ...(status.listeners?.length && {
      listeners: status.listeners.map(({ name, attachedRoutes, supportedKinds, conditions = [] }) => ({
        ...{ name, attachedRoutes, supportedKinds: supportedKinds ?? [] },
        conditions: conditionTexts(conditions),
      })),
    }),
    ...(status.ancestors && {
      ancestors: status.ancestors
        .map(({ ancestorRef, controllerName, conditions = [] }) =>
          JSON.stringify([controllerName, sorted(ancestorRef), conditionTexts(conditions)]),
        )
        .sort(),
    }),
    ...(status.parents && {
      parents: status.parents
        .map(({ parentRef, controllerName, conditions = [] }) =>
          JSON.stringify([controllerName, sorted(parentRef), conditionTexts(conditions)]),
        )
        .sort(),
    }),
  }
}

/** The tables' YAML breaks long lines, so that space is space. */
function conditionTexts(conditions: readonly ConditionLike[]): string[] {
  return conditions
    .map(({ type, status, reason, message = '' }) => `${type}=${status} ${reason}: ${message.replace(/\s+/g, ' ')}`)
    .sort()
}

function sorted(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}

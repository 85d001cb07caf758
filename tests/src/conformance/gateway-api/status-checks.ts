import {
  type Condition,
  conditionsOf,
  type Gateway,
  type GatewayStatus,
  type ParentReference,
  type Resource,
  type RouteStatus,
} from '@ambient-lab/api'
import {
  BACKEND_TLS_POLICIES,
  GATEWAY_CLASSES,
  GATEWAYS,
  GRPC_ROUTES,
  HTTP_ROUTES,
  isSameParent,
  type KnownType,
  LISTENER_SETS,
  TCP_ROUTES,
  TLS_ROUTES,
} from '@ambient-lab/control-plane'
import { same } from '../expectation.ts'
import { failed, PASSED, skipped, type Verdict } from '../judge.ts'
import type { InProcessLab } from './in-process-lab.ts'

interface WantedCondition {
  readonly type: string
  readonly status: string
  /** Empty or absent: any. */
  readonly reason?: string
}

interface WantedListener {
  readonly name: string
  readonly attachedRoutes?: number
  readonly supportedKinds?: readonly { readonly group?: string; readonly kind: string }[]
  readonly conditions?: readonly WantedCondition[]
}

/** One status check of the suite, with the arguments of its Go function. */
export interface StatusCheck {
  readonly seq: number
  readonly check: string
  readonly name?: string
  readonly gw?: { readonly gateway: string; readonly listeners?: readonly string[] }
  readonly gwRef?: { readonly gateway: string; readonly listeners?: readonly string[] }
  readonly gwNN?: string
  readonly gwName?: string
  readonly gwcName?: string
  readonly policyNN?: string
  readonly gwcNN?: string
  readonly routeNN?: string
  readonly routeNNs?: readonly string[]
  readonly routeName?: string
  readonly routeType?: string
  readonly lsNN?: string
  readonly lsName?: string
  readonly resource?: { readonly resource: string; readonly groupKind: { readonly kind: string } }
  readonly condition?: WantedCondition
  readonly conditions?: readonly WantedCondition[]
  readonly expectedCondition?: WantedCondition
  readonly listeners?: readonly WantedListener[]
  readonly listenerNames?: readonly string[]
  readonly expectedCount?: number
  readonly parents?: readonly {
    readonly parentRef: ParentReference
    readonly conditions?: readonly WantedCondition[]
  }[]
}

const ROUTE_TYPES: Readonly<Record<string, KnownType>> = {
  HTTPRoute: HTTP_ROUTES,
  GRPCRoute: GRPC_ROUTES,
  TCPRoute: TCP_ROUTES,
  TLSRoute: TLS_ROUTES,
}
const GOOD: readonly WantedCondition[] = ['Accepted', 'Programmed', 'ResolvedRefs'].map((type) => ({
  type,
  status: 'True',
}))

/** Checks a status as the official suite would, once everything has settled. */
export function judgeStatus(check: StatusCheck, lab: InProcessLab): Verdict {
  const name = check.check
  const [, routeKind] = /(HTTP|GRPC|TCP|TLS|UDP)Routes?Must/.exec(name) ?? []
  const kind = check.routeType ?? (routeKind ? `${routeKind}Route` : 'HTTPRoute')
  if (kind === 'UDPRoute') return skipped('the lab carries no UDP')
  if (name === 'BackendTLSPolicyMustHaveCondition') return policyCondition(check, lab)
  if (name === 'BackendTLSPolicyMustHaveLatestConditions') return latestPolicies(lab)
  if (/^GatewayAnd\w*RoutesMustBeAccepted$/.test(name)) return gatewayAndRoutes(check, kind, lab)
  if (name === 'RoutesAndParentMustBeAccepted') return parentAndRoutes(check, kind, lab)
  if (/RouteMustHaveResolvedRefsConditionsTrue$/.test(name)) {
    return routeCondition(kind, check.routeNN, check.gwNN, { type: 'ResolvedRefs', status: 'True' }, lab)
  }
  if (/RouteMustHaveCondition$/.test(name)) return routeCondition(kind, check.routeNN, check.gwNN, check.condition, lab)
  if (/RouteMustHaveNoAcceptedParents$/.test(name)) return noAcceptedParents(kind, check.routeName, lab)
  if (/RouteMustHaveParents$/.test(name)) return routeParents(kind, check, lab)
  return gatewayCheck(check, lab)
}

function gatewayCheck(check: StatusCheck, lab: InProcessLab): Verdict {
  const gatewayKey = check.gwNN ?? check.gwName ?? check.gwRef?.gateway ?? ''
  const gateway = lab.get(GATEWAYS, gatewayKey)
  const set = lab.get(LISTENER_SETS, check.lsNN ?? check.lsName ?? '')
  switch (check.check) {
    case 'GatewayMustHaveCondition':
      return hasConditions(gateway, [check.expectedCondition!])
    case 'GatewayMustHaveLatestConditions':
      return latestConditions(gateway)
    case 'GatewayClassMustHaveLatestConditions':
      return latestConditions(lab.get(GATEWAY_CLASSES, (check.gwcNN ?? '').replace(/^\//, '')))
    case 'GWCMustHaveAcceptedConditionAny':
      return conditionsOf(lab.get(GATEWAY_CLASSES, check.gwcName ?? '') ?? {}).some(({ type }) => type === 'Accepted')
        ? PASSED
        : failed('no condition Accepted')
    case 'GatewayStatusMustHaveListeners':
      return listenersAre(gateway, check.listeners ?? [])
    case 'ListenerSetStatusMustHaveListeners':
      return listenersAre(set, check.listeners ?? [])
    case 'WaitForGatewayAddress':
      return gateway?.status?.addresses?.length ? PASSED : failed(`no address: ${shown(gateway)}`)
    case 'GatewayMustHaveZeroRoutes':
      return same(attachedRoutes(gateway), 0)
    case 'GatewayMustHaveAttachedListeners':
      return same(
        (gateway?.status as { attachedListenerSets?: number } | undefined)?.attachedListenerSets ?? 0,
        check.expectedCount,
      )
    case 'ListenerSetMustHaveCondition':
      return hasConditions(set, [check.expectedCondition!])
    case 'GatewayListenersMustHaveConditions':
      return listenerConditions(gateway, check)
    case 'ListenerSetListenersMustHaveConditions':
      return listenerConditions(set, check)
    default:
      return skipped(`no judge for check "${check.check}"`)
  }
}

function gatewayAndRoutes({ gw, routeNNs = [] }: StatusCheck, kind: string, lab: InProcessLab): Verdict {
  const gateway = lab.get(GATEWAYS, gw?.gateway ?? '')
  if (!gateway?.status?.addresses?.length) return failed(`no address: ${shown(gateway)}`)
  const names = gw?.listeners ?? (gateway.spec?.listeners ?? []).map(({ name }) => name)
  const bad = names.flatMap((name) => missing(listenerOf(gateway, name)?.conditions, GOOD))
  if (bad.length > 0) return failed(`listeners without ${bad.join(', ')}: ${shown(gateway)}`)
  const accepted = { type: 'Accepted', status: 'True' }
  return firstFailure(routeNNs.map((route) => routeCondition(kind, route, gw?.gateway, accepted, lab)))
}

function parentAndRoutes({ resource, routeNNs = [] }: StatusCheck, kind: string, lab: InProcessLab): Verdict {
  const isSet = resource?.groupKind.kind === 'ListenerSet'
  const parent = lab.get(isSet ? LISTENER_SETS : GATEWAYS, resource?.resource ?? '')
  const good = hasConditions(parent, GOOD.slice(0, 2))
  const accepted = { type: 'Accepted', status: 'True' }
  return firstFailure([
    good,
    ...routeNNs.map((route) => routeCondition(kind, route, resource?.resource, accepted, lab)),
  ])
}

function routeCondition(
  kind: string,
  route: string | undefined,
  parent: string | undefined,
  wanted: WantedCondition | undefined,
  lab: InProcessLab,
): Verdict {
  const object = lab.get(ROUTE_TYPES[kind]!, route ?? '') as Resource | undefined
  const home = object?.metadata.namespace
  const ofParent = parentsOf(object).filter(
    ({ parentRef }) => `${parentRef.namespace ?? home}/${parentRef.name}` === parent,
  )
  const holds = ofParent.some(({ conditions }) => missing(conditions, [wanted!]).length === 0)
  return holds ? PASSED : failed(`want ${JSON.stringify(wanted)} of ${parent}\ngot  ${shown(object)}`)
}

/** Of the ancestor that is the Gateway asked about. */
function policyCondition({ policyNN = '', gwNN, condition }: StatusCheck, lab: InProcessLab): Verdict {
  const policy = lab.get(BACKEND_TLS_POLICIES, policyNN)
  const holds = policy?.status?.ancestors?.some(
    ({ ancestorRef, conditions }) =>
      `${ancestorRef.namespace ?? policy.metadata.namespace}/${ancestorRef.name}` === gwNN &&
      missing(conditions, [condition!]).length === 0,
  )
  return holds ? PASSED : failed(`want ${JSON.stringify(condition)} of ${gwNN}\ngot  ${shown(policy)}`)
}

function latestPolicies(lab: InProcessLab): Verdict {
  const stale = lab
    .list(BACKEND_TLS_POLICIES)
    .find(({ metadata, status }) =>
      status?.ancestors?.some(({ conditions = [] }) =>
        conditions.some(({ observedGeneration }) => observedGeneration !== metadata.generation),
      ),
    )
  return stale ? failed(`of generation ${stale.metadata.generation}: ${shown(stale)}`) : PASSED
}

function noAcceptedParents(kind: string, route: string | undefined, lab: InProcessLab): Verdict {
  const object = lab.get(ROUTE_TYPES[kind]!, route ?? '') as Resource | undefined
  const accepted = parentsOf(object).filter(
    ({ conditions }) => missing(conditions, [{ type: 'Accepted', status: 'True' }]).length === 0,
  )
  return accepted.length === 0 ? PASSED : failed(`accepted: ${shown(object)}`)
}

function routeParents(kind: string, { routeName = '', parents = [] }: StatusCheck, lab: InProcessLab): Verdict {
  const object = lab.get(ROUTE_TYPES[kind]!, routeName) as Resource | undefined
  const got = parentsOf(object)
  const home = object?.metadata.namespace ?? ''
  const fits = parents.every((wanted) =>
    got.some(
      ({ parentRef, conditions }) =>
        isSameParent(parentRef, wanted.parentRef, home) && missing(conditions, wanted.conditions ?? []).length === 0,
    ),
  )
  return fits && got.length === parents.length
    ? PASSED
    : failed(`want ${JSON.stringify(parents)}\ngot  ${shown(object)}`)
}

function listenersAre(object: Resource | undefined, wanted: readonly WantedListener[]): Verdict {
  const bad = wanted.flatMap(({ name, attachedRoutes: routes, supportedKinds, conditions = [] }) => {
    const listener = listenerOf(object, name)
    const kinds = (list: WantedListener['supportedKinds'] = []) => list.map(({ kind }) => kind)
    const lacksKind = kinds(supportedKinds).some((kind) => !kinds(listener?.supportedKinds).includes(kind))
    // The suite asks that nothing is supported where it expects nothing.
    const surplus = supportedKinds?.length === 0 && kinds(listener?.supportedKinds).length > 0
    return [
      ...missing(listener?.conditions, conditions),
      ...(routes !== undefined && listener?.attachedRoutes !== routes ? [`attachedRoutes ${routes}`] : []),
      ...(lacksKind || surplus ? [`supportedKinds ${JSON.stringify(supportedKinds)}`] : []),
    ].map((what) => `${name}: ${what}`)
  })
  return bad.length === 0 ? PASSED : failed(`want ${bad.join(', ')}\ngot  ${shown(object)}`)
}

function listenerConditions(
  object: Resource | undefined,
  { conditions = [], listenerNames = [] }: StatusCheck,
): Verdict {
  return listenersAre(
    object,
    listenerNames.map((name) => ({ name, conditions })),
  )
}

function attachedRoutes(gateway: Gateway | undefined): number {
  return (gateway?.status?.listeners ?? []).reduce((sum, listener) => sum + (listener.attachedRoutes ?? 0), 0)
}

function listenerOf(
  object: Resource | undefined,
  name: string,
): NonNullable<GatewayStatus['listeners']>[number] | undefined {
  return (object?.status as GatewayStatus | undefined)?.listeners?.find((listener) => listener.name === name)
}

function parentsOf(object: Resource | undefined): NonNullable<RouteStatus['parents']> {
  return (object?.status as RouteStatus | undefined)?.parents ?? []
}

function hasConditions(object: Resource | undefined, wanted: readonly WantedCondition[]): Verdict {
  const absent = missing(conditionsOf(object ?? {}), wanted)
  return absent.length === 0 ? PASSED : failed(`want ${absent.join(', ')}\ngot  ${shown(object)}`)
}

function latestConditions(object: Resource | undefined): Verdict {
  const generation = object?.metadata.generation
  const stale = conditionsOf(object ?? {}).filter(({ observedGeneration }) => observedGeneration !== generation)
  return object && stale.length === 0 ? PASSED : failed(`of generation ${generation}: ${shown(object)}`)
}

/** Texts of the conditions that are not as wanted. */
function missing(conditions: readonly Condition[] | undefined, wanted: readonly WantedCondition[]): string[] {
  return wanted.flatMap(({ type, status, reason }) => {
    const found = conditions?.find((condition) => condition.type === type)
    return found?.status === status && (!reason || found.reason === reason)
      ? []
      : [`${type}=${status} ${reason ?? ''}`.trim()]
  })
}

function firstFailure(verdicts: readonly Verdict[]): Verdict {
  return verdicts.find(({ result }) => result !== 'passed') ?? PASSED
}

function shown(object: Resource | undefined): string {
  return object ? JSON.stringify(object.status ?? {}) : 'there is no such object'
}

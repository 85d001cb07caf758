import {
  GATEWAY_GROUP,
  type GrpcRoute,
  type HttpRoute,
  type ParentReference,
  type RouteStatus,
  type TcpRoute,
  type TlsRoute,
} from '@ambient-lab/api'
import type { RouteFinding } from '../routing/backends.ts'
import { gatewayClusterNamer } from '../routing/cluster-names.ts'
import { grpcRouteFindings, httpRouteFindings } from '../routing/http-route.ts'
import { l4RouteFindings } from '../routing/l4-routes.ts'
import { attachToParent, type ParentOutcome } from '../routing/route-attachment.ts'
import type { TranslationView } from '../translate/view.ts'
import { GATEWAY_CONTROLLER } from './gateway-classes.ts'
import type { Finding } from './gateway-status.ts'

export type AnyRoute = HttpRoute | GrpcRoute | TcpRoute | TlsRoute
type ParentStatus = NonNullable<RouteStatus['parents']>[number]

/** What one parent that is ours has to say about a route. */
export interface ParentFindings {
  readonly parentRef: ParentReference
  readonly controllerName: string
  readonly conditions: readonly Finding[]
}

/** Each parent that is ours, once. Types, reasons and texts are istiod's. */
export function routeFindings(route: AnyRoute, view: TranslationView): ParentFindings[] {
  const generation = route.metadata.generation ?? 1
  return (route.spec?.parentRefs ?? []).flatMap((parentRef) => {
    const outcome = attachToParent(route, parentRef, view)
    if (!outcome) return []
    const isMesh = parentRef.kind === 'Service' || parentRef.kind === 'ServiceEntry'
    const problem = referenceFindings(route, view, !isMesh)[0]
    const conditions = [accepted(outcome, generation), resolvedRefs(problem, generation)]
    return { parentRef, controllerName: GATEWAY_CONTROLLER, conditions }
  })
}

function referenceFindings(route: AnyRoute, view: TranslationView, enforceGrants: boolean): RouteFinding[] {
  const context = { view, clusterOf: gatewayClusterNamer, enforceGrants }
  switch (route.kind) {
    case 'HTTPRoute':
      return httpRouteFindings(route as HttpRoute, context)
    case 'GRPCRoute':
      return grpcRouteFindings(route as GrpcRoute, context)
    default:
      return l4RouteFindings(route as TcpRoute | TlsRoute, context)
  }
}

function accepted(outcome: ParentOutcome, observedGeneration: number): Finding {
  if (outcome.kind === 'refused') {
    return { type: 'Accepted', status: 'False', ...outcome.finding, observedGeneration }
  }
  const { length } = outcome.attachments
  const message = length > 1 ? `Route was valid, bound to ${length} parents` : 'Route was valid'
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message, observedGeneration }
}

function resolvedRefs(problem: RouteFinding | undefined, observedGeneration: number): Finding {
  if (problem) return { type: 'ResolvedRefs', status: 'False', ...problem, observedGeneration }
  const message = 'All references resolved'
  return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message, observedGeneration }
}

/** Whether two references mean the same parent, though one says what the other leaves to the default. */
export function isSameParent(a: ParentReference, b: ParentReference, home: string): boolean {
  return identityOf(a, home) === identityOf(b, home)
}

function identityOf(
  { group = GATEWAY_GROUP, kind = 'Gateway', name, namespace, sectionName = '', port = 0 }: ParentReference,
  home: string,
): string {
  return [group, kind, namespace ?? home, name, sectionName, port].join(' ')
}

/** Parents of other controllers stay as they are; ours that the route names no more go. */
export function foreignParents(status: RouteStatus | undefined): readonly ParentStatus[] {
  return (status?.parents ?? []).filter(({ controllerName }) => controllerName !== GATEWAY_CONTROLLER)
}

import type { L4MatchAttributes, L4RouteDestination, VirtualService, VirtualServiceTlsRoute } from '@ambient-lab/api'
import type { TcpRoute } from '@ambient-lab/xds'
import type { RouteContext } from './route-context.ts'
import { destinationCluster, isInScope, type RouteScope, sourceLabelsOf } from './virtual-service.ts'

/**
 * Routes of connections: those of TLS by server name before those of plain TCP.
 * @param hostname of the service: at a waypoint a TLS match counts only if it names it; undefined at a gateway
 */
export function virtualServiceL4Routes(
  virtualServices: readonly VirtualService[],
  scope: RouteScope,
  context: RouteContext,
  hostname: string | undefined,
): TcpRoute[] {
  const tls = virtualServices.flatMap(({ metadata, spec }) =>
    (spec?.tls ?? []).flatMap(({ match, route = [] }) =>
      match
        .filter((one) => isInScope(one, scope) && names(one, hostname))
        .map((one) => l4Route(metadata, one.sniHosts, one, route, scope, context)),
    ),
  )
  const tcp = virtualServices.flatMap(({ metadata, spec }) =>
    (spec?.tcp ?? []).flatMap(({ match, route = [] }) =>
      (match?.length ? match : [{}])
        .filter((one) => isInScope(one, scope))
        .map((one) => l4Route(metadata, [], one, route, scope, context)),
    ),
  )
  return [...tls, ...tcp]
}

function names({ sniHosts }: VirtualServiceTlsRoute['match'][number], hostname: string | undefined): boolean {
  return hostname === undefined || sniHosts.includes(hostname)
}

function l4Route(
  { namespace = '', name }: VirtualService['metadata'],
  serverNames: readonly string[],
  match: L4MatchAttributes,
  destinations: readonly L4RouteDestination[],
  scope: RouteScope,
  context: RouteContext,
): TcpRoute {
  const single = destinations.length === 1
  return {
    name: `${namespace}.${name}`,
    serverNames,
    destinationCidrs: match.destinationSubnets ?? [],
    ...sourceLabelsOf(match),
    backends: destinations.flatMap(({ destination, weight = 0 }) => {
      if (!single && weight === 0) return []
      const cluster = destinationCluster(destination, namespace, scope, context)
      return [{ cluster, weight: single ? 1 : weight }]
    }),
  }
}

import type { L4MatchAttributes, L4RouteDestination, VirtualService, VirtualServiceTlsRoute } from '@ambient-lab/api'
import type { TcpRoute } from '@ambient-lab/xds'
import type { RouteContext } from './route-context.ts'
import { destinationCluster, type RouteScope } from './virtual-service.ts'

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
        .map((one) => l4Route(metadata, one.sniHosts, one.destinationSubnets ?? [], route, scope, context)),
    ),
  )
  const tcp = virtualServices.flatMap(({ metadata, spec }) =>
    (spec?.tcp ?? []).flatMap(({ match, route = [] }) =>
      (match?.length ? match : [{}])
        .filter((one) => isInScope(one, scope))
        .map((one) => l4Route(metadata, [], one.destinationSubnets ?? [], route, scope, context)),
    ),
  )
  return [...tls, ...tcp]
}

function names({ sniHosts }: VirtualServiceTlsRoute['match'][number], hostname: string | undefined): boolean {
  return hostname === undefined || sniHosts.includes(hostname)
}

function isInScope({ port, gateways, sourceLabels, sourceNamespace }: L4MatchAttributes, scope: RouteScope): boolean {
  if (Object.keys(sourceLabels ?? {}).length > 0) return false
  if (port !== undefined && port !== 0 && port !== scope.port) return false
  if (sourceNamespace && sourceNamespace !== scope.namespace) return false
  return !gateways?.length || gateways.includes(scope.gateway)
}

function l4Route(
  { namespace = '', name }: VirtualService['metadata'],
  serverNames: readonly string[],
  destinationCidrs: readonly string[],
  destinations: readonly L4RouteDestination[],
  scope: RouteScope,
  context: RouteContext,
): TcpRoute {
  const single = destinations.length === 1
  return {
    name: `${namespace}.${name}`,
    serverNames,
    destinationCidrs,
    backends: destinations.flatMap(({ destination, weight = 0 }) => {
      if (!single && weight === 0) return []
      const cluster = destinationCluster(destination, namespace, scope, context)
      return [{ cluster, weight: single ? 1 : weight }]
    }),
  }
}

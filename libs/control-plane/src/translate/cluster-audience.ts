import type { CLUSTER_TYPE } from '@ambient-lab/xds'
import { serviceClusters } from '../routing/clusters.ts'
import { providerHost } from '../routing/ext-authz.ts'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { rateLimitHosts } from '../routing/rate-limits.ts'
import { type RouteTarget, targetReference } from '../routing/targets.ts'
import { GATEWAYS } from '../stored-kinds.ts'
import type { Translated } from './translation.ts'
import type { TranslationView } from './view.ts'

/**
 * The clusters of a service: waypoints' if it has one or something routes to it, gateways' if something routes to it,
 * and those of sidecars in any case.
 * Each for the nodes that run such a proxy.
 */
export function clustersOfTarget(
  target: RouteTarget,
  hasWaypoint: boolean,
  view: TranslationView,
): Translated<typeof CLUSTER_TYPE>[] {
  const isSentTo =
    view.routes.sendingTo(targetReference(target)).length > 0 ||
    view.routes.sendingTo(`Hostname ${target.hostname}`).length > 0 ||
    view.routes.virtualServicesTo(target.hostname).length > 0
  const waypoints = nodesRunning('waypoint', view)
  const gateways = nodesRunning('gateway', view)
  // A provider is asked by all at its outbound name, as in Istio. Sidecars send to every service.
  const outbound = [
    ...(isProvider(target, view) ? [...waypoints, ...gateways] : isSentTo ? gateways : []),
    ...view.sidecars.nodes,
  ]
  return [
    ...clustersFor(target, 'waypoint', hasWaypoint || isSentTo ? waypoints : [], view),
    ...clustersFor(target, 'gateway', [...new Set(outbound)], view),
  ]
}

function clustersFor(
  target: RouteTarget,
  proxies: 'waypoint' | 'gateway',
  nodes: readonly string[],
  view: TranslationView,
): Translated<typeof CLUSTER_TYPE>[] {
  if (nodes.length === 0) return []
  return serviceClusters(target, proxies, view).map((resource) => ({ name: resource.name, resource, nodes }))
}

/** Of external authorization, or of rate limits. */
function isProvider({ hostname }: RouteTarget, view: TranslationView): boolean {
  if (rateLimitHosts(view).has(hostname)) return true
  return view.mesh.extensionProviders.some(({ envoyExtAuthzHttp, envoyExtAuthzGrpc }) => {
    const settings = envoyExtAuthzHttp ?? envoyExtAuthzGrpc
    return settings !== undefined && providerHost(settings, view) === hostname
  })
}

/** Nodes with a replica of any such proxy. */
export function nodesRunning(proxies: 'waypoint' | 'gateway', view: TranslationView): string[] {
  const nodes = view.routes.runningGateways.flatMap((key) => {
    const gateway = view.get(GATEWAYS, key)
    return gateway && classOfGateway(gateway, view)?.proxy === proxies ? view.routes.nodesOf(key) : []
  })
  return [...new Set(nodes)]
}

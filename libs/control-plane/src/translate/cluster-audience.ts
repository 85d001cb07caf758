import type { CLUSTER_TYPE } from '@ambient-lab/xds'
import { serviceClusters } from '../routing/clusters.ts'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { type RouteTarget, targetReference } from '../routing/targets.ts'
import { GATEWAYS } from '../stored-kinds.ts'
import type { Translated } from './translation.ts'
import type { TranslationView } from './view.ts'

/**
 * The clusters of a service: waypoints' if it has one or something routes to it, gateways' if something routes to it.
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
  return (['waypoint', 'gateway'] as const).flatMap((proxies) => {
    if (!isSentTo && !(hasWaypoint && proxies === 'waypoint')) return []
    const nodes = nodesRunning(proxies, view)
    if (nodes.length === 0) return []
    return serviceClusters(target, proxies, view).map((resource) => ({ name: resource.name, resource, nodes }))
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

import { conditionsOf, type Gateway } from '@ambient-lab/api'
import { isWaypoint } from '../waypoint.ts'
import { tabulate } from './tabulate.ts'

const GAP = 5

/**
 * `istioctl waypoint status`: every condition of every waypoint.
 * @param namespace the one to show; undefined: all
 */
export function waypointStatusText(gateways: readonly Gateway[], namespace: string | undefined): string {
  const waypoints = gateways
    .filter(
      (gateway) => isWaypoint(gateway) && (namespace ?? gateway.metadata.namespace) === gateway.metadata.namespace,
    )
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
  if (waypoints.length === 0) return 'No waypoints found.\n'
  return tabulate([['NAMESPACE', 'NAME', 'STATUS', 'TYPE', 'REASON', 'MESSAGE'], ...waypoints.flatMap(rowsOf)], GAP)
}

function rowsOf(gateway: Gateway): string[][] {
  const { name, namespace = '' } = gateway.metadata
  return conditionsOf(gateway).map(({ type, status, reason = '', message = '' }) => {
    return [namespace, name, status, type, reason, message]
  })
}

function sortKey({ metadata }: Gateway): string {
  return `${metadata.namespace ?? ''} ${metadata.name}`
}

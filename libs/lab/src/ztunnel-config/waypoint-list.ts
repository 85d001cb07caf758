import { type Gateway, getCondition } from '@ambient-lab/api'
import { isWaypoint } from '../waypoint.ts'
import { tabulate } from './tabulate.ts'

/**
 * `istioctl waypoint list`.
 * @param namespace the one to list; undefined: all, with a column that says which
 */
export function waypointListText(gateways: readonly Gateway[], namespace: string | undefined): string {
  const waypoints = gateways
    .filter(
      (gateway) => isWaypoint(gateway) && (namespace ?? gateway.metadata.namespace) === gateway.metadata.namespace,
    )
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
  if (waypoints.length === 0) return 'No waypoints found.\n'
  const withNamespace = (of: string, cells: string[]) => (namespace === undefined ? [of, ...cells] : cells)
  return tabulate(
    [
      withNamespace('NAMESPACE', ['NAME', 'REVISION', 'TRAFFIC TYPE', 'PROGRAMMED']),
      ...waypoints.map((gateway) => withNamespace(gateway.metadata.namespace ?? '', cellsOf(gateway))),
    ],
    5,
  )
}

function cellsOf(gateway: Gateway): string[] {
  const { name, labels } = gateway.metadata
  return [
    name,
    labels?.['istio.io/rev'] ?? 'default',
    // The label, which istioctl shows, not what holds without one.
    labels?.['istio.io/waypoint-for'] ?? 'none',
    getCondition(gateway, 'Programmed')?.status ?? 'Unknown',
  ]
}

function sortKey({ metadata }: Gateway): string {
  return `${metadata.namespace ?? ''} ${metadata.name}`
}

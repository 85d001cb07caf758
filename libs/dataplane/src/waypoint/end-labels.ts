import type { Workload } from '@ambient-lab/xds'
import { identityText } from '../ztunnel/connection-record.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import type { RequestRecord } from './request-record.ts'

/** Who reports: a waypoint, or what a sidecar and a gateway are to Istio's dashboards. */
export type Reporter = 'waypoint' | 'source' | 'destination'

/** Istio's standard labels of the two ends of a request or a connection, in its order. */
export const END_LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
] as const

export type EndLabels = Readonly<Record<(typeof END_LABELS)[number], string>>

export function endLabels(reporter: Reporter, { peer, destination }: RequestRecord): EndLabels {
  const { identity, workload: source, service } = peer
  return {
    reporter,
    source_workload: orUnknown(source && (source.workloadName || source.name)),
    source_canonical_service: orUnknown(source?.canonicalName),
    source_canonical_revision: orUnknown(source?.canonicalRevision),
    source_workload_namespace: orUnknown(source?.namespace),
    source_principal: orUnknown(peer.side === 'outbound' ? ownIdentity(source) : identityText(source, identity)),
    source_app: orUnknown(source?.canonicalName),
    source_version: orUnknown(source?.canonicalRevision),
    source_cluster: orUnknown(source?.clusterId),
    destination_workload: orUnknown(destination && (destination.workloadName || destination.name)),
    destination_workload_namespace: orUnknown(destination?.namespace),
    destination_principal: orUnknown(
      destination?.tunnelProtocol === 'HBONE' ? factsOf(destination).identity : undefined,
    ),
    destination_app: orUnknown(destination?.canonicalName),
    destination_version: orUnknown(destination?.canonicalRevision),
    destination_service: orUnknown(service?.hostname),
    destination_canonical_service: orUnknown(destination?.canonicalName),
    destination_canonical_revision: orUnknown(destination?.canonicalRevision),
    destination_service_name: orUnknown(service?.name),
    destination_service_namespace: orUnknown(service?.namespace),
    destination_cluster: orUnknown(destination?.clusterId),
  }
}

/** A sidecar proves itself to whom it connects. */
function ownIdentity(source: Workload | undefined): string | undefined {
  return source && factsOf(source).identity
}

/** `connection_security_policy`, as the one who is connected to sees it. */
export function securityPolicy({ peer }: RequestRecord): 'mutual_tls' | 'unknown' {
  return peer.identity ? 'mutual_tls' : 'unknown'
}

function orUnknown(value: string | undefined): string {
  return value || 'unknown'
}

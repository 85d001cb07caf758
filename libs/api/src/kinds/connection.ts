import { formatAge, formatBytes } from '@ambient-lab/std'
import { shortIdentity } from '../cells.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, object } from '../schema.ts'

/** One peer of a connection; empty where unknown. */
export interface ConnectionPeer {
  readonly address: string
  readonly workload: string
  readonly namespace: string
  /** SPIFFE id. */
  readonly identity: string
}

/** One half of a connection as a ztunnel saw it: ConnectionView of the discovery messages. */
export interface ConnectionSpec {
  readonly id: string
  /** Shared by both halves. */
  readonly traceId: string
  readonly node: string
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: 'HBONE' | 'TCP'
  readonly source: ConnectionPeer
  readonly destination: ConnectionPeer & { readonly hboneAddress: string; readonly service: string }
  readonly state: 'open' | 'closed' | 'failed'
  readonly responseFlags: string
  readonly error: string
  readonly openedAtMs: number
  readonly durationMs: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/** Computed on request from what the agents answer; never stored. */
export type Connection = Resource<ConnectionSpec>

export default defineKind<Connection>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Connection',
  plural: 'connections',
  shortNames: ['con'],
  categories: ['ambient-lab'],
  scope: 'Cluster',
  virtual: true,
  statusSubresource: false,
  bareColumns: true,
  schema: object({ spec: ANY_OBJECT }),
  columns: [
    { title: 'WORKLOAD', value: localWorkload },
    { title: 'DIRECTION', value: ({ spec }) => (spec?.direction === 'inbound' ? 'Inbound' : 'Outbound') },
    { title: 'LOCAL', value: ({ spec }) => ends(spec).local?.address || '-' },
    { title: 'REMOTE', value: ({ spec }) => ends(spec).remote?.address || '-' },
    { title: 'REMOTE TARGET', value: remoteTarget },
    { title: 'PROTOCOL', value: ({ spec }) => spec?.protocol ?? '-' },
    { title: 'STATE', value: ({ spec }) => spec?.state ?? '-' },
    { title: 'FLAGS', value: ({ spec }) => spec?.responseFlags || '-' },
    { title: 'SRC ID', value: ({ spec }) => shortIdentity(spec?.source.identity) },
    { title: 'DST ID', value: ({ spec }) => shortIdentity(spec?.destination.identity) },
    { title: 'AGE', value: ({ spec }) => formatAge(spec?.durationMs ?? 0) },
    { title: 'SENT', wide: true, value: ({ spec }) => formatBytes(spec?.bytesSent ?? 0) },
    { title: 'RECEIVED', wide: true, value: ({ spec }) => formatBytes(spec?.bytesReceived ?? 0) },
    { title: 'NODE', wide: true, value: ({ spec }) => spec?.node ?? '-' },
    { title: 'CONN', wide: true, value: ({ metadata }) => metadata.name },
    { title: 'ERROR', wide: true, value: ({ spec }) => spec?.error || '-' },
  ],
})

/** The workload is local to the ztunnel that reports: the destination's of an inbound half, else the source's. */
function ends(spec: ConnectionSpec | undefined): { local?: ConnectionPeer; remote?: ConnectionPeer } {
  if (!spec) return {}
  const { source, destination } = spec
  return spec.direction === 'inbound' ? { local: destination, remote: source } : { local: source, remote: destination }
}

function localWorkload({ spec }: Connection): string {
  const { local } = ends(spec)
  return local?.workload ? `${local.workload}.${local.namespace}` : '-'
}

/** The service that was dialled, or the workload where none was. */
function remoteTarget({ spec }: Connection): string {
  if (spec?.direction !== 'outbound') return '-'
  const { service, workload, namespace } = spec.destination
  return service || (workload ? `${workload}.${namespace}` : '-')
}

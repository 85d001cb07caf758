import { formatBytes } from '@ambient-lab/std'
import { shortIdentity } from '../cells.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, object } from '../schema.ts'

/** Who talks to whom as one ztunnel counted it: EdgeCounters of the discovery messages. */
export interface EdgeSpec {
  readonly node: string
  readonly reporter: 'source' | 'destination'
  readonly sourceWorkload: string
  readonly sourceNamespace: string
  readonly sourcePrincipal: string
  readonly destinationWorkload: string
  readonly destinationNamespace: string
  readonly destinationPrincipal: string
  readonly destinationService: string
  readonly connectionSecurityPolicy: 'mutual_tls' | 'unknown'
  readonly opened: number
  readonly closed: number
  readonly failed: number
  readonly denied: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/** Computed on request from what the agents answer; never stored. */
export type Edge = Resource<EdgeSpec>

export default defineKind<Edge>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Edge',
  plural: 'edges',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  virtual: true,
  statusSubresource: false,
  bareColumns: true,
  schema: object({ spec: ANY_OBJECT }),
  columns: [
    { title: 'SRC', value: ({ spec }) => workload(spec?.sourceWorkload, spec?.sourceNamespace) },
    { title: 'DST', value: ({ spec }) => workload(spec?.destinationWorkload, spec?.destinationNamespace) },
    { title: 'SERVICE', value: ({ spec }) => spec?.destinationService || '-' },
    { title: 'REPORTER', value: ({ spec }) => spec?.reporter ?? '-' },
    { title: 'SECURED', value: ({ spec }) => (spec?.connectionSecurityPolicy === 'mutual_tls' ? 'mTLS' : 'PLAIN') },
    { title: 'CONN', type: 'integer', value: ({ spec }) => Math.max(0, (spec?.opened ?? 0) - (spec?.closed ?? 0)) },
    { title: 'OPENED', type: 'integer', value: ({ spec }) => spec?.opened ?? 0 },
    { title: 'FAILED', type: 'integer', value: ({ spec }) => spec?.failed ?? 0 },
    { title: 'DENIED', type: 'integer', value: ({ spec }) => spec?.denied ?? 0 },
    { title: 'SENT', value: ({ spec }) => formatBytes(spec?.bytesSent ?? 0) },
    { title: 'RECEIVED', value: ({ spec }) => formatBytes(spec?.bytesReceived ?? 0) },
    { title: 'SRC ID', wide: true, value: ({ spec }) => shortIdentity(spec?.sourcePrincipal) },
    { title: 'DST ID', wide: true, value: ({ spec }) => shortIdentity(spec?.destinationPrincipal) },
    { title: 'NODE', wide: true, value: ({ spec }) => spec?.node ?? '-' },
  ],
})

function workload(name: string | undefined, namespace: string | undefined): string {
  return name ? `${name}${namespace ? `.${namespace}` : ''}` : '-'
}

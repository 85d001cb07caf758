import { formatAge } from '@ambient-lab/std'
import { shortIdentity } from '../cells.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, object } from '../schema.ts'
import type { ConnectionPeer } from './connection.ts'

/** One request as an L7 proxy remembers it: RequestView of the discovery messages. */
export interface RequestSpec {
  /** `x-request-id`, which the hops of one call may share. */
  readonly id: string
  /** Of the replica that remembers it: its pod's uid, and its own number for the request. */
  readonly uid: string
  readonly serial: number
  readonly node: string
  /** `namespace/name` of the Gateway. */
  readonly proxy: string
  readonly kind: 'waypoint' | 'gateway' | 'sidecar' | 'east-west'
  readonly atMs: number
  readonly source: ConnectionPeer & { readonly uid: string }
  readonly destination: { readonly address: string; readonly service: string }
  readonly method: string
  readonly authority: string
  /** Without its query. */
  readonly path: string
  readonly route: string
  readonly state: 'open' | 'answered' | 'refused'
  /** 0 while there is none. */
  readonly status: number
  readonly responseFlags: string
  readonly details: string
  readonly hint: string
  readonly isReviewed: boolean
}

/** Computed on request from what the proxies remember; never stored. */
export type Request = Resource<RequestSpec>

export default defineKind<Request>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Request',
  plural: 'requests',
  shortNames: ['req'],
  categories: ['ambient-lab'],
  scope: 'Cluster',
  virtual: true,
  statusSubresource: false,
  bareColumns: true,
  schema: object({ spec: ANY_OBJECT }),
  columns: [
    { title: 'AGE', value: ({ spec }, nowMs) => formatAge(Math.max(0, nowMs - (spec?.atMs ?? nowMs))) },
    { title: 'CALLER', value: callerOf },
    { title: 'METHOD', value: ({ spec }) => spec?.method ?? '-' },
    { title: 'HOST', value: ({ spec }) => spec?.authority || '-' },
    { title: 'PATH', value: ({ spec }) => spec?.path ?? '-' },
    { title: 'CODE', value: ({ spec }) => spec?.status || '-' },
    { title: 'FLAGS', value: ({ spec }) => spec?.responseFlags || '-' },
    { title: 'DETAILS', value: ({ spec }) => spec?.details || '-' },
    { title: 'AT', value: ({ spec }) => spec?.proxy ?? '-' },
    { title: 'REQUEST', value: ({ metadata }) => metadata.name },
    { title: 'STATE', wide: true, value: ({ spec }) => spec?.state ?? '-' },
    { title: 'ROUTE', wide: true, value: ({ spec }) => spec?.route || '-' },
    { title: 'NODE', wide: true, value: ({ spec }) => spec?.node ?? '-' },
    { title: 'SRC ID', wide: true, value: ({ spec }) => shortIdentity(spec?.source.identity) },
  ],
})

/** A workload of the mesh, or an address that nobody knows. */
function callerOf({ spec }: Request): string {
  if (!spec) return '-'
  const { workload, namespace, address } = spec.source
  return workload ? `${workload}.${namespace}` : address
}

import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, object } from '../schema.ts'

export interface TrustRootSpec {
  /** As openssl writes it: `O=cluster.local, CN=Ambient Lab root`. */
  readonly subject: string
  /** RFC 3339. */
  readonly notAfter: string
  /** `Signing`: the mesh's certificates are signed below it; `Trusted`: some may be still, or will be. */
  readonly state: 'Signing' | 'Trusted'
  /** Certificates of workloads and proxies that lead to it. */
  readonly certificates: number
  /** Holders of a certificate that believe it. */
  readonly trustedBy: number
  /** Holders of a certificate that there are. */
  readonly holders: number
}

/** A root that the mesh trusts, named by the first 64 bits of its SHA-256. Computed on request; never stored. */
export type TrustRoot = Resource<TrustRootSpec>

export default defineKind<TrustRoot>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'TrustRoot',
  plural: 'trustroots',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  virtual: true,
  statusSubresource: false,
  schema: object({ spec: ANY_OBJECT }),
  columns: [
    { title: 'STATE', value: ({ spec }) => spec?.state ?? '-' },
    { title: 'CERTIFICATES', type: 'integer', value: ({ spec }) => spec?.certificates ?? 0 },
    { title: 'TRUSTED BY', value: ({ spec }) => `${spec?.trustedBy ?? 0}/${spec?.holders ?? 0}` },
    { title: 'NOT AFTER', value: ({ spec }) => spec?.notAfter ?? '-' },
    { title: 'SUBJECT', value: ({ spec }) => spec?.subject ?? '-' },
  ],
})

import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, integer, object, string } from '../schema.ts'

export interface CertificateRevocationSpec {
  /** Of certificates that the mesh's authority signed; hex. */
  readonly serialNumbers: readonly string[]
}

export interface CertificateRevocationStatus {
  /** How many certificates of the signing authority are taken back now. */
  readonly revoked: number
}

/**
 * Takes certificates of workloads back: create-only. The list ends in the Secret `cacerts`, where istiod looks as well, and
 * closes what stands with such a certificate.
 */
export type CertificateRevocation = Resource<CertificateRevocationSpec, CertificateRevocationStatus>

export default defineKind<CertificateRevocation>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'CertificateRevocation',
  plural: 'certificaterevocations',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object(
        {
          serialNumbers: array(string({ pattern: '^([0-9A-Fa-f]{2}){1,20}$', maxLength: 40 }), {
            minItems: 1,
            maxItems: 1000,
          }),
        },
        { required: ['serialNumbers'] },
      ),
      status: object({ revoked: integer() }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [{ title: 'REVOKED', type: 'integer', value: ({ status }) => status?.revoked ?? 0 }],
})

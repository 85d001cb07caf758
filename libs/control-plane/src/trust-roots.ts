import type { TrustRoot } from '@ambient-lab/api'
import { shortFingerprint } from '@ambient-lab/pki'
import type { VirtualResource } from './api-server/index.ts'
import { certificateHolders } from './certificate-holders.ts'
import type { Cluster } from './cluster.ts'
import type { MeshAuthority } from './mesh-authority.ts'

/** Answers which roots are trusted, by whom, and how many certificates still lead to each. */
export function trustRoots(components: {
  readonly cluster: Cluster
  readonly mesh: Pick<MeshAuthority, 'current'>
}): VirtualResource {
  return {
    list: async ({ name }) => {
      const { authority } = components.mesh.current
      const holders = certificateHolders(components.cluster)
      const items = authority.bundle.roots.map((root): TrustRoot => {
        const fingerprint = shortFingerprint(root)
        return {
          apiVersion: 'ambient.lab/v1',
          kind: 'TrustRoot',
          metadata: { name: fingerprint },
          spec: {
            subject: root.subject.replaceAll('\n', ', '),
            notAfter: root.validToDate.toISOString(),
            state: root.fingerprint256 === authority.root.fingerprint256 ? 'Signing' : 'Trusted',
            certificates: holders.filter(({ certificate }) => certificate.root === fingerprint).length,
            trustedBy: holders.filter(({ certificate }) => certificate.trusts?.includes(fingerprint)).length,
            holders: holders.length,
          },
        }
      })
      return { items: items.filter(({ metadata }) => name === undefined || metadata.name === name) }
    },
  }
}

import type { Pod, PodCertificate } from '@ambient-lab/api'
import { objectKey } from '@ambient-lab/api'
import type { Cluster } from './cluster.ts'
import { PODS } from './stored-kinds.ts'

export interface CertificateHolder {
  /** `namespace/name` of the pod. */
  readonly pod: string
  readonly certificate: PodCertificate
}

/** Workloads and proxies that hold a certificate, as their agents told last. Sorted by pod. */
export function certificateHolders(cluster: Cluster): CertificateHolder[] {
  return cluster.list(PODS).flatMap((pod: Pod) => {
    const certificate = pod.status?.ambientLab?.certificate
    return certificate?.state === 'Available' ? [{ pod: objectKey(pod.metadata), certificate }] : []
  })
}

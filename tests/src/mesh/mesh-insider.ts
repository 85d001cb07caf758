import { join } from 'node:path'
import { loadOrCreateAuthority } from '@ambient-lab/control-plane'
import { type CertificateAuthority, createCsr, formatSpiffeId, generateKeyPair, X509Svid } from '@ambient-lab/pki'
import { systemClock } from '@ambient-lab/std'
import type { AmbientLab } from '@ambient-lab/testing/mesh'

const TRUST_DOMAIN = 'cluster.local'

/** The lab's own authority, as somebody has it who has stolen its folder. */
export function stolenAuthority(lab: AmbientLab): CertificateAuthority {
  return loadOrCreateAuthority(join(lab.folder, 'control-plane', 'ca'), systemClock, TRUST_DOMAIN)
}

/** A certificate that nobody in the lab asked for: of service account `default`. */
export function forgedSvid(authority: CertificateAuthority, namespace: string, bundle = authority.bundle): X509Svid {
  const id = { trustDomain: TRUST_DOMAIN, namespace, serviceAccount: 'default' }
  const { privateKey, publicKey } = generateKeyPair()
  const { chainPem } = authority.signWorkload(createCsr({ privateKey, publicKey }, { uri: formatSpiffeId(id) }))
  return new X509Svid({ chainPem, privateKey, bundle })
}

/** How a tunnel names the pod that it means. */
export function serverNameOf(podIp: unknown, namespace: string): string {
  return `${String(podIp).replaceAll('.', '-')}.${namespace}.pod.cluster.local`
}

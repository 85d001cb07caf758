import type { CertificateRevocation } from '@ambient-lab/api'
import { parseRevocationLists } from '@ambient-lab/pki'
import type { CreateHandler } from './api-server/index.ts'
import type { CaCerts } from './ca-certs.ts'
import type { MeshAuthority } from './mesh-authority.ts'

/** Answers CertificateRevocations: signs a list that names what was taken back before, and these. */
export function certificateRevocations(mesh: MeshAuthority): CreateHandler {
  return async ({ object, dryRun }) => {
    const revocation = object as CertificateRevocation
    const revoke = (current: CaCerts) => withRevoked(current, revocation.spec!.serialNumbers)
    if (!dryRun) await mesh.write(revoke)
    const { revocationLists, authority } = dryRun ? revoke(mesh.current) : mesh.current
    const own = revocationLists.find(({ issuer }) => issuer.fingerprint256 === authority.signer.fingerprint256)
    return { ...revocation, status: { revoked: own?.serialNumbers.size ?? 0 } }
  }
}

function withRevoked(current: CaCerts, serialNumbers: readonly string[]): CaCerts {
  const { authority, revocationLists } = current
  const isOwn = ({ issuer }: CaCerts['revocationLists'][number]) =>
    issuer.fingerprint256 === authority.signer.fingerprint256
  const before = revocationLists.filter(isOwn).flatMap((list) => [...list.serialNumbers])
  const revoked = new Set([...before, ...serialNumbers.map((serial) => serial.toUpperCase())])
  if (revoked.size === before.length) return current
  const lists = parseRevocationLists(authority.revocationList([...revoked]), [authority.signer])
  return { ...current, revocationLists: [...revocationLists.filter((list) => !isOwn(list)), ...lists] }
}

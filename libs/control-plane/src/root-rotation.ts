import type { RootRotation, RootRotationStep } from '@ambient-lab/api'
import { CertificateAuthority, shortFingerprint, TrustBundle } from '@ambient-lab/pki'
import { type CreateHandler, conflict } from './api-server/index.ts'
import { type CaCerts, listIssuers } from './ca-certs.ts'
import { type CertificateHolder, certificateHolders } from './certificate-holders.ts'
import type { Cluster } from './cluster.ts'
import type { MeshAuthority } from './mesh-authority.ts'

export interface RootRotationServiceComponents {
  readonly cluster: Cluster
  readonly mesh: MeshAuthority
}

const RESOURCE = { group: 'ambient.lab', resource: 'rootrotations' }
/** Pods that a refusal names. */
const NAMED_MAX = 5

/**
 * Answers RootRotations: between two roots lie a time in which both are trusted and the old one signs, and one in which
 * both are trusted and the new one signs. A step that would cut somebody off is refused and says whom, unless forced; one
 * that has been taken already changes nothing.
 */
export class RootRotationService {
  readonly #components: RootRotationServiceComponents

  constructor(components: RootRotationServiceComponents) {
    this.#components = components
  }

  /** @throws StatusError 409 when it is not yet time for the step */
  readonly create: CreateHandler = async ({ object, dryRun }) => {
    const rotation = object as RootRotation
    const { step, force = false } = rotation.spec!
    const { mesh } = this.#components
    const take = (current: CaCerts) => this.#take(step, current, force)
    if (!dryRun) await mesh.write(take)
    const { authority } = dryRun ? take(mesh.current) : mesh.current
    const trusted = authority.bundle.roots.map(shortFingerprint)
    return { ...rotation, status: { signing: shortFingerprint(authority.root), trusted } }
  }

  #take(step: RootRotationStep, current: CaCerts, force: boolean): CaCerts {
    if (step === 'Trust') return this.#trust(current)
    const holders = force ? [] : certificateHolders(this.#components.cluster)
    return step === 'Sign' ? sign(current, holders) : retire(current, holders)
  }

  #trust(current: CaCerts): CaCerts {
    // Under way, before its second step or before its third.
    if (current.next || current.former.length > 0) return current
    const { clock } = this.#components.cluster
    const { authority } = current
    const generation = new Date(clock.now()).toISOString()
    const next = CertificateAuthority.create({ clock }, { trustDomain: authority.trustDomain, generation })
    const bundle = authority.bundle.union(next.bundle)
    return { ...current, authority: authority.trusting(bundle), next: next.trusting(bundle) }
  }
}

function sign(current: CaCerts, holders: readonly CertificateHolder[]): CaCerts {
  const { authority, former, next } = current
  if (!next) {
    if (former.length > 0) return current
    throw conflict(RESOURCE, 'Sign', 'there is no root yet that could sign: step Trust comes first')
  }
  const root = shortFingerprint(next.root)
  const before = holders.filter(({ certificate }) => !certificate.trusts?.includes(root))
  refuseFor(before, 'Sign', `not everybody trusts root ${root} yet`)
  return { ...current, authority: next, former: [authority.signer, ...former], next: undefined }
}

function retire(current: CaCerts, holders: readonly CertificateHolder[]): CaCerts {
  const { authority, next } = current
  if (next) throw conflict(RESOURCE, 'Retire', 'the new root does not sign yet: step Sign comes first')
  const root = shortFingerprint(authority.root)
  const behind = holders.filter(({ certificate }) => certificate.root !== root)
  refuseFor(behind, 'Retire', `not all certificates lead to root ${root} yet`)
  if (authority.bundle.roots.length === 1 && current.former.length === 0) return current
  const bundle = new TrustBundle(authority.trustDomain, [authority.root])
  const remaining = { authority: authority.trusting(bundle), former: [] }
  const issuers = new Set(listIssuers(remaining).map(({ fingerprint256 }) => fingerprint256))
  const revocationLists = current.revocationLists.filter(({ issuer }) => issuers.has(issuer.fingerprint256))
  return { ...remaining, revocationLists, next: undefined }
}

function refuseFor(holders: readonly CertificateHolder[], step: RootRotationStep, why: string): void {
  if (holders.length === 0) return
  const named = holders.slice(0, NAMED_MAX).map(({ pod }) => pod)
  const more = holders.length > named.length ? ` and ${holders.length - named.length} more` : ''
  throw conflict(RESOURCE, step, `${why}: ${named.join(', ')}${more}`)
}

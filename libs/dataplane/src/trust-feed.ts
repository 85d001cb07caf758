import {
  parseCertificates,
  parseRevocationLists,
  type RevocationList,
  type Revocations,
  type SvidSource,
  shortFingerprint,
  TrustBundle,
} from '@ambient-lab/pki'
import { type Clock, errorMessage } from '@ambient-lab/std'
import type { ResourceError, Upsert } from './state/proxy-state-holder.ts'
import { checkTrust } from './state/resource-checks.ts'

export interface TrustFeedComponents {
  readonly clock: Clock
  readonly svids: SvidSource
  readonly revocations: Revocations
}

/** Names our lists among those of other sources. */
const SOURCE = 'control plane'

/** Carries the control plane's word on trust to those who act on it: roots, lists of what was taken back, a new signer. */
export class TrustFeed {
  readonly #components: TrustFeedComponents

  constructor(components: TrustFeedComponents) {
    this.#components = components
  }

  /** A trust that is withdrawn changes nothing: somebody has to be believed. @returns what cannot be followed, and why */
  apply(upserts: readonly Upsert[]): readonly ResourceError[] {
    return upserts.flatMap(({ name, resource }) => {
      try {
        this.#follow(name, resource)
        return []
      } catch (error) {
        return { name, reason: errorMessage(error) }
      }
    })
  }

  /** Everything is read before anything takes effect. @throws CodedError, for the NACK */
  #follow(name: string, resource: unknown): void {
    const { clock, svids, revocations } = this.#components
    const { rootsPem, authoritiesPem, revocationListsPem, signer } = checkTrust(name, resource)
    const bundle = TrustBundle.parse(name, rootsPem)
    const lists: RevocationList[] = []
    if (revocationListsPem !== '') {
      const below = authoritiesPem.length > 0 ? parseCertificates(authoritiesPem) : []
      lists.push(...parseRevocationLists(revocationListsPem, [...below, ...bundle.roots]))
    }
    svids.trust(bundle)
    revocations.replace(SOURCE, lists)
    // Answers of the former signer came before this push, but whoever waits for them may not have run yet.
    clock.schedule(0, () => this.#replaceOthers(signer))
  }

  /** In the background, while the old ones serve. */
  #replaceOthers(signer: string): void {
    const { svids } = this.#components
    for (const { id, state } of svids.states()) {
      if (state.phase !== 'Available') continue
      const { chain, bundle } = state.svid
      const issuer = chain[1] ?? bundle.issuerOf(chain[0]!)
      if (!issuer || shortFingerprint(issuer) !== signer) svids.refresh(id)
    }
  }
}

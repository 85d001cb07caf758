/**
 * Whom the workloads of the mesh believe, and who signs for them: one resource, named as the trust domain. Roots are told
 * to everybody at once, before certificates that lead to them are signed.
 */
export interface Trust {
  readonly trustDomain: string
  /** Every root that is trusted now; PEM, one an element. */
  readonly rootsPem: readonly string[]
  /** Short fingerprint of the certificate that signs now: those that another one signed are replaced. */
  readonly signer: string
  /** Below the roots: whose revocation lists are believed; PEM, one an element. */
  readonly authoritiesPem: readonly string[]
  /** Revocation lists, PEM; empty when there are none. */
  readonly revocationListsPem: string
}

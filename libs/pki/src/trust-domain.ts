import { pkiError } from './errors.ts'
import { TRUST_DOMAIN_BYTES_MAX } from './limits.ts'

/** Istio's default. */
export const TRUST_DOMAIN_DEFAULT = 'cluster.local'

const TRUST_DOMAIN = /^[a-z0-9._-]+$/

/** Lower case letters, digits, dot, dash, underscore; at most 255. */
export function isTrustDomain(text: string): boolean {
  return text.length <= TRUST_DOMAIN_BYTES_MAX && TRUST_DOMAIN.test(text)
}

/**
 * @throws CodedError INVALID_TRUST_DOMAIN
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#21-trust-domain
 */
export function parseTrustDomain(text: string): string {
  if (!isTrustDomain(text)) {
    throw pkiError(
      'INVALID_TRUST_DOMAIN',
      `not a trust domain (a-z, 0-9, dot, dash, underscore): ${JSON.stringify(text)}`,
    )
  }
  return text
}

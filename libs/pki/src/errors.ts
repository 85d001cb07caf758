import { CodedError, type CodedErrorInit } from '@ambient-lab/std'

/** Every code that this lib gives an error, with what it means. */
export const PKI_ERRORS = {
  INVALID_SPIFFE_ID: 'a text is no SPIFFE id, or not of the form that Istio issues',
  INVALID_TRUST_DOMAIN: 'a text is no trust domain name',
  CERTIFICATE_MALFORMED: 'PEM or DER cannot be read, or breaks a rule of X509-SVID',
  BUNDLE_MALFORMED: 'a text is no trust bundle in JWKS form',
  CSR_REFUSED: 'a certificate request is malformed, its signature is wrong, or it asks for what is not granted',
  CERTIFICATE_TTL_REFUSED: 'a lifetime beyond what the authority grants',
  NO_ROOT_CERTIFICATE: 'a signer answered without roots',
  SVID_KEY_MISMATCH: 'a certificate is for another key than the one at hand',
  SVID_UNEXPECTED_SAN: 'a signer answered with the certificate of another identity',
  CERTIFICATE_UNAVAILABLE: 'no valid certificate at the moment; fetching it failed and is tried again',
  CERTIFICATE_FORGOTTEN: 'no workload here uses the identity any more',
  CERTIFICATE_FETCH_TIMEOUT: 'the signer did not answer in time',
  PEER_NO_CERTIFICATE: 'the peer presented no certificate',
  PEER_UNTRUSTED: 'the chain of the peer does not lead to a trusted root',
  PEER_EXPIRED: 'a certificate of the peer is past its end',
  PEER_NOT_YET_VALID: 'a certificate of the peer is before its start',
  PEER_NO_IDENTITY: 'the peer has no URI SAN, several, or one that is no identity of ours',
  PEER_WRONG_TRUST_DOMAIN: 'the peer belongs to another trust domain',
  PEER_UNEXPECTED_SAN: 'the peer is not whom we dialled',
  CRL_MALFORMED: 'a revocation list cannot be read, or nobody whom we know has signed it',
  CERTIFICATE_REVOKED: 'a revocation list names the certificate of the peer',
} as const

export type PkiErrorCode = keyof typeof PKI_ERRORS

export function pkiError(code: PkiErrorCode, message: string, init?: CodedErrorInit): CodedError {
  return new CodedError(code, message, init)
}

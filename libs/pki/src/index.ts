export * from './authorizer.ts'
export * from './certificate-authority.ts'
export { type CsrWish, createCsr, type ParsedCsr, parseCsr } from './csr.ts'
export * from './errors.ts'
export { type JwkSet, parseJwkSet, type VerificationKey } from './jwk-set.ts'
export * from './jwk-set-source.ts'
export * from './jwt.ts'
export * from './jwt-failure.ts'
export * from './keys.ts'
export * from './limits.ts'
export * from './revocation-list.ts'
export * from './revocations.ts'
export * from './spiffe-bundle.ts'
export * from './spiffe-id.ts'
export type { CertificateSigner, SignedCertificate } from './svid-request.ts'
export * from './svid-source.ts'
export * from './trust-bundle.ts'
export * from './trust-domain.ts'
export * from './verified-tokens.ts'
export {
  type CertificateFacts,
  type CertificateTemplate,
  createSigner,
  type DistinguishedName,
  parseCertificates,
  readCertificateFacts,
  readSubject,
  type Signer,
  type SubjectAltName,
  shortFingerprint,
  signCertificate,
} from './x509.ts'
export * from './x509-svid.ts'

import { pkiError } from './errors.ts'
import { CERTIFICATES_PEM_BYTES_MAX } from './limits.ts'

export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'X509 CRL'

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----/g

/** RFC 7468, 64 columns, with a newline at the end. */
export function encodePem(label: PemLabel, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/**
 * Every block of one label, in order; text between blocks is ignored, as OpenSSL does.
 * @throws CodedError CERTIFICATE_MALFORMED for a text beyond the bound, or one with blocks of other labels
 */
export function decodePem(label: PemLabel, text: string): Buffer[] {
  if (text.length > CERTIFICATES_PEM_BYTES_MAX) {
    throw pkiError('CERTIFICATE_MALFORMED', `PEM of ${text.length} bytes, more than ${CERTIFICATES_PEM_BYTES_MAX}`)
  }
  return [...text.matchAll(BLOCK)].map(([, found, base64]) => {
    if (found !== label) throw pkiError('CERTIFICATE_MALFORMED', `PEM block is a ${found}, not a ${label}`)
    return Buffer.from(base64!, 'base64')
  })
}

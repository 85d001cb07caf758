import { sign, verify, type X509Certificate } from 'node:crypto'
import { type CodedError, errorMessage } from '@ambient-lab/std'
import {
  bitString,
  content,
  decodeDer,
  encodeDer,
  integer,
  isSequence,
  members,
  sequence,
  time,
  wholeBitString,
} from './der.ts'
import { pkiError } from './errors.ts'
import { decodePem, encodePem } from './pem.ts'
import { requireSignatureAlgorithm, type Signer, signatureAlgorithm } from './x509.ts'

/** What one authority has taken back: X.509 CRLs (RFC 5280 §5), as `CRL_PATH` of a ztunnel names them. */
export interface RevocationList {
  /** The list itself. */
  readonly pem: string
  /** Who signed the list, and with it the certificates that it names. */
  readonly issuer: X509Certificate
  /** Upper case hex, as X509Certificate tells it. */
  readonly serialNumbers: ReadonlySet<string>
}

const VERSION_2 = 1

/** PEM of a list that says what of the signer's certificates holds no longer. */
export function signRevocationList(
  serialNumbers: readonly string[],
  validity: { readonly thisUpdateMs: number; readonly nextUpdateMs: number },
  signer: Signer,
): string {
  const revoked = serialNumbers.map((serial) =>
    sequence(integer(Buffer.from(serial, 'hex')), time(validity.thisUpdateMs)),
  )
  const signed = sequence(
    integer(Buffer.of(VERSION_2)),
    signatureAlgorithm(signer.algorithm),
    signer.name,
    time(validity.thisUpdateMs),
    time(validity.nextUpdateMs),
    ...(revoked.length > 0 ? [sequence(...revoked)] : []),
  )
  const signature = sign('sha256', encodeDer(signed), signer.privateKey)
  return encodePem('X509 CRL', encodeDer(sequence(signed, signatureAlgorithm(signer.algorithm), bitString(signature))))
}

/**
 * The lists of a PEM text. One that has expired still counts: what was taken back stays taken back.
 * @param issuers authorities whose lists are believed
 * @throws CodedError CRL_MALFORMED, also for a list that none of them signed
 */
export function parseRevocationLists(pem: string, issuers: readonly X509Certificate[]): RevocationList[] {
  try {
    const blocks = decodePem('X509 CRL', pem)
    // A file that holds something else must not take back what was taken back.
    if (blocks.length === 0) throw malformed('there is none in the text')
    return blocks.map((der) => parseList(der, issuers))
  } catch (error) {
    throw malformed(errorMessage(error), error)
  }
}

function parseList(der: Buffer, issuers: readonly X509Certificate[]): RevocationList {
  const [list, algorithm, signature] = members(decodeDer(der), 'revocation list')
  requireSignatureAlgorithm(algorithm, ['ecdsaWithSha256', 'sha256WithRsaEncryption'])
  const signed = encodeDer(list!)
  const bits = wholeBitString(signature, 'signature')
  const issuer = issuers.find(({ publicKey }) => verify('sha256', signed, publicKey, bits))
  if (!issuer) throw malformed('none of the authorities has signed it')
  // Version, algorithm, issuer and thisUpdate stand before it; nextUpdate may, extensions may follow.
  const entries = members(list, 'revocation list').slice(4).find(isSequence)
  const serials = entries ? members(entries, 'revoked certificates').map(serialOf) : []
  return { pem: encodePem('X509 CRL', der), issuer, serialNumbers: new Set(serials) }
}

function serialOf(entry: Parameters<typeof members>[0]): string {
  const [serial] = members(entry, 'revoked certificate')
  return content(serial, 'serial number')
    .toString('hex')
    .replace(/^(00)+(?=.)/, '')
    .toUpperCase()
}

function malformed(why: string, cause?: unknown): CodedError {
  return pkiError('CRL_MALFORMED', `revocation list: ${why}`, { cause })
}

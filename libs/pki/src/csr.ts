import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { CodedError, errorMessage } from '@ambient-lab/std'
import {
  type Asn1,
  bitString,
  context,
  contextMembers,
  contextTag,
  decodeDer,
  dottedObjectId,
  encodeDer,
  integer,
  members,
  objectId,
  sequence,
  set,
  wholeBitString,
} from './der.ts'
import { pkiError } from './errors.ts'
import { isP256, type KeyPair } from './keys.ts'
import { CSR_PEM_BYTES_MAX } from './limits.ts'
import { decodePem, encodePem } from './pem.ts'
import {
  type DistinguishedName,
  decodeName,
  decodeSubjectAltNames,
  encodeName,
  encodePublicKey,
  encodeSubjectAltNames,
  requireSignatureAlgorithm,
  signatureAlgorithm,
} from './x509.ts'

/** What a request asks for. A workload asks with a URI and no subject, a node or a person with a subject and no URI. */
export type CsrWish = { readonly uri: string } | { readonly subject: DistinguishedName }

/** A request whose signature is right: whoever sent it holds the private key. Nothing else in it is true yet. */
export interface ParsedCsr {
  readonly publicKey: KeyObject
  readonly subject: DistinguishedName
  readonly uriNames: readonly string[]
  /** SANs that are no URI. */
  readonly otherNames: number
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const VERSION_1 = 0

/** A PKCS #10 request in PEM, signed with the key it is for. */
export function createCsr(keys: KeyPair, wish: CsrWish): string {
  const info = sequence(
    integer(Buffer.of(VERSION_1)),
    encodeName('subject' in wish ? wish.subject : {}),
    encodePublicKey(keys.publicKey),
    context(0, 'uri' in wish ? [requestSubjectAltName(wish.uri)] : []),
  )
  const signature = sign('sha256', encodeDer(info), keys.privateKey)
  return encodePem('CERTIFICATE REQUEST', encodeDer(sequence(info, signatureAlgorithm(), bitString(signature))))
}

/** @throws CodedError CSR_REFUSED when it is too long, malformed, not for a P-256 key, or not signed with that key */
export function parseCsr(pem: string): ParsedCsr {
  if (pem.length > CSR_PEM_BYTES_MAX) throw refused(`longer than ${CSR_PEM_BYTES_MAX} bytes`)
  try {
    return parseDer(pem)
  } catch (error) {
    if (CodedError.is(error, 'CSR_REFUSED')) throw error
    throw refused(errorMessage(error), error)
  }
}

function parseDer(pem: string): ParsedCsr {
  const blocks = decodePem('CERTIFICATE REQUEST', pem)
  if (blocks.length !== 1) throw refused(`${blocks.length} requests in PEM instead of one`)
  const [info, algorithm, signature] = members(decodeDer(blocks[0]!), 'request')
  requireSignatureAlgorithm(algorithm)
  const [, subject, key, attributes] = members(info, 'request')
  const publicKey = createPublicKey({ key: encodeDer(key!), type: 'spki', format: 'der' })
  if (!isP256(publicKey)) throw refused('the key is not on P-256')
  // Signed are the bytes that came; encoding them again gives the same bytes only when they were DER, as they must be.
  if (!verify('sha256', encodeDer(info!), publicKey, wholeBitString(signature, 'signature'))) {
    throw refused('the signature is wrong')
  }
  return { publicKey, subject: decodeName(subject), ...decodeSubjectAltNames(requestedExtensions(attributes)) }
}

function requestSubjectAltName(uri: string): Asn1 {
  return sequence(objectId(EXTENSION_REQUEST), set(sequence(encodeSubjectAltNames([{ uri }], true))))
}

function requestedExtensions(attributes: Asn1 | undefined): Asn1[] {
  if (!attributes || contextTag(attributes) !== 0) return []
  for (const attribute of contextMembers(attributes, 'attributes')) {
    const [type, values] = members(attribute, 'attribute')
    if (dottedObjectId(type, 'attribute') !== EXTENSION_REQUEST) continue
    return members(members(values, 'extension request', 'SET')[0], 'extension request')
  }
  return []
}

function refused(reason: string, cause?: unknown): CodedError {
  return pkiError('CSR_REFUSED', `certificate request refused: ${reason}`, { cause })
}

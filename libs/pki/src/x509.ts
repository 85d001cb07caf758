import { hash, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { assert } from '@ambient-lab/std'
import {
  type Asn1,
  bitString,
  boolean,
  content,
  context,
  contextMembers,
  contextTag,
  decodeDer,
  dottedObjectId,
  encodeDer,
  integer,
  isTrue,
  members,
  nothing,
  objectId,
  octetString,
  sequence,
  set,
  time,
  utf8String,
  wholeBitString,
} from './der.ts'
import { pkiError } from './errors.ts'
import type { KeyPair } from './keys.ts'
import { CHAIN_LENGTH_MAX } from './limits.ts'
import { decodePem } from './pem.ts'

/** The two attributes by which Kubernetes names a user: CN the user, each O a group. */
export interface DistinguishedName {
  readonly commonName?: string
  readonly organizations?: readonly string[]
}

export type SubjectAltName = { readonly uri: string } | { readonly dns: string } | { readonly ip: string }

export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth'

/** What a certificate is for: an authority, or an end of a TLS connection. */
export type CertificateUse =
  | { readonly kind: 'authority' /** Authorities that may stand below it. */; readonly pathLength: number }
  | { readonly kind: 'end'; readonly extendedKeyUsage: readonly ExtendedKeyUsage[] }

export interface CertificateTemplate {
  readonly subject: DistinguishedName
  readonly publicKey: KeyObject
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly use: CertificateUse
  readonly subjectAltNames: readonly SubjectAltName[]
}

/** Who signs. Made once per authority, because encoding a name and hashing a key costs as much as a signature. */
export interface Signer {
  readonly name: Asn1
  readonly keyIdentifier: Buffer
  readonly privateKey: KeyObject
  /** How it signs; that of its certificates' signatures, not of the keys in them. */
  readonly algorithm: SignatureAlgorithm
}

/** Whose names are the ones of RFC 5758 §3.2 and RFC 4055 §5. */
export type SignatureAlgorithm = 'ecdsaWithSha256' | 'sha256WithRsaEncryption'

export interface EncodedCertificate {
  readonly der: Buffer
  /** Upper case hex, as X509Certificate tells it. */
  readonly serialNumber: string
}

/** What X509Certificate of node:crypto does not tell, or tells as text only. */
export interface CertificateFacts {
  readonly isAuthority: boolean
  /** Authorities that may stand below this one; undefined means any number. */
  readonly pathLength: number | undefined
  /** The first byte of the KeyUsage bits, see KEY_USAGE; undefined when the extension is absent. */
  readonly keyUsage: number | undefined
  readonly isKeyUsageCritical: boolean
  readonly uriNames: readonly string[]
  /** By which certificates below it name its key; undefined when the extension is absent. */
  readonly subjectKeyIdentifier: Buffer | undefined
}

/** Bits of the first byte of KeyUsage (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = { digitalSignature: 0x80, keyEncipherment: 0x20, keyCertSign: 0x04, crlSign: 0x02 } as const

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsaEncryption: '1.2.840.113549.1.1.11',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

const EXTENDED_KEY_USAGE_OID: Readonly<Record<ExtendedKeyUsage, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
}

/** Tags of GeneralName (RFC 5280 §4.2.1.6). */
const GENERAL_NAME = { dns: 2, uri: 6, ip: 7 } as const

/** SEC 1 §2.3.3. */
const UNCOMPRESSED_POINT = Buffer.of(0x04)
const VERSION_3 = 2
const SERIAL_BYTES = 16

export function createSigner(keys: KeyPair, name: DistinguishedName): Signer {
  const publicKey = encodePublicKey(keys.publicKey)
  return {
    name: encodeName(name),
    keyIdentifier: keyIdentifier(publicKey),
    privateKey: keys.privateKey,
    algorithm: 'ecdsaWithSha256',
  }
}

/**
 * The signer that a certificate of an authority stands for, whoever made it: named byte for byte as there, or no chain
 * would lead to it.
 */
export function signerOf(certificate: X509Certificate, privateKey: KeyObject): Signer {
  const publicKey = decodeDer(certificate.publicKey.export({ type: 'spki', format: 'der' }))
  return {
    name: signedFields(certificate)[FIELD_SUBJECT]!,
    keyIdentifier: readCertificateFacts(certificate).subjectKeyIdentifier ?? keyIdentifier(publicKey),
    privateKey,
    algorithm: privateKey.asymmetricKeyType === 'rsa' ? 'sha256WithRsaEncryption' : 'ecdsaWithSha256',
  }
}

/** Builds and signs one certificate. */
export function signCertificate(template: CertificateTemplate, signer: Signer): EncodedCertificate {
  const serial = serialNumber()
  const publicKey = encodePublicKey(template.publicKey)
  const signed = sequence(
    context(0, [integer(Buffer.of(VERSION_3))]),
    integer(serial),
    signatureAlgorithm(signer.algorithm),
    signer.name,
    sequence(time(template.notBeforeMs), time(template.notAfterMs)),
    encodeName(template.subject),
    publicKey,
    context(3, [sequence(...extensions(template, publicKey, signer))]),
  )
  const signature = sign('sha256', encodeDer(signed), signer.privateKey)
  const der = encodeDer(sequence(signed, signatureAlgorithm(signer.algorithm), bitString(signature)))
  return { der, serialNumber: serial.toString('hex').toUpperCase() }
}

export function signatureAlgorithm(algorithm: SignatureAlgorithm = 'ecdsaWithSha256'): Asn1 {
  // RFC 4055 §5: RSA has parameters, and they are NULL; RFC 5758 §3.2: ECDSA has none.
  return algorithm === 'ecdsaWithSha256'
    ? sequence(objectId(OID.ecdsaWithSha256))
    : sequence(objectId(OID.sha256WithRsaEncryption), nothing())
}

/** @throws CodedError CERTIFICATE_MALFORMED when the value is none of `algorithms` */
export function requireSignatureAlgorithm(
  value: Asn1 | undefined,
  algorithms: readonly SignatureAlgorithm[] = ['ecdsaWithSha256'],
): void {
  const [algorithm] = members(value, 'signature algorithm')
  const found = dottedObjectId(algorithm, 'signature algorithm')
  if (algorithms.some((name) => OID[name] === found)) return
  throw pkiError('CERTIFICATE_MALFORMED', 'signature algorithm is not ecdsa-with-SHA256')
}

/** SubjectPublicKeyInfo of a P-256 key. Not by KeyObject's own `spki` export, which takes longer than a signature (80 µs). */
export function encodePublicKey(key: KeyObject): Asn1 {
  const { crv, x = '', y = '' } = key.export({ format: 'jwk' })
  assert(crv === 'P-256', `a key on ${crv} instead of P-256`)
  const point = Buffer.concat([UNCOMPRESSED_POINT, Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  return sequence(sequence(objectId(OID.ecPublicKey), objectId(OID.prime256v1)), bitString(point))
}

export function encodeName(name: DistinguishedName): Asn1 {
  const attribute = (oid: string, value: string) => set(sequence(objectId(oid), utf8String(value)))
  return sequence(
    ...(name.organizations ?? []).map((organization) => attribute(OID.organization, organization)),
    ...(name.commonName === undefined ? [] : [attribute(OID.commonName, name.commonName)]),
  )
}

/** @throws CodedError CERTIFICATE_MALFORMED; attributes other than CN and O are left out */
export function decodeName(value: Asn1 | undefined): DistinguishedName {
  let commonName: string | undefined
  const organizations: string[] = []
  for (const relative of members(value, 'name')) {
    for (const attribute of members(relative, 'name', 'SET')) {
      const [type, text] = members(attribute, 'name attribute')
      const oid = dottedObjectId(type, 'name attribute')
      if (oid === OID.commonName) commonName = content(text, 'common name').toString('utf8')
      if (oid === OID.organization) organizations.push(content(text, 'organization').toString('utf8'))
    }
  }
  return commonName === undefined ? { organizations } : { commonName, organizations }
}

/** The `SEQUENCE OF Extension` with one SAN extension, as a CSR asks for it. Critical: the subject is empty (RFC 5280 §4.2.1.6). */
export function encodeSubjectAltNames(names: readonly SubjectAltName[], isCritical: boolean): Asn1 {
  return extension(OID.subjectAltName, isCritical, sequence(...names.map(encodeGeneralName)))
}

/** The URIs among the SANs, and how many names of other types stand beside them. */
export function decodeSubjectAltNames(extensionList: readonly Asn1[]): { uriNames: string[]; otherNames: number } {
  const value = readExtension(extensionList, OID.subjectAltName)?.value
  const names = value ? members(decodeDer(value), 'subject alternative names') : []
  const uris = names.filter((name) => contextTag(name) === GENERAL_NAME.uri)
  return {
    uriNames: uris.map((name) => content(name, 'URI name').toString('latin1')),
    otherNames: names.length - uris.length,
  }
}

const knownFacts = new WeakMap<X509Certificate, CertificateFacts>()

/** Read once. @throws CodedError CERTIFICATE_MALFORMED */
export function readCertificateFacts(certificate: X509Certificate): CertificateFacts {
  const facts = knownFacts.get(certificate) ?? decodeFacts(certificate)
  knownFacts.set(certificate, facts)
  return facts
}

function decodeFacts(certificate: X509Certificate): CertificateFacts {
  const list = extensionsOf(certificate)
  const constraints = readExtension(list, OID.basicConstraints)
  const [authority, pathLength] = constraints ? members(decodeDer(constraints.value), 'basic constraints') : []
  const keyUsage = readExtension(list, OID.keyUsage)
  const subjectKey = readExtension(list, OID.subjectKeyIdentifier)
  return {
    isAuthority: isTrue(authority),
    pathLength: pathLength && content(pathLength, 'path length').readUIntBE(0, 1),
    keyUsage: keyUsage && (content(decodeDer(keyUsage.value), 'key usage')[1] ?? 0),
    isKeyUsageCritical: keyUsage?.isCritical ?? false,
    uriNames: decodeSubjectAltNames(list).uriNames,
    subjectKeyIdentifier: subjectKey && content(decodeDer(subjectKey.value), 'subject key identifier'),
  }
}

/** The user and groups that a client certificate names, as Kubernetes reads them. @throws CodedError CERTIFICATE_MALFORMED */
export function readSubject(certificate: X509Certificate): DistinguishedName {
  return decodeName(signedFields(certificate).at(FIELD_SUBJECT))
}

/**
 * A PEM text with one or more certificates, leaf first where they are a chain.
 * @throws CodedError CERTIFICATE_MALFORMED when there is none, one is broken, or there are too many
 */
export function parseCertificates(pem: string | readonly string[]): X509Certificate[] {
  const blocks = decodePem('CERTIFICATE', typeof pem === 'string' ? pem : pem.join('\n'))
  if (blocks.length === 0) throw pkiError('CERTIFICATE_MALFORMED', 'no certificate in PEM')
  if (blocks.length > CHAIN_LENGTH_MAX) {
    throw pkiError('CERTIFICATE_MALFORMED', `${blocks.length} certificates, more than ${CHAIN_LENGTH_MAX}`)
  }
  return blocks.map((der) => {
    try {
      return new X509Certificate(der)
    } catch (cause) {
      throw pkiError('CERTIFICATE_MALFORMED', 'malformed certificate', { cause })
    }
  })
}

/** 64 bits of a certificate's SHA-256, lower case hex: tells the authorities of a lab apart, for people and for status. */
export function shortFingerprint({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase()
}

/** By certificate, the issuers whose signature was found on it. */
const signers = new WeakMap<X509Certificate, WeakSet<X509Certificate>>()

/** Whether one certificate names another as its issuer and carries its signature: what was so once stays so. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const known = signers.get(certificate) ?? new WeakSet()
  if (known.has(issuer)) return true
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false
  signers.set(certificate, known.add(issuer))
  return true
}

const FIELD_SUBJECT = 5
const FIELD_EXTENSIONS = 3

/** The fields of TBSCertificate. Without the version, which is optional, the others would shift: v1 is refused. */
function signedFields(certificate: X509Certificate): Asn1[] {
  const [signed] = members(decodeDer(certificate.raw), 'certificate')
  const fields = members(signed, 'certificate')
  if (!fields[0] || contextTag(fields[0]) !== 0)
    throw pkiError('CERTIFICATE_MALFORMED', 'not an X.509 version 3 certificate')
  return fields
}

function extensionsOf(certificate: X509Certificate): Asn1[] {
  const wrapper = signedFields(certificate).find((field) => contextTag(field) === FIELD_EXTENSIONS)
  return wrapper ? members(contextMembers(wrapper, 'extensions')[0], 'extensions') : []
}

function readExtension(list: readonly Asn1[], oid: string): { isCritical: boolean; value: Buffer } | undefined {
  for (const item of list) {
    const fields = members(item, 'extension')
    if (dottedObjectId(fields[0], 'extension') !== oid) continue
    return { isCritical: isTrue(fields[1]), value: content(fields.at(-1), 'extension') }
  }
  return undefined
}

function extensions(template: CertificateTemplate, publicKey: Asn1, signer: Signer): Asn1[] {
  const { use, subjectAltNames, subject } = template
  const isNameless = subject.commonName === undefined && !subject.organizations?.length
  const list = [
    keyUsageOf(use),
    extension(OID.basicConstraints, true, sequence(...basicConstraints(use))),
    extension(OID.authorityKeyIdentifier, false, sequence(context(0, signer.keyIdentifier))),
  ]
  if (use.kind === 'authority') {
    list.push(extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(publicKey))))
  } else {
    const usages = use.extendedKeyUsage.map((usage) => objectId(EXTENDED_KEY_USAGE_OID[usage]))
    list.push(extension(OID.extendedKeyUsage, false, sequence(...usages)))
  }
  if (subjectAltNames.length > 0) list.push(encodeSubjectAltNames(subjectAltNames, isNameless))
  return list
}

function keyUsageOf(use: CertificateUse): Asn1 {
  const { digitalSignature, keyEncipherment, keyCertSign, crlSign } = KEY_USAGE
  const bits = use.kind === 'authority' ? keyCertSign | crlSign : digitalSignature | keyEncipherment
  const unusedBits = Math.clz32(bits & -bits) === 0 ? 0 : 31 - Math.clz32(bits & -bits)
  return extension(OID.keyUsage, true, bitString(Buffer.of(bits), unusedBits))
}

/** cA is FALSE by default, and DER leaves defaults out. */
function basicConstraints(use: CertificateUse): Asn1[] {
  return use.kind === 'authority' ? [boolean(true), integer(Buffer.of(use.pathLength))] : []
}

function extension(oid: string, isCritical: boolean, value: Asn1): Asn1 {
  return sequence(objectId(oid), ...(isCritical ? [boolean(true)] : []), octetString(encodeDer(value)))
}

function encodeGeneralName(name: SubjectAltName): Asn1 {
  if ('uri' in name) return context(GENERAL_NAME.uri, Buffer.from(name.uri, 'latin1'))
  if ('dns' in name) return context(GENERAL_NAME.dns, Buffer.from(name.dns, 'latin1'))
  return context(GENERAL_NAME.ip, addressBytes(name.ip))
}

/** RFC 7093 §2 method 1: the first 160 bits of the SHA-256 of the key. */
function keyIdentifier(publicKey: Asn1): Buffer {
  const [, bits] = members(publicKey, 'public key')
  return hash('sha256', wholeBitString(bits, 'public key'), 'buffer').subarray(0, 20)
}

/** Positive, of full length whatever chance says: the first byte is 0x40 to 0x7f. */
function serialNumber(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  assert(isIPv6(address), `not an IP address: ${address}`)
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const middle = tail === undefined ? [] : new Array<string>(8 - groups(head).length - groups(tail).length).fill('0')
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...groups(head), ...middle, ...groups(tail)].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index)
  }
  return bytes
}

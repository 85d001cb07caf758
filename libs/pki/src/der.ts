import type { asn1 as Asn1Namespace } from 'node-forge'
import asn1 from 'node-forge/lib/asn1.js'
import { pkiError } from './errors.ts'

/** One ASN.1 value. This file is the only one that knows the library behind it. */
export type Asn1 = Asn1Namespace.Asn1

const { Class, Type } = asn1

export function sequence(...items: Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items)
}

export function set(...items: Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, items)
}

export function objectId(dotted: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes())
}

/** A non-negative integer from its big-endian bytes, which must not start with a zero byte unless they are one byte. */
export function integer(bytes: Buffer): Asn1 {
  const positive = bytes[0]! & 0x80 ? `\0${binary(bytes)}` : binary(bytes)
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, positive)
}

export function boolean(value: boolean): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? '\xff' : '\0')
}

/** NULL. */
export function nothing(): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.NULL, false, '')
}

export function octetString(bytes: Buffer): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, binary(bytes))
}

/** `unusedBits` of the last byte do not count (X.690 §8.6.2). */
export function bitString(bytes: Buffer, unusedBits = 0): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unusedBits) + binary(bytes))
}

export function utf8String(text: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.UTF8, false, binary(Buffer.from(text, 'utf8')))
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5); fractions of a second are dropped. */
export function time(epochMs: number): Asn1 {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]|\.\d+/g, '')
  const isGeneralized = new Date(epochMs).getUTCFullYear() >= 2050
  return asn1.create(
    Class.UNIVERSAL,
    isGeneralized ? Type.GENERALIZEDTIME : Type.UTCTIME,
    false,
    isGeneralized ? digits : digits.slice(2),
  )
}

/** `[tag] IMPLICIT` over bytes, or `[tag] EXPLICIT` (or IMPLICIT constructed) over values. */
export function context(tag: number, content: Buffer | readonly Asn1[]): Asn1 {
  return Buffer.isBuffer(content)
    ? asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(content))
    : asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [...content])
}

export function encodeDer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1')
}

/** @throws CodedError CERTIFICATE_MALFORMED when the bytes are not exactly one value */
export function decodeDer(bytes: Buffer): Asn1 {
  try {
    return asn1.fromDer(binary(bytes), { strict: true, parseAllBytes: true, decodeBitStrings: false })
  } catch (cause) {
    throw pkiError('CERTIFICATE_MALFORMED', 'not DER', { cause })
  }
}

/** The members of a SEQUENCE, unless told that it must be a SET. @throws CodedError CERTIFICATE_MALFORMED */
export function members(value: Asn1 | undefined, what: string, type: 'SEQUENCE' | 'SET' = 'SEQUENCE'): Asn1[] {
  if (!isUniversal(value, Type[type]) || !Array.isArray(value?.value)) {
    throw pkiError('CERTIFICATE_MALFORMED', `${what} is no ${type}`)
  }
  return value.value
}

/** The members of a constructed value with a context tag. @throws CodedError CERTIFICATE_MALFORMED */
export function contextMembers(value: Asn1, what: string): Asn1[] {
  if (contextTag(value) === undefined || !Array.isArray(value.value)) {
    throw pkiError('CERTIFICATE_MALFORMED', `${what} has no members`)
  }
  return value.value
}

/** The bytes of a primitive value. @throws CodedError CERTIFICATE_MALFORMED */
export function content(value: Asn1 | undefined, what: string): Buffer {
  if (typeof value?.value !== 'string') throw pkiError('CERTIFICATE_MALFORMED', `${what} is no primitive value`)
  return Buffer.from(value.value, 'latin1')
}

/** @throws CodedError CERTIFICATE_MALFORMED */
export function dottedObjectId(value: Asn1 | undefined, what: string): string {
  if (!isUniversal(value, Type.OID)) throw pkiError('CERTIFICATE_MALFORMED', `${what} is no object identifier`)
  return asn1.derToOid(binary(content(value, what)))
}

/** The bytes of a BIT STRING that has a whole number of bytes. @throws CodedError CERTIFICATE_MALFORMED */
export function wholeBitString(value: Asn1 | undefined, what: string): Buffer {
  const bytes = isUniversal(value, Type.BITSTRING) ? content(value, what) : undefined
  if (bytes?.[0] !== 0) throw pkiError('CERTIFICATE_MALFORMED', `${what} is no bit string of whole bytes`)
  return bytes.subarray(1)
}

/** A BOOLEAN that is set; FALSE may be left out, and is written by some all the same. */
export function isTrue(value: Asn1 | undefined): value is Asn1 {
  return isUniversal(value, Type.BOOLEAN) && content(value, 'BOOLEAN')[0] !== 0
}

export function isSequence(value: Asn1): boolean {
  return isUniversal(value, Type.SEQUENCE)
}

/** The number of a context tag, or undefined when the value has none. */
export function contextTag(value: Asn1): number | undefined {
  return value.tagClass === Class.CONTEXT_SPECIFIC ? value.type : undefined
}

function isUniversal(value: Asn1 | undefined, type: Asn1Namespace.Type): boolean {
  return value?.tagClass === Class.UNIVERSAL && value.type === type
}

function binary(bytes: Buffer): string {
  return bytes.toString('latin1')
}

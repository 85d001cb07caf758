import { execFileSync } from 'node:child_process'
import { CodedError, VirtualClock } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CertificateAuthority } from './certificate-authority.ts'
import { createCsr } from './csr.ts'
import { generateKeyPair } from './keys.ts'
import { parseRevocationLists } from './revocation-list.ts'
import { Revocations } from './revocations.ts'
import { parseCertificates } from './x509.ts'

const clock = new VirtualClock()
const authority = CertificateAuthority.create({ clock })
const other = CertificateAuthority.create({ clock })
const leafOf = (by: CertificateAuthority) =>
  parseCertificates(by.signWorkload(createCsr(generateKeyPair(), { uri: 'spiffe://cluster.local/ns/a/sa/b' })).chainPem)
const [leaf, intermediate] = leafOf(authority)
const issuers = [...authority.bundle.roots, intermediate!]

describe('a revocation list', () => {
  it('names what was taken back, and nothing else', () => {
    const revocations = new Revocations()
    const [unharmed] = leafOf(authority)
    const [stranger] = leafOf(other)
    const changes: number[] = []
    revocations.onChange.on(() => changes.push(1))
    expect(revocations.isRevoked(leaf!)).toBe(false)
    const pem = authority.revocationList([leaf!.serialNumber, stranger!.serialNumber])
    revocations.replace('a file', parseRevocationLists(pem, issuers))
    expect([leaf!, unharmed!].map((one) => revocations.isRevoked(one))).toEqual([true, false])
    expect(() => revocations.check(leaf)).toThrow('connection closed: peer certificate revoked by CRL')
    expect(() => revocations.check(unharmed)).not.toThrow()
    expect([changes.length, revocations.rejected]).toEqual([1, 1])
    revocations.replace('a file', parseRevocationLists(authority.revocationList([]), issuers))
    expect(revocations.isRevoked(leaf!)).toBe(false)
  })

  it('reads as openssl reads it', () => {
    const pem = authority.revocationList([leaf!.serialNumber])
    const text = execFileSync('openssl', ['crl', '-noout', '-text'], { input: pem, encoding: 'utf8' })
    expect(text).toContain(`Serial Number: ${leaf!.serialNumber}`)
    expect(text).toContain('Ambient Lab intermediate')
  })

  it('may stand beside others', () => {
    const [, otherIntermediate] = leafOf(other)
    const both = authority.revocationList(['11']) + other.revocationList(['22'])
    const lists = parseRevocationLists(both, [...issuers, otherIntermediate!])
    expect(lists.map(({ serialNumbers }) => [...serialNumbers])).toEqual([['11'], ['22']])
  })

  it.each<[string, string]>([
    ['somebody else signed', other.revocationList(['11'])],
    ['is no PEM', 'nothing'],
    ['is a certificate', leaf!.toString()],
    ['is cut short', authority.revocationList(['11']).replace(/\n[^\n]+\n-----END/, '\n-----END')],
  ])('is not believed that %s', (_, pem) => {
    expect(() => parseRevocationLists(pem, issuers)).toThrow(expect.objectContaining({ code: 'CRL_MALFORMED' }))
  })

  it('whatever its bytes, is read or refused', () => {
    const der = Buffer.from(authority.revocationList(['11', '22']).replace(/-----[^-]+-----|\n/g, ''), 'base64')
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (at, byte) => {
        const mangled = Buffer.from(der)
        mangled[at] = byte
        const pem = `-----BEGIN X509 CRL-----\n${mangled.toString('base64')}\n-----END X509 CRL-----\n`
        try {
          parseRevocationLists(pem, issuers)
          expect(mangled.equals(der)).toBe(true)
        } catch (error) {
          expect(CodedError.is(error, 'CRL_MALFORMED')).toBe(true)
        }
      }),
      { numRuns: 500, seed: 11 },
    )
  })
})

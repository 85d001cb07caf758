import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CodedError } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { requestedIdentity } from './certificate-authority.ts'
import { createCsr, parseCsr } from './csr.ts'
import { generateKeyPair } from './keys.ts'
import { decodePem, encodePem } from './pem.ts'

const URI = 'spiffe://cluster.local/ns/bookinfo/sa/reviews'
const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe('certificate request', () => {
  test('of a workload has a URI and no subject', () => {
    const keys = generateKeyPair()
    const request = parseCsr(createCsr(keys, { uri: URI }))
    expect(request).toMatchObject({ subject: { organizations: [] }, uriNames: [URI], otherNames: 0 })
    expect(request.publicKey.equals(keys.publicKey)).toBe(true)
    expect(requestedIdentity(request)).toEqual({
      trustDomain: 'cluster.local',
      namespace: 'bookinfo',
      serviceAccount: 'reviews',
    })
  })

  test('of a node has a subject and no URI', () => {
    const subject = { commonName: 'system:node:näme', organizations: ['system:nodes', 'second'] }
    const request = parseCsr(createCsr(generateKeyPair(), { subject }))
    expect(request).toMatchObject({ subject, uriNames: [], otherNames: 0 })
    expect(() => requestedIdentity(request)).toThrow('the subject of a workload must be empty')
  })

  test.runIf(hasOpenssl)('is what openssl req calls a valid request', () => {
    const text = execFileSync('openssl', ['req', '-verify', '-noout', '-text'], {
      input: createCsr(generateKeyPair(), { uri: URI }),
      stdio: ['pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
    })
    expect(text).toMatch(/Subject: *\n/)
    expect(text).toMatch(new RegExp(`Subject Alternative Name: critical\\s+URI:${URI}`))
    expect(text).toContain('ASN1 OID: prime256v1')
  })

  describe.runIf(hasOpenssl)('made by openssl', () => {
    const request = (key: string[], ...rest: string[]) => {
      const folder = mkdtempSync(join(tmpdir(), 'csr-'))
      try {
        const output = join(folder, 'csr.pem')
        const args = [
          'req',
          '-new',
          '-newkey',
          ...key,
          '-nodes',
          '-keyout',
          join(folder, 'key.pem'),
          '-out',
          output,
          ...rest,
        ]
        execFileSync('openssl', args, { stdio: 'ignore' })
        return readFileSync(output, 'utf8')
      } finally {
        rmSync(folder, { recursive: true })
      }
    }
    const p256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    const wants = (names: string) => ['-subj', '/', '-addext', `subjectAltName=${names}`]

    test('is accepted', () => {
      expect(requestedIdentity(parseCsr(request(p256, ...wants(`URI:${URI}`)))).serviceAccount).toBe('reviews')
    })

    test.each([
      ['no name', p256, ['-subj', '/'], '0 names instead of one URI'],
      ['two URIs', p256, wants(`URI:${URI},URI:${URI}2`), '2 names instead of one URI'],
      ['a host name as well', p256, wants(`URI:${URI},DNS:reviews`), '2 names instead of one URI'],
      [
        'a subject as well',
        p256,
        ['-subj', '/CN=x', '-addext', `subjectAltName=URI:${URI}`],
        'subject of a workload must be empty',
      ],
      ['another form of id', p256, wants('URI:spiffe://cluster.local/reviews'), 'not a SPIFFE id'],
      ['P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], wants(`URI:${URI}`), 'not on P-256'],
      ['RSA', ['rsa:2048'], wants(`URI:${URI}`), 'not ecdsa-with-SHA256'],
    ])('with %s is refused', (_, key, rest, reason) => {
      expect(() => requestedIdentity(parseCsr(request(key, ...rest)))).toThrow(reason)
    })
  })

  test('whose identity was changed after signing is refused', () => {
    const [der] = decodePem('CERTIFICATE REQUEST', createCsr(generateKeyPair(), { uri: URI }))
    der!.write('ratings', der!.indexOf('reviews'))
    expect(() => parseCsr(encodePem('CERTIFICATE REQUEST', der!))).toThrow('the signature is wrong')
  })

  test('that is too long, empty, double or no request is refused', () => {
    const pem = createCsr(generateKeyPair(), { uri: URI })
    expect(() => parseCsr(pem.repeat(20))).toThrow('longer than')
    expect(() => parseCsr(pem.repeat(2))).toThrow('2 requests in PEM')
    expect(() => parseCsr('')).toThrow('0 requests in PEM')
    expect(() => parseCsr(pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'))).toThrow('not a CERTIFICATE REQUEST')
  })

  test('with damaged bytes is refused with a code, whatever the damage', () => {
    const [good] = decodePem('CERTIFICATE REQUEST', createCsr(generateKeyPair(), { uri: URI }))
    const damage = fc.array(fc.tuple(fc.nat(good!.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(damage, fc.nat(good!.length), (changes, cut) => {
        const bad = Buffer.from(cut % 3 === 0 ? good!.subarray(0, cut) : good!)
        for (const [index, bits] of changes) if (index < bad.length) bad[index]! ^= bits
        if (bad.equals(good!)) return
        try {
          parseCsr(encodePem('CERTIFICATE REQUEST', bad))
        } catch (error) {
          expect(CodedError.is(error, 'CSR_REFUSED')).toBe(true)
          return
        }
        expect.unreachable('a damaged request was accepted')
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

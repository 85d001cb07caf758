import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { CertificateAuthority } from './certificate-authority.ts'
import { generateKeyPair } from './keys.ts'
import { formatSpiffeBundle, parseSpiffeBundle } from './spiffe-bundle.ts'

const { bundle } = CertificateAuthority.create({ clock: new VirtualClock() })
const jwk = { ...generateKeyPair().publicKey.export({ format: 'jwk' }) }

describe('a trust bundle in JWKS form', () => {
  test('survives a round trip', () => {
    const parsed = parseSpiffeBundle(bundle.trustDomain, formatSpiffeBundle(bundle, 7))
    expect(parsed.x509?.equals(bundle)).toBe(true)
    expect(parsed).toMatchObject({ sequenceNumber: 7, refreshHintSeconds: undefined })
  })

  test('passes over uses it does not know and X.509 entries without certificate', () => {
    const keys = [
      { use: 'x509-svid', ...jwk },
      { use: 'sig', ...jwk },
      { use: 'jwt-svid', kid: 'a', ...jwk },
    ]
    const parsed = parseSpiffeBundle('td', JSON.stringify({ keys }))
    expect(parsed.x509).toBeUndefined()
    expect([...parsed.jwtKeys.keys()]).toEqual(['a'])
  })

  test.each([
    ['', 'no JSON'],
    ['[]', 'no JSON object'],
    ['{}', 'no authorities found'],
    ['{"keys":[null]}', 'no authorities found'],
    [JSON.stringify({ keys: [{ use: 'x509-svid', x5c: ['a', 'b'] }] }), 'expected a single certificate'],
    [JSON.stringify({ keys: [{ use: 'x509-svid', x5c: ['AAAA'] }] }), 'cannot be read'],
    [JSON.stringify({ keys: [{ use: 'jwt-svid', ...jwk }] }), 'no kid'],
    [JSON.stringify({ keys: [{ use: 'jwt-svid', kid: 'a', kty: 'EC' }] }), 'cannot be read'],
    [JSON.stringify({ keys: [], spiffe_sequence: -1 }), 'no count'],
  ])('refuses %s', (text, reason) => {
    expect(() => parseSpiffeBundle('td', text)).toThrow(reason)
  })
})

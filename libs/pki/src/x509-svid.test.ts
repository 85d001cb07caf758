import { X509Certificate } from 'node:crypto'
import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { authorizeChain, authorizeLeaf, peerErrorFromTls } from './authorizer.ts'
import { CertificateAuthority } from './certificate-authority.ts'
import { createCsr } from './csr.ts'
import { generateKeyPair } from './keys.ts'
import { encodePem } from './pem.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import { TrustBundle } from './trust-bundle.ts'
import { createSigner, parseCertificates, type SubjectAltName, signCertificate } from './x509.ts'
import { checkSvidForm, peerIdentity, verifyChain, X509Svid } from './x509-svid.ts'

const URI = 'spiffe://cluster.local/ns/bookinfo/sa/reviews'
const HOUR_MS = 3_600_000
const clock = new VirtualClock()
const authority = CertificateAuthority.create({ clock })
const stranger = CertificateAuthority.create({ clock })
const code = (name: string) => expect.objectContaining({ code: name })

function issue(uri = URI, by = authority) {
  const keys = generateKeyPair()
  return { keys, chainPem: by.signWorkload(createCsr(keys, { uri })).chainPem }
}

/** Certificates that our own authority would never issue. */
function forge(init: {
  names?: SubjectAltName[]
  use?: Parameters<typeof signCertificate>[0]['use']
  startsInMs?: number
  endsInMs?: number
  under?: ReturnType<typeof generateKeyPair>
}) {
  const keys = generateKeyPair()
  const root = init.under ?? generateKeyPair()
  const { der } = signCertificate(
    {
      subject: init.use?.kind === 'authority' ? { commonName: 'made up' } : {},
      publicKey: keys.publicKey,
      notBeforeMs: clock.now() + (init.startsInMs ?? -HOUR_MS),
      notAfterMs: clock.now() + (init.endsInMs ?? HOUR_MS),
      use: init.use ?? { kind: 'end', extendedKeyUsage: ['serverAuth', 'clientAuth'] },
      subjectAltNames: init.names ?? [{ uri: URI }],
    },
    createSigner(root, { commonName: 'made up' }),
  )
  return { keys, certificate: new X509Certificate(der) }
}

describe('X.509 SVID', () => {
  test('has the id, the dates and the key of its leaf', () => {
    const { keys, chainPem } = issue()
    const svid = new X509Svid({ chainPem, privateKey: keys.privateKey, bundle: authority.bundle })
    expect(svid.id).toEqual(parseSpiffeId(URI))
    expect(svid.chainPem).toBe(chainPem.join(''))
    expect(svid.privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    expect(
      [svid.notBeforeMs - 1, svid.notBeforeMs, svid.notAfterMs - 1, svid.notAfterMs].map((at) => svid.isValidAt(at)),
    ).toEqual([false, true, true, false])
  })

  test('is refused with the key of another', () => {
    const init = { chainPem: issue().chainPem, privateKey: generateKeyPair().privateKey, bundle: authority.bundle }
    expect(() => new X509Svid(init)).toThrow(code('SVID_KEY_MISMATCH'))
  })

  test.each<[string, SubjectAltName[], string]>([
    ['no URI SAN', [{ dns: 'reviews' }], 'contains no URI SAN'],
    ['no SAN at all', [], 'contains no URI SAN'],
    ['several URI SANs', [{ uri: URI }, { uri: `${URI}2` }], 'contains more than one URI SAN'],
    ['another scheme', [{ uri: 'https://cluster.local/ns/bookinfo/sa/reviews' }], 'scheme is missing or invalid'],
  ])('with %s has no form', (_, names, reason) => {
    expect(() => checkSvidForm([forge({ names }).certificate])).toThrow(reason)
    expect(() => peerIdentity(forge({ names }).certificate)).toThrow(code('PEER_NO_IDENTITY'))
  })

  test('that is an authority, or that was signed by a leaf, has no form', () => {
    expect(() => checkSvidForm([forge({ use: { kind: 'authority', pathLength: 0 } }).certificate])).toThrow(
      'must not have the CA flag',
    )
    expect(() => checkSvidForm([forge({}).certificate, forge({}).certificate])).toThrow('must have the CA flag')
    expect(() => checkSvidForm([])).toThrow('empty certificate chain')
  })

  test.each(['', 'nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'cannot be read from %j',
    (pem) => {
      expect(() => parseCertificates(pem)).toThrow(code('CERTIFICATE_MALFORMED'))
    },
  )

  test('cannot be read from more certificates than the bound', () => {
    expect(() => parseCertificates(issue().chainPem[0]!.repeat(9))).toThrow('9 certificates, more than 8')
  })
})

describe('path to a root', () => {
  const chain = parseCertificates(issue().chainPem)

  test('is found, whatever else the peer sent', () => {
    const [leaf, intermediate] = chain
    expect(() => verifyChain(chain, authority.bundle, clock.now())).not.toThrow()
    expect(() =>
      verifyChain([leaf!, ...stranger.bundle.roots, intermediate!], authority.bundle, clock.now()),
    ).not.toThrow()
  })

  test('is found under either root while roots are rotated', () => {
    const both = TrustBundle.parse('cluster.local', [...stranger.rootsPem, ...authority.rootsPem])
    expect(() => verifyChain(chain, both, clock.now())).not.toThrow()
    expect(() => verifyChain(parseCertificates(issue(URI, stranger).chainPem), both, clock.now())).not.toThrow()
    expect(both.equals(TrustBundle.parse('cluster.local', [...authority.rootsPem, ...stranger.rootsPem]))).toBe(true)
    expect(both.equals(authority.bundle)).toBe(false)
  })

  test.each([
    ['another authority', () => parseCertificates(issue(URI, stranger).chainPem), 'unknown issuer'],
    ['its intermediate missing', () => chain.slice(0, 1), 'unknown issuer'],
    ['a leaf that signed itself', () => [forge({}).certificate], 'unknown issuer'],
  ])('is not found with %s', (_, made, reason) => {
    expect(() => verifyChain(made(), authority.bundle, clock.now())).toThrow(code('PEER_UNTRUSTED'))
    expect(() => verifyChain(made(), authority.bundle, clock.now())).toThrow(reason)
  })

  test('does not lead through a leaf: a workload cannot sign for others', () => {
    const { keys, chainPem } = issue()
    const [leaf, intermediate] = parseCertificates(chainPem)
    const victim = forge({ names: [{ uri: `${URI}-victim` }], under: keys }).certificate
    expect(() => verifyChain([victim, leaf!, intermediate!], authority.bundle, clock.now())).toThrow(
      code('PEER_UNTRUSTED'),
    )
  })

  test('does not have more authorities than the one above allows', () => {
    const rootKeys = generateKeyPair()
    const name = { commonName: 'made up' }
    const under = (signerKeys: typeof rootKeys, keys: typeof rootKeys, pathLength: number) =>
      new X509Certificate(
        signCertificate(
          {
            subject: name,
            publicKey: keys.publicKey,
            notBeforeMs: clock.now(),
            notAfterMs: clock.now() + HOUR_MS,
            use: { kind: 'authority', pathLength },
            subjectAltNames: [],
          },
          createSigner(signerKeys, name),
        ).der,
      )
    const middleKeys = generateKeyPair()
    const middle = under(rootKeys, middleKeys, 0)
    const leaf = forge({ under: middleKeys }).certificate
    expect(() =>
      verifyChain([leaf, middle], new TrustBundle('cluster.local', [under(rootKeys, rootKeys, 1)]), clock.now()),
    ).not.toThrow()
    expect(() =>
      verifyChain([leaf, middle], new TrustBundle('cluster.local', [under(rootKeys, rootKeys, 0)]), clock.now()),
    ).toThrow('path is longer than its root allows')
  })

  test('has dates', () => {
    const { notBeforeMs, notAfterMs } = authority.signWorkload(createCsr(generateKeyPair(), { uri: URI }))
    const at = (nowMs: number) => () => verifyChain(chain, authority.bundle, nowMs)
    expect(at(notBeforeMs)).not.toThrow()
    expect(at(notBeforeMs - 1)).toThrow(code('PEER_NOT_YET_VALID'))
    expect(at(notAfterMs - 1)).not.toThrow()
    expect(at(notAfterMs)).toThrow(code('PEER_EXPIRED'))
  })
})

describe('who may be the peer', () => {
  const chain = parseCertificates(issue().chainPem)
  const base = { bundle: authority.bundle, nowMs: clock.now() }
  const reviews = parseSpiffeId(URI)
  const ratings = { ...reviews, serviceAccount: 'ratings' }

  test('the client gets whom it dialled', () => {
    expect(authorizeChain(chain, { ...base, expected: { identities: [ratings, reviews] } })).toEqual(reviews)
    expect(() =>
      authorizeChain(chain, { ...base, expected: { identities: [ratings, { ...ratings, namespace: 'b' }] } }),
    ).toThrow(
      'identity verification error: peer did not present the expected SAN ' +
        '(spiffe://cluster.local/ns/bookinfo/sa/ratings,spiffe://cluster.local/ns/b/sa/ratings), got spiffe://cluster.local/ns/bookinfo/sa/reviews',
    )
    expect(() => authorizeLeaf(chain[0], { identities: [] })).toThrow(code('PEER_UNEXPECTED_SAN'))
  })

  test('the server takes those of its own trust domain', () => {
    expect(authorizeChain(chain, { ...base, expected: { trustDomain: 'cluster.local' } })).toEqual(reviews)
    const other = () => authorizeChain(chain, { ...base, expected: { trustDomain: 'other.example' } })
    expect(other).toThrow(code('PEER_WRONG_TRUST_DOMAIN'))
    expect(other).toThrow(
      'identity verification error: peer did not present the expected trustdomain (other.example), got spiffe://cluster.local/ns/bookinfo/sa/reviews',
    )
  })

  test('nobody passes without a certificate, or with that of a node', () => {
    const expected = { trustDomain: 'cluster.local' }
    expect(() => authorizeChain([], { ...base, expected })).toThrow(code('PEER_NO_CERTIFICATE'))
    expect(() => authorizeLeaf(undefined, expected)).toThrow(code('PEER_NO_CERTIFICATE'))
    const node = authority.signNode(createCsr(generateKeyPair(), { subject: {} }), 'node-1')
    expect(() => authorizeChain(parseCertificates(node.chainPem), { ...base, expected })).toThrow(
      code('PEER_NO_IDENTITY'),
    )
  })

  test.each([
    ['CERT_HAS_EXPIRED', 'PEER_EXPIRED'],
    ['CERT_NOT_YET_VALID', 'PEER_NOT_YET_VALID'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'PEER_UNTRUSTED'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'PEER_UNTRUSTED'],
    ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'PEER_NO_CERTIFICATE'],
  ])('%s of node:tls is our %s', (theirs, ours) => {
    expect(peerErrorFromTls(Object.assign(new Error('tls'), { code: theirs }))?.code).toBe(ours)
    expect(peerErrorFromTls(theirs)?.code).toBe(ours)
  })

  test('an error of node:tls about something else is left alone', () => {
    expect(peerErrorFromTls(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).toBeUndefined()
  })
})

test('PEM has lines of 64 and reads back', () => {
  const pem = encodePem('CERTIFICATE', Buffer.alloc(100))
  expect(Math.max(...pem.split('\n').map((line) => line.length))).toBe(64)
})

import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, VirtualClock } from '@ambient-lab/std'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CertificateAuthority, type PluggedAuthority } from './certificate-authority.ts'
import { createCsr } from './csr.ts'
import { generateKeyPair } from './keys.ts'
import { CLOCK_SKEW_GRACE_MS } from './limits.ts'
import { parseRevocationLists } from './revocation-list.ts'
import { parseCertificates, readSubject } from './x509.ts'
import { rootOf, verifyChain } from './x509-svid.ts'

const URI = 'spiffe://cluster.local/ns/bookinfo/sa/reviews'
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const DAY_SECONDS = 24 * 3600

describe('certificate authority', () => {
  test('dates a workload certificate back two minutes and ends it after 24 h', () => {
    const clock = new VirtualClock()
    const { chainPem, notBeforeMs, notAfterMs, serialNumber } = CertificateAuthority.create({ clock }).signWorkload(
      workloadCsr(),
    )
    expect([notBeforeMs - clock.now(), notAfterMs - clock.now()]).toEqual([-CLOCK_SKEW_GRACE_MS, DAY_SECONDS * 1000])
    const leaf = new X509Certificate(chainPem[0]!)
    expect([leaf.validFromDate.getTime(), leaf.validToDate.getTime()]).toEqual([notBeforeMs, notAfterMs])
    expect(leaf.serialNumber).toBe(serialNumber)
  })

  test('ends no certificate after its own', () => {
    const clock = new VirtualClock()
    const authority = CertificateAuthority.create({ clock }, { ttlSeconds: 3600 })
    expect(authority.signWorkload(workloadCsr()).notAfterMs - clock.now()).toBe(3600 * 1000)
    clock.jump(3600 * 1000)
    expect(() => authority.signWorkload(workloadCsr())).toThrow('the certificate authority itself has expired')
  })

  test.each([-1, 91 * DAY_SECONDS])('refuses a lifetime of %d s', (ttlSeconds) => {
    const authority = CertificateAuthority.create({ clock: new VirtualClock() })
    const sign = () => authority.signWorkload(workloadCsr(), ttlSeconds)
    expect(sign).toThrow(expect.objectContaining({ code: 'CERTIFICATE_TTL_REFUSED' }))
  })

  test('takes no lifetime for the default one', () => {
    const clock = new VirtualClock()
    const { notAfterMs } = CertificateAuthority.create({ clock }).signWorkload(workloadCsr(), 0)
    expect(notAfterMs - clock.now()).toBe(DAY_SECONDS * 1000)
  })

  test('refuses an identity of another trust domain', () => {
    const authority = CertificateAuthority.create({ clock: new VirtualClock() }, { trustDomain: 'other.example' })
    expect(() => authority.signWorkload(workloadCsr())).toThrow('is not of trust domain other.example')
  })

  test('is the same after it was saved and loaded', () => {
    const clock = new VirtualClock()
    const first = CertificateAuthority.create({ clock })
    const second = CertificateAuthority.load({ clock }, JSON.parse(JSON.stringify(first.serialize())))
    expect(second.serialize()).toEqual(first.serialize())
    expect(second.rootFingerprint).toMatch(/^[0-9a-f]{64}$/)
    const intermediate = new X509Certificate(second.signWorkload(workloadCsr()).chainPem[1]!)
    expect(first.bundle.issuerOf(intermediate)).toBeDefined()
  })

  test('does not load parts that do not belong together', () => {
    const components = { clock: new VirtualClock() }
    const [a, b] = [
      CertificateAuthority.create(components).serialize(),
      CertificateAuthority.create(components).serialize(),
    ]
    const load = (parts: Partial<typeof a>) => () => CertificateAuthority.load(components, { ...a, ...parts })
    expect(load({ intermediateKeyPem: b.intermediateKeyPem })).toThrow('is not that of its intermediate')
    expect(load({ rootsPem: b.rootsPem })).toThrow('was not signed by a root')
    expect(load({ rootsPem: [] })).toThrow('no root certificate present')
    expect(load({ intermediateKeyPem: 'nonsense' })).toThrow('not a private key')
  })

  test('signs as before when others are trusted beside its own root', () => {
    const clock = new VirtualClock()
    const authority = CertificateAuthority.create({ clock })
    const next = CertificateAuthority.create({ clock }, { generation: '2' })
    const both = authority.trusting(authority.bundle.union(next.bundle))
    const { chainPem, rootsPem } = both.signWorkload(workloadCsr())
    expect(rootsPem).toEqual([...authority.rootsPem, ...next.rootsPem])
    expect(rootOf(parseCertificates(chainPem), both.bundle).fingerprint256).toBe(authority.root.fingerprint256)
    expect(next.root.subject).toContain('CN=Ambient Lab root 2')
    expect(() => authority.trusting(next.bundle)).toThrow('was not signed by a root')
  })

  test('names a node by user and group, whatever its request says', () => {
    const csr = createCsr(generateKeyPair(), { subject: { commonName: 'admin', organizations: ['system:masters'] } })
    const { chainPem } = CertificateAuthority.create({ clock: new VirtualClock() }).signNode(csr, 'node-1')
    const subject = readSubject(new X509Certificate(chainPem[0]!))
    expect(subject).toEqual({ commonName: 'system:node:node-1', organizations: ['system:nodes'] })
  })
})

describe.runIf(hasOpenssl)('an authority that openssl made', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pki-plugged-'))
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const KEYS = { rsa: ['RSA', 'rsa_keygen_bits:2048'], ec: ['EC', 'ec_paramgen_curve:P-256'] } as const

  /** As Istio's instructions make them: a root, and an intermediate with a name of more than CN and O. */
  function make(keys: keyof typeof KEYS): void {
    const [algorithm, option] = KEYS[keys]
    const extensions = 'subjectKeyIdentifier=hash\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign'
    writeFileSync(join(folder, 'ca.ext'), `${extensions}\nbasicConstraints=critical,CA:true,pathlen:0\n`)
    for (const name of ['root', 'ca'])
      openssl('genpkey', '-algorithm', algorithm, '-pkeyopt', option, '-out', `${name}.key`)
    openssl('req', '-x509', '-key', 'root.key', '-subj', '/O=Istio/CN=Root CA', '-days', '30', '-out', 'root.pem')
    openssl('req', '-new', '-key', 'ca.key', '-subj', '/O=Istio/CN=Intermediate CA/L=east/C=DE', '-out', 'ca.csr')
    openssl(
      ...['x509', '-req', '-in', 'ca.csr', '-CA', 'root.pem', '-CAkey', 'root.key', '-days', '20'],
      ...['-set_serial', '7', '-extfile', 'ca.ext', '-out', 'ca.pem'],
    )
  }

  const plugIn = (change: Partial<PluggedAuthority> = {}) =>
    CertificateAuthority.plugIn(
      { clock: systemClock },
      {
        ...{ trustDomain: 'cluster.local', rootsPem: [read('root.pem')], chainPem: [read('ca.pem')] },
        ...{ keyPem: read('ca.key'), ...change },
      },
    )

  afterAll(() => rmSync(folder, { recursive: true }))

  test.each(['rsa', 'ec'] as const)('signs workloads and lists with an %s key, and openssl believes both', (keys) => {
    make(keys)
    const authority = plugIn()
    const { chainPem, serialNumber } = authority.signWorkload(workloadCsr())
    writeFileSync(join(folder, 'leaf.pem'), chainPem[0]!)
    const verify = ['verify', '-purpose', 'sslclient', '-CAfile', 'root.pem', '-untrusted', 'ca.pem']
    expect(openssl(...verify, 'leaf.pem')).toBe('leaf.pem: OK\n')
    expect(chainPem.map((pem) => new X509Certificate(pem).fingerprint256)[1]).toBe(authority.signer.fingerprint256)
    expect(() => verifyChain(parseCertificates(chainPem), authority.bundle, systemClock.now())).not.toThrow()
    const list = authority.revocationList([serialNumber])
    writeFileSync(join(folder, 'crl.pem'), list + read('root.pem'))
    expect(() => openssl(...verify, '-crl_check', '-CRLfile', 'crl.pem', 'leaf.pem')).toThrow('certificate revoked')
    const [read1] = parseRevocationLists(list, [authority.signer])
    expect(read1!.serialNumbers).toEqual(new Set([serialNumber]))
  })

  test('may be the root itself, and is refused when its parts do not fit', () => {
    make('ec')
    const own = plugIn({ chainPem: [read('root.pem')], keyPem: read('root.key') })
    const { chainPem } = own.signWorkload(workloadCsr())
    expect(chainPem).toHaveLength(1)
    expect(() => verifyChain(parseCertificates(chainPem), own.bundle, systemClock.now())).not.toThrow()
    expect(() => plugIn({ keyPem: read('root.key') })).toThrow('is not that of its intermediate certificate')
    expect(() => plugIn({ rootsPem: [read('ca.pem')] })).toThrow('was not signed by a root')
    const [leaf] = own.signWorkload(workloadCsr()).chainPem
    expect(() => plugIn({ chainPem: [leaf!] })).toThrow(expect.objectContaining({ code: 'SVID_KEY_MISMATCH' }))
    openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024', '-out', 'weak.key')
    expect(() => plugIn({ keyPem: read('weak.key') })).toThrow('RSA of 2048 bits and more')
  })
})

describe.runIf(hasOpenssl)('as openssl sees it', () => {
  let folder: string
  const authority = CertificateAuthority.create({ clock: systemClock })
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const write = (name: string, pem: string) => writeFileSync(join(folder, name), pem)

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pki-'))
    write('root.pem', authority.rootsPem[0]!)
    write('intermediate.pem', authority.serialize().intermediatePem)
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  test('the chain of a workload is valid for both sides of TLS', () => {
    write('leaf.pem', authority.signWorkload(workloadCsr()).chainPem[0]!)
    for (const purpose of ['sslclient', 'sslserver']) {
      const verified = openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        purpose,
        '-CAfile',
        'root.pem',
        '-untrusted',
        'intermediate.pem',
        'leaf.pem',
      )
      expect(verified).toBe('leaf.pem: OK\n')
    }
    expect(() => openssl('verify', '-CAfile', 'root.pem', 'leaf.pem')).toThrow('unable to get local issuer certificate')
  })

  test('a workload certificate has the fields that istiod gives it, and no others', () => {
    write('leaf.pem', authority.signWorkload(workloadCsr()).chainPem[0]!)
    const text = openssl('x509', '-in', 'leaf.pem', '-noout', '-text')
    expect(text).toContain('Version: 3 (0x2)')
    expect(text).toMatch(/Subject: *\n/)
    expect(text).toContain('ASN1 OID: prime256v1')
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment\n/)
    expect(text).toMatch(/Extended Key Usage: *\n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/)
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE\n/)
    expect(text).toMatch(new RegExp(`Subject Alternative Name: critical\\s+URI:${URI}\\n`))
    expect(text.match(/^ {12}X509v3/gm)).toHaveLength(5)
  })

  test('an intermediate signs leaves only, a root one level more', () => {
    const fields = (file: string) => openssl('x509', '-in', file, '-noout', '-text')
    expect(fields('intermediate.pem')).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/)
    expect(fields('root.pem')).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:1/)
    expect(fields('root.pem')).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
  })

  test('a server certificate is for the names and addresses that it was issued for', () => {
    const names = {
      commonName: 'kube-apiserver',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1', '::1', 'fd00::1:2'],
    }
    write('server.pem', authority.issueServer(names).chainPem[0]!)
    const verify = (...names: string[]) =>
      openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        'root.pem',
        '-untrusted',
        'intermediate.pem',
        ...names,
        'server.pem',
      )
    for (const address of names.ipAddresses) expect(verify('-verify_ip', address)).toBe('server.pem: OK\n')
    expect(verify('-verify_hostname', 'localhost')).toBe('server.pem: OK\n')
    expect(() => verify('-verify_ip', '127.0.0.2')).toThrow('IP address mismatch')
  })

  test('a client certificate is for a client alone', () => {
    const { chainPem, keyPem } = authority.issueClient({
      commonName: 'ambient-admin',
      organizations: ['system:masters'],
    })
    write('client.pem', chainPem[0]!)
    write('client.key', keyPem)
    expect(openssl('x509', '-in', 'client.pem', '-noout', '-subject')).toContain(
      'O = system:masters, CN = ambient-admin',
    )
    expect(openssl('pkey', '-in', 'client.key', '-pubout')).toBe(
      openssl('x509', '-in', 'client.pem', '-noout', '-pubkey'),
    )
    const verify = (purpose: string) =>
      openssl('verify', '-purpose', purpose, '-CAfile', 'root.pem', '-untrusted', 'intermediate.pem', 'client.pem')
    expect(verify('sslclient')).toBe('client.pem: OK\n')
    expect(() => verify('sslserver')).toThrow()
  })
})

function workloadCsr(): string {
  return createCsr(generateKeyPair(), { uri: URI })
}

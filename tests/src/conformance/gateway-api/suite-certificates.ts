import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeyPairPem, SuiteCertificates } from './suite-objects.ts'

const DNS_NAMES: Readonly<Record<string, readonly string[]>> = {
  certificate: ['DNS:*'],
  'tls-validity-checks-certificate': ['DNS:*', 'DNS:*.org', 'DNS:*.wildcard.org'],
  'tls-checks-certificate': [
    'DNS:abc.example.com',
    'URI:spiffe://abc.example.com/test-identity',
    'DNS:other.example.com',
  ],
  'tls-passthrough-checks-certificate': ['DNS:abc.example.com'],
  'tls-terminate-checks-certificate': ['DNS:tls.example.com'],
}

/** Of those that are not signed by themselves. */
const ISSUERS: Readonly<Record<string, string>> = {
  'tls-checks-certificate': 'tls-checks-ca-certificate',
  'tls-passthrough-checks-certificate': 'tls-checks-ca-certificate',
  'tls-terminate-checks-certificate': 'tls-checks-ca-certificate',
  'tls-checks-client-certificate': 'tls-checks-ca-certificate',
  'tls-validity-checks-client-certificate': 'tls-validity-checks-ca-certificate',
  'tls-validity-checks-per-port-client-certificate': 'tls-validity-checks-per-port-ca-certificate',
}

/** The certificates that the official suite makes at its start, with openssl: each signed by whom, and for which names. */
export class OpensslCertificates implements SuiteCertificates, Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gateway-api-certificates-'))
  readonly #made = new Map<string, KeyPairPem>()

  keyPair(name: string): KeyPairPem {
    return this.#once(name, ISSUERS[name], DNS_NAMES[name] ?? [`DNS:${name}`])
  }

  authority(name: string): string {
    return this.#once(name, undefined, [`DNS:${name}`]).certificatePem
  }

  /** What a client trusts that is to trust a certificate: its issuer, or itself. */
  issuerOf(name: string): string {
    const issuer = ISSUERS[name]
    return issuer === undefined ? this.keyPair(name).certificatePem : this.authority(issuer)
  }

  /** Where a certificate and its key are as files. */
  files(name: string): { readonly certificate: string; readonly key: string } {
    this.keyPair(name)
    return this.#files(name)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #once(name: string, issuer: string | undefined, names: readonly string[]): KeyPairPem {
    const known = this.#made.get(name)
    if (known) return known
    if (issuer !== undefined) this.authority(issuer)
    const { certificate, key } = this.#files(name)
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...[
          '-subj',
          `/CN=${name}`,
          '-addext',
          `subjectAltName=${names.join(',')}`,
          '-keyout',
          key,
          '-out',
          certificate,
        ],
        ...(issuer === undefined ? [] : issuedBy(this.#files(issuer))),
      ],
      { stdio: 'pipe' },
    )
    const made = { certificatePem: readFileSync(certificate, 'utf8'), keyPem: readFileSync(key, 'utf8') }
    this.#made.set(name, made)
    return made
  }

  #files(name: string): { readonly certificate: string; readonly key: string } {
    return { certificate: join(this.#folder, `${name}.crt`), key: join(this.#folder, `${name}.key`) }
  }
}

function issuedBy({ certificate, key }: { readonly certificate: string; readonly key: string }): string[] {
  return ['-CA', certificate, '-CAkey', key, '-addext', 'basicConstraints=critical,CA:FALSE']
}

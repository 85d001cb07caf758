import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CertificateAuthority, createCsr, formatSpiffeId, generateKeyPair, privateKeyToPem } from '@ambient-lab/pki'
import { systemClock } from '@ambient-lab/std'

/** A folder with what both proxies of each pair need for mutual TLS: the same kind of keys for everybody. */
export class BenchCertificates implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ambient-bench-'))

  constructor() {
    const authority = CertificateAuthority.create({ clock: systemClock })
    const keys = generateKeyPair()
    const id = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'bench' }
    const { chainPem, rootsPem } = authority.signWorkload(createCsr(keys, { uri: formatSpiffeId(id) }))
    const keyPem = privateKeyToPem(keys.privateKey)
    this.write('chain.pem', chainPem.join(''))
    this.write('key.pem', keyPem)
    this.write('roots.pem', rootsPem.join(''))
    this.write('both.pem', chainPem.join('') + keyPem)
    this.write('authority.json', JSON.stringify(authority.serialize()))
  }

  /** Writes a file into the folder. Returns its path. */
  write(name: string, text: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

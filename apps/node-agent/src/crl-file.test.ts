import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Revocations, SvidSource } from '@ambient-lab/pki'
import { SeededRandom, systemClock, VirtualClock } from '@ambient-lab/std'
import { Logging } from '@ambient-lab/telemetry'
import { TestCertificates, temporaryFolder } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import { CrlFile } from './crl-file.ts'
import { CRL_POLL_MS } from './limits.ts'

it('follows the file, and keeps what it knows when the file is bad or gone', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'ca-crl.pem')
  const clock = new VirtualClock({ startMs: systemClock.now() })
  const certificates = new TestCertificates({ clock })
  const lines: string[] = []
  const log = new Logging({ components: { clock, sink: (line) => lines.push(line) } }).logger('crl')
  await using svids = new SvidSource({
    components: { clock, random: new SeededRandom(1), signer: certificates.signer() },
  })
  const revocations = new Revocations()
  using _ = new CrlFile(path, { clock, svids, revocations, log })
  const fetched = svids.fetch(certificates.id('default/web'))
  await clock.advance(10)
  const { leaf } = await fetched
  const after = async (change: () => void) => {
    change()
    await clock.advance(CRL_POLL_MS)
    return revocations.isRevoked(leaf)
  }
  const write = (text: string) => () => writeFileSync(path, text)
  expect(await after(() => {})).toBe(false)
  expect(await after(write(certificates.authority.revocationList([leaf.serialNumber])))).toBe(true)
  expect(await after(write('no list'))).toBe(true)
  expect(await after(write(new TestCertificates({ clock }).authority.revocationList([])))).toBe(true)
  expect(lines.at(-1)).toContain('none of the authorities has signed it')
  expect(await after(() => rmSync(path))).toBe(true)
  expect(await after(write(certificates.authority.revocationList(['11'])))).toBe(false)
})

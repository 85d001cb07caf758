import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VirtualClock } from '@ambient-lab/std'
import { temporaryFolder } from '@ambient-lab/testing'
import { expect, it } from 'vitest'
import { loadOrCreateAuthority } from './ca-service.ts'

const clock = new VirtualClock()

it('keeps the authority over restarts, for its owner only', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'ca')
  const first = loadOrCreateAuthority(path, clock, 'cluster.local')
  const second = loadOrCreateAuthority(path, clock, 'cluster.local')
  expect(second.rootFingerprint).toBe(first.rootFingerprint)
  const mode = (name: string) => statSync(join(path, name)).mode & 0o777
  expect([mode('.'), mode('ca-key.pem'), mode('root-key.pem')]).toEqual([0o700, 0o600, 0o600])
})

it('does not replace an authority that it cannot read', async () => {
  await using folder = await temporaryFolder()
  loadOrCreateAuthority(folder.path, clock, 'cluster.local')
  writeFileSync(join(folder.path, 'ca-cert.pem'), 'rubbish')
  expect(() => loadOrCreateAuthority(folder.path, clock, 'cluster.local')).toThrow(
    expect.objectContaining({ code: 'CA_UNREADABLE', next: expect.stringContaining('restore') }),
  )
})

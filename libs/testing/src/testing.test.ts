import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { authorizeChain, SvidSource } from '@ambient-lab/pki'
import { SeededRandom, sleep, systemClock, VirtualClock } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { TestCertificates } from './certificates.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { virtualRun } from './virtual-run.ts'

describe('eventually', () => {
  test('tries until the check holds, and returns its value', async () => {
    const clock = new VirtualClock()
    let tries = 0
    const found = virtualRun(clock, 1000, () =>
      eventually(
        () => {
          tries += 1
          if (tries === 1) throw new Error('not yet')
          return [undefined, undefined, false as const, null, 0][tries]
        },
        { clock },
      ),
    )
    expect(await found).toBe(0)
    expect([tries, clock.monotonic()]).toEqual([4, 30])
  })

  test('tells the last failure when time is up', async () => {
    const clock = new VirtualClock()
    const check = () => expect(1).toBe(2)
    const failing = virtualRun(clock, 1000, () => eventually(check, { clock, timeoutMs: 100 }))
    await expect(failing).rejects.toThrow(/^not within 100 ms: expected 1 to be 2/)
    expect(clock.monotonic()).toBe(100)
  })
})

describe('virtualRun', () => {
  test('gives what the work gives, without waiting for it', async () => {
    const clock = new VirtualClock()
    const hour = async () => {
      await sleep(clock, 3_600_000)
      return 'done'
    }
    expect(await virtualRun(clock, 3_600_000, hour)).toBe('done')
    await expect(virtualRun(clock, 10, hour)).rejects.toThrow('not done within 10 ms of virtual time; 1 timers')
    await expect(virtualRun(clock, 10, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  })
})

test('a free port refuses connections, and can be listened on', async () => {
  const port = await freePort()
  await expect(
    new Promise((resolve, reject) => connect(port, '127.0.0.1').on('connect', resolve).on('error', reject)),
  ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await new Promise((resolve) => server.close(resolve))
})

test('a temporary folder is private, and gone at the end', async () => {
  let path: string
  {
    await using folder = await temporaryFolder()
    path = folder.path
    expect(statSync(path).mode & 0o777).toBe(0o700)
    await writeFile(join(path, 'file'), 'x')
  }
  expect(existsSync(path)).toBe(false)
})

describe('certificates', () => {
  const certificates = new TestCertificates()
  const check = {
    bundle: certificates.bundle,
    nowMs: systemClock.now(),
    expected: { trustDomain: certificates.trustDomain },
  }

  test('are good when they should be', () => {
    expect(authorizeChain(certificates.svid('bookinfo/reviews').chain, check)).toEqual(
      certificates.id('bookinfo/reviews'),
    )
  })

  test.each([
    ['PEER_EXPIRED', certificates.expiredSvid('a/b')],
    ['PEER_NOT_YET_VALID', certificates.futureSvid('a/b')],
    ['PEER_UNTRUSTED', certificates.untrustedSvid('a/b')],
    ['PEER_WRONG_TRUST_DOMAIN', certificates.otherTrustDomainSvid('a/b')],
  ])('are bad in just one way: %s', (code, svid) => {
    expect(() => authorizeChain(svid.chain, check)).toThrow(expect.objectContaining({ code }))
  })

  test('that do not fit their key are refused by TLS', () => {
    const { chainPem, privateKeyPem } = certificates.mismatched('a/b')
    expect(() => createSecureContext({ cert: chainPem, key: privateKeyPem })).toThrow('key values mismatch')
    const good = certificates.svid('a/b')
    expect(() => createSecureContext({ cert: good.chainPem, key: good.privateKeyPem })).not.toThrow()
  })

  test('are signed for a source', async () => {
    const components = {
      clock: new VirtualClock({ startMs: systemClock.now() }),
      random: new SeededRandom(1),
      signer: certificates.signer(),
    }
    await using source = new SvidSource({ components })
    expect((await source.fetch(certificates.id('a/b'))).id).toEqual(certificates.id('a/b'))
  })
})

import { CertificateAuthority, Revocations, SvidSource, shortFingerprint } from '@ambient-lab/pki'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import type { Trust } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { certificateReport } from './certificate-report.ts'
import { TrustFeed } from './trust-feed.ts'

const ID = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' }

async function setUp() {
  const clock = new VirtualClock()
  const old = CertificateAuthority.create({ clock })
  const next = CertificateAuthority.create({ clock }, { generation: '2' })
  let signer = old
  const sign = async (csrPem: string, ttlSeconds: number) => signer.signWorkload(csrPem, ttlSeconds)
  const svids = new SvidSource({ components: { clock, random: new SeededRandom(1), signer: { sign } } })
  const revocations = new Revocations()
  const feed = new TrustFeed({ clock, svids, revocations })
  const before = await svids.fetch(ID)
  const trust = (by: CertificateAuthority, change: Partial<Trust> = {}): Trust => ({
    ...{ trustDomain: 'cluster.local', rootsPem: by.rootsPem, signer: shortFingerprint(by.signer) },
    ...{ authoritiesPem: [String(old.signer), String(next.signer)], revocationListsPem: '', ...change },
  })
  return {
    ...{ clock, old, next, svids, revocations, before, trust },
    tell: (resource: unknown) => feed.apply([{ name: 'cluster.local', resource }]),
    signWith: (authority: CertificateAuthority) => {
      signer = authority
    },
  }
}

describe('what the control plane says of trust', () => {
  it('takes hold at once, and certificates of a former signer are replaced behind it', async () => {
    const { old, next, svids, before, trust, tell, signWith, clock } = await setUp()
    const both = old.bundle.union(next.bundle)
    expect(tell(trust(old.trusting(both)))).toEqual([])
    await clock.advance(10)
    expect(svids.current(ID)?.serialNumber).toBe(before.serialNumber)
    expect(svids.current(ID)?.bundle.equals(both)).toBe(true)
    signWith(next.trusting(both))
    tell(trust(next.trusting(both)))
    expect(svids.current(ID)?.serialNumber).toBe(before.serialNumber)
    await clock.advance(10)
    const after = svids.current(ID)!
    expect(after.serialNumber).not.toBe(before.serialNumber)
    expect(certificateReport(svids.state(ID)!)).toMatchObject({
      ...{ state: 'Available', serialNumber: after.serialNumber, root: shortFingerprint(next.root) },
      trusts: [old, next].map(({ root }) => shortFingerprint(root)),
    })
  })

  it('does not leave an answer of the former signer that came just before it', async () => {
    const { old, next, svids, trust, tell, signWith, clock } = await setUp()
    const both = old.bundle.union(next.bundle)
    const late = { ...ID, serviceAccount: 'late' }
    svids.prefetch(late)
    signWith(next.trusting(both))
    tell(trust(next.trusting(both)))
    await clock.advance(10)
    for (const id of [ID, late]) {
      expect(shortFingerprint(svids.current(id)!.chain[1]!)).toBe(shortFingerprint(next.signer))
    }
  })

  it('says of a certificate whose root was withdrawn that it leads nowhere', async () => {
    const { next, svids, trust, tell } = await setUp()
    tell(trust(next, { signer: 'nobody' }))
    expect(certificateReport(svids.state(ID)!)).toMatchObject({ root: '', trusts: [shortFingerprint(next.root)] })
  })

  it('brings lists of what was taken back, and takes them away again', async () => {
    const { old, before, revocations, trust, tell } = await setUp()
    revocations.replace('a file', [])
    expect(tell(trust(old, { revocationListsPem: old.revocationList([before.serialNumber]) }))).toEqual([])
    expect(revocations.isRevoked(before.leaf)).toBe(true)
    revocations.replace('a file', [])
    expect(revocations.isRevoked(before.leaf)).toBe(true)
    tell(trust(old))
    expect(revocations.isRevoked(before.leaf)).toBe(false)
  })

  it.each<[string, Partial<Record<keyof Trust, unknown>>]>([
    ['another trust domain', { trustDomain: 'elsewhere' }],
    ['no roots', { rootsPem: [] }],
    ['roots that are none', { rootsPem: ['nonsense'] }],
    ['roots in one text', { rootsPem: 'nonsense' }],
    ['authorities that are none', { authoritiesPem: ['nonsense'], revocationListsPem: 'x' }],
    ['lists that are none', { revocationListsPem: 'nonsense' }],
    ['no signer', { signer: 7 }],
    ['a text beyond bounds', { revocationListsPem: 'x'.repeat(300_000) }],
  ])('is refused whole with %s', async (_, change) => {
    const { old, next, svids, revocations, before, trust, tell, clock } = await setUp()
    const both = old.trusting(old.bundle.union(next.bundle))
    const refused = tell({ ...trust(both), ...change })
    await clock.advance(10)
    expect(refused).toEqual([{ name: 'cluster.local', reason: expect.any(String) }])
    expect(svids.current(ID)).toBe(before)
    expect(revocations.isRevoked(before.leaf)).toBe(false)
  })
})

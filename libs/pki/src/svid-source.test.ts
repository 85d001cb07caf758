import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { CertificateAuthority } from './certificate-authority.ts'
import { parseCsr } from './csr.ts'
import { CLOCK_SKEW_GRACE_MS } from './limits.ts'
import { formatSpiffeId, parseSpiffeId } from './spiffe-id.ts'
import type { CertificateSigner, SignedCertificate } from './svid-request.ts'
import { SvidSource, type SvidSourceInit } from './svid-source.ts'

const HOUR_MS = 3_600_000
const id = (serviceAccount: string) => parseSpiffeId(`spiffe://cluster.local/ns/bookinfo/sa/${serviceAccount}`)
const reviews = id('reviews')
const code = (name: string) => expect.objectContaining({ code: name })

/** A source over an authority that answers at once, until told otherwise. */
function setUp(init: SvidSourceInit = {}) {
  const clock = new VirtualClock()
  const authority = CertificateAuthority.create({ clock })
  const calls: { atMs: number; csrPem: string }[] = []
  let answer: (csrPem: string, ttlSeconds: number) => SignedCertificate | Promise<SignedCertificate> = (csrPem, ttl) =>
    authority.signWorkload(csrPem, ttl)
  const signer: CertificateSigner = {
    async sign(csrPem, ttlSeconds) {
      calls.push({ atMs: clock.now(), csrPem })
      return answer(csrPem, ttlSeconds)
    },
  }
  const source = new SvidSource({ components: { clock, random: new SeededRandom(1), signer }, init })
  return {
    clock,
    authority,
    calls,
    source,
    setAnswer: (next: typeof answer) => {
      answer = next
    },
    breakSigner: (reason = 'control plane unreachable') => {
      answer = () => {
        throw new Error(reason)
      }
    },
    mendSigner: () => {
      answer = (csrPem, ttl) => authority.signWorkload(csrPem, ttl)
    },
  }
}

describe('fetching', () => {
  test('many who want one identity at once share one request', async () => {
    const { source, calls } = setUp()
    const [first, ...others] = await Promise.all(Array.from({ length: 20 }, () => source.fetch(reviews)))
    expect(calls).toHaveLength(1)
    expect(others.every((svid) => svid === first)).toBe(true)
    expect(source.current(reviews)).toBe(first)
    expect(await source.fetch(reviews)).toBe(first)
    expect(calls).toHaveLength(1)
  })

  test('goes through Initializing to Available', async () => {
    const { source, clock } = setUp()
    expect(source.state(reviews)).toBeUndefined()
    source.prefetch(reviews)
    expect(source.state(reviews)).toEqual({ phase: 'Initializing' })
    expect(source.current(reviews)).toBeUndefined()
    await clock.advance(0)
    expect(source.states()).toEqual([{ id: reviews, state: { phase: 'Available', svid: source.current(reviews) } }])
  })

  test('runs eight at a time, the urgent ones first', async () => {
    const { source, clock, calls, setAnswer, authority } = setUp()
    const open: (() => void)[] = []
    setAnswer((csrPem, ttl) => new Promise((resolve) => open.push(() => resolve(authority.signWorkload(csrPem, ttl)))))
    for (let index = 0; index < 20; index += 1) source.prefetch(id(`warm-${index}`))
    const urgent = source.fetch(id('warm-19'))
    const newcomer = source.fetch(id('newcomer'))
    await clock.advance(0)
    expect(calls).toHaveLength(8)
    open.splice(0, 2).forEach((release) => {
      release()
    })
    await clock.advance(0)
    expect(calls).toHaveLength(10)
    open.splice(6, 2).forEach((release) => {
      release()
    })
    expect([(await urgent).id, (await newcomer).id]).toEqual([id('warm-19'), id('newcomer')])
    await source[Symbol.asyncDispose]()
  })

  test('an answer with another key, identity or no root is a failure', async () => {
    const { source, setAnswer, authority, clock, calls } = setUp()
    const other = setUp()
    await other.source.fetch(id('ratings'))
    const wrong: [string, (csrPem: string) => SignedCertificate][] = [
      ['is for another key', () => authority.signWorkload(other.calls[0]!.csrPem)],
      ['asked for', (csrPem) => authority.signWorkload({ ...parseCsr(csrPem), uriNames: [formatSpiffeId(reviews)] })],
      ['no root certificate present', (csrPem) => ({ ...authority.signWorkload(csrPem), rootsPem: [] })],
      ['unknown issuer', (csrPem) => ({ ...authority.signWorkload(csrPem), rootsPem: other.authority.rootsPem })],
      ['no certificate in PEM', (csrPem) => ({ ...authority.signWorkload(csrPem), chainPem: [] })],
    ]
    for (const [index, [reason, answer]] of wrong.entries()) {
      setAnswer(answer)
      await expect(source.fetch(id(`wrong-${index}`))).rejects.toThrow(reason)
    }
    expect(calls).toHaveLength(wrong.length)
    await clock.advance(0)
  })

  test('a signer that never answers counts as failed after ten seconds', async () => {
    const { source, clock, setAnswer } = setUp()
    setAnswer(() => new Promise(() => {}))
    const outcome = expect(source.fetch(reviews)).rejects.toThrow('no answer within 10s')
    await clock.advance(10_000)
    await outcome
  })

  test('who gives up waiting does not disturb the others', async () => {
    const { source, clock, setAnswer, authority } = setUp()
    let release = () => {}
    setAnswer((csrPem) => new Promise((resolve) => (release = () => resolve(authority.signWorkload(csrPem)))))
    const giveUp = new AbortController()
    const impatient = expect(source.fetch(reviews, { signal: giveUp.signal })).rejects.toThrow('enough')
    const patient = source.fetch(reviews)
    await clock.advance(0)
    giveUp.abort(new Error('enough'))
    await impatient
    release()
    expect((await patient).id).toEqual(reviews)
  })
})

describe('rotation', () => {
  test('happens exactly at half-life, and tells', async () => {
    const { source, clock, calls } = setUp()
    const changes: string[] = []
    source.onChange((change) => changes.push(change.kind))
    const first = await source.fetch(reviews)
    const halfLifeMs = (first.notAfterMs - first.notBeforeMs) / 2 - CLOCK_SKEW_GRACE_MS
    expect(halfLifeMs).toBe(12 * HOUR_MS - CLOCK_SKEW_GRACE_MS / 2)
    await clock.advance(halfLifeMs - 1)
    expect(calls).toHaveLength(1)
    await clock.advance(1)
    expect(calls).toHaveLength(2)
    const second = source.current(reviews)
    expect(second).not.toBe(first)
    expect(second?.privateKey.equals(first.privateKey)).toBe(false)
    expect(changes).toEqual(['available', 'available'])
  })

  test.each([1, 5, 60, 180])('of a certificate of %d s neither runs dry nor runs wild', async (ttlSeconds) => {
    const { source, clock, calls } = setUp({ ttlSeconds })
    await source.fetch(reviews)
    for (let second = 0; second < 600; second += 1) {
      await clock.advance(999)
      if (ttlSeconds > 1) expect(source.current(reviews), `after ${second} s`).toBeDefined()
      await clock.advance(1)
    }
    expect(calls.length).toBeGreaterThan(600 / ttlSeconds)
    expect(calls.length).toBeLessThanOrEqual(601)
  })

  test('a clock that jumped past half-life is noticed at the next use, past the end also', async () => {
    const { source, clock, calls } = setUp()
    const first = await source.fetch(reviews)
    clock.jump(13 * HOUR_MS)
    expect(await source.fetch(reviews)).toBe(first)
    await clock.advance(0)
    expect(calls).toHaveLength(2)
    clock.jump(25 * HOUR_MS)
    expect(source.current(reviews)).toBeUndefined()
    expect((await source.fetch(reviews)).isValidAt(clock.now())).toBe(true)
    expect(calls).toHaveLength(3)
  })

  test('a clock that jumped is noticed within a minute without any use', async () => {
    const { source, clock, calls } = setUp()
    await source.fetch(reviews)
    clock.jump(13 * HOUR_MS)
    await clock.advance(60_000)
    expect(calls).toHaveLength(2)
  })

  test('can be asked for', async () => {
    const { source, clock } = setUp()
    const first = await source.fetch(reviews)
    source.refresh(reviews)
    expect(source.current(reviews)).toBe(first)
    await clock.advance(0)
    expect(source.current(reviews)).not.toBe(first)
  })
})

describe('failing', () => {
  test('waits 1 s, doubles up to 150 s, give or take a fifth', async () => {
    const { source, clock, calls, breakSigner } = setUp()
    breakSigner()
    await expect(source.fetch(reviews)).rejects.toThrow(code('CERTIFICATE_UNAVAILABLE'))
    await clock.advance(2 * HOUR_MS)
    const waits = calls.slice(1).map((call, index) => call.atMs - calls[index]!.atMs)
    for (const [index, waitMs] of waits.entries()) {
      const nominalMs = Math.min(150_000, 1000 * 2 ** index)
      expect(waitMs).toBeGreaterThanOrEqual(nominalMs * 0.8)
      expect(waitMs).toBeLessThanOrEqual(Math.min(150_000, nominalMs * 1.2))
    }
    expect(waits.length).toBeGreaterThan(2 * (HOUR_MS / 150_000))
    expect(new Set(waits).size).toBeGreaterThan(8)
  })

  test('says why and until when, at once, to whoever wants a certificate meanwhile', async () => {
    const { source, clock, calls, breakSigner, mendSigner } = setUp()
    breakSigner()
    const sentence =
      /^certificate fetch failed \(control plane unreachable\) and no valid existing certificate; will retry in (\d+ms|1\.\d+s)$/
    await expect(source.fetch(reviews)).rejects.toThrow(sentence)
    expect(source.state(reviews)).toEqual({ phase: 'Unavailable', reason: expect.stringMatching(sentence) })
    await expect(source.fetch(reviews)).rejects.toThrow(sentence)
    expect(calls).toHaveLength(1)
    mendSigner()
    await clock.advance(1200)
    expect((await source.fetch(reviews)).id).toEqual(reviews)
    expect(source.state(reviews)?.phase).toBe('Available')
  })

  test('keeps the old certificate in use until it ends, and tries once more at that moment', async () => {
    const { source, clock, calls, breakSigner } = setUp({ ttlSeconds: 3600 })
    const kinds: string[] = []
    source.onChange(({ kind }) => kinds.push(kind))
    const svid = await source.fetch(reviews)
    breakSigner()
    await clock.advance(svid.notAfterMs - clock.now() - 1)
    expect(source.state(reviews)).toEqual({ phase: 'Available', svid })
    expect(await source.fetch(reviews)).toBe(svid)
    expect(calls.length).toBeGreaterThan(5)
    await clock.advance(1)
    expect(calls.at(-1)!.atMs).toBe(svid.notAfterMs)
    expect(source.state(reviews)?.phase).toBe('Unavailable')
    expect(source.current(reviews)).toBeUndefined()
    expect(kinds).toEqual(['available', 'unavailable'])
  })

  test('is over at once when the signer can be reached again: who wants a certificate waits for the new fetch', async () => {
    const { source, clock, calls, breakSigner, mendSigner } = setUp({ ttlSeconds: 3600 })
    await source.fetch(reviews)
    breakSigner()
    const ratings = id('ratings')
    await expect(source.fetch(ratings)).rejects.toThrow(code('CERTIFICATE_UNAVAILABLE'))
    await clock.advance(HOUR_MS)
    expect([reviews, ratings].map((one) => source.state(one)?.phase)).toEqual(['Unavailable', 'Unavailable'])
    mendSigner()
    const tried = calls.length
    source.retryFailed()
    const svids = await Promise.all([source.fetch(reviews), source.fetch(ratings)])
    expect(svids.map((svid) => svid.id)).toEqual([reviews, ratings])
    source.retryFailed()
    await clock.advance(0)
    expect(calls).toHaveLength(tried + 2)
  })

  test('of one identity does not slow down another', async () => {
    const { source, breakSigner, mendSigner } = setUp()
    breakSigner('no')
    await expect(source.fetch(id('a'))).rejects.toThrow('(no)')
    mendSigner()
    expect((await source.fetch(id('b'))).id).toEqual(id('b'))
  })
})

describe('forgetting', () => {
  test('drops the certificate, its timer, and who waits for it', async () => {
    const { source, clock, setAnswer } = setUp()
    await source.fetch(reviews)
    source.forget(reviews)
    expect(source.state(reviews)).toBeUndefined()
    expect(clock.pending).toBe(0)
    setAnswer(() => new Promise(() => {}))
    const waiting = expect(source.fetch(reviews)).rejects.toThrow(code('CERTIFICATE_FORGOTTEN'))
    await clock.advance(0)
    source.forget(reviews)
    await waiting
    await clock.advance(0)
    expect(clock.pending).toBe(0)
    expect(source.states()).toEqual([])
  })

  test('and wanting again starts anew, while the forgotten request still runs', async () => {
    const { source, clock, setAnswer, authority } = setUp()
    const open: (() => void)[] = []
    setAnswer((csrPem, ttl) => new Promise((resolve) => open.push(() => resolve(authority.signWorkload(csrPem, ttl)))))
    source.prefetch(reviews)
    await clock.advance(0)
    source.forget(reviews)
    const again = source.fetch(reviews)
    await clock.advance(0)
    open[0]!()
    await clock.advance(0)
    expect(source.current(reviews)).toBeUndefined()
    open[1]!()
    expect((await again).id).toEqual(reviews)
  })

  test('of everything comes with disposal', async () => {
    const { source, clock } = setUp()
    await source.fetch(reviews)
    await source[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    expect(clock.pending).toBe(0)
    source.prefetch(reviews)
    expect(source.states()).toEqual([])
    await expect(source.fetch(reviews)).rejects.toThrow(code('CERTIFICATE_FORGOTTEN'))
  })
})

describe('roots that change', () => {
  test('are believed by what is there and by what comes, and leave certificates and keys as they are', async () => {
    const { source, authority, clock } = setUp()
    const other = CertificateAuthority.create({ clock })
    const both = authority.bundle.union(other.bundle)
    const kinds: string[] = []
    source.onChange(({ kind }) => kinds.push(kind))
    const before = await source.fetch(reviews)
    source.trust(both)
    const during = source.current(reviews)!
    expect(during.serialNumber).toBe(before.serialNumber)
    expect(during.privateKey).toBe(before.privateKey)
    expect(during.bundle.equals(both)).toBe(true)
    expect((await source.fetch(id('ratings'))).bundle.equals(both)).toBe(true)
    source.trust(both)
    source.trust(authority.bundle)
    expect(source.current(reviews)!.bundle.equals(authority.bundle)).toBe(true)
    expect(kinds).toEqual(['available', 'trusts-more', 'available', 'trusts-less', 'trusts-less'])
  })

  test('do not wait for an answer that was under way, which may be of before or after', async () => {
    const { source, authority, clock, setAnswer } = setUp()
    const next = CertificateAuthority.create({ clock })
    const held = Promise.withResolvers<void>()
    setAnswer(async (csrPem, ttl) => {
      await held.promise
      return next.signWorkload(csrPem, ttl)
    })
    const fetching = source.fetch(reviews)
    const both = authority.bundle.union(next.bundle)
    source.trust(both)
    held.resolve()
    expect((await fetching).bundle.equals(both)).toBe(true)
  })
})

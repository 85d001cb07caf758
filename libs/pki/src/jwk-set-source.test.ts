import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import {
  type FetchText,
  type JwkSetLocation,
  JwkSetSource,
  type JwkSetSourceInit,
  JwkSetStore,
} from './jwk-set-source.ts'
import { JWK_SET_BYTES_MAX } from './limits.ts'

const MINUTE_MS = 60_000
const URI = 'https://issuer.test/keys'

function documentOf(kid: string): string {
  return JSON.stringify({ keys: [{ kty: 'oct', kid, k: Buffer.alloc(32, 7).toString('base64url') }] })
}

/** A source whose server answers as it is told, and counts. */
function setUp(init: JwkSetSourceInit = {}, location: Exclude<JwkSetLocation, { inline: string }> = { uri: URI }) {
  const clock = new VirtualClock()
  const asked: string[] = []
  let answer: FetchText = async () => documentOf('first')
  const fetchText: FetchText = (url, signal) => {
    asked.push(url)
    return answer(url, signal)
  }
  const source = new JwkSetSource(location, { clock, fetchText }, init)
  return {
    clock,
    asked,
    source,
    answerWith: (next: FetchText) => {
      answer = next
    },
    /** The key's id, or the failure. */
    get: async () => {
      const keys = await source.get()
      return typeof keys === 'string' ? keys : keys.keys[0]?.id
    },
  }
}

describe('JwkSetSource', () => {
  it('fetches once for all who wait, and answers at once while the keys are good', async () => {
    const { asked, source, get, clock } = setUp()
    expect(await Promise.all([get(), get(), get()])).toEqual(['first', 'first', 'first'])
    await clock.advance(5 * MINUTE_MS - 1)
    expect(source.get()).not.toBeInstanceOf(Promise)
    expect(asked).toEqual([URI])
  })

  it('fetches anew after five minutes', async () => {
    const { get, clock, answerWith } = setUp()
    await get()
    answerWith(async () => documentOf('second'))
    await clock.advance(5 * MINUTE_MS)
    expect(await get()).toBe('second')
  })

  it.each<[string, FetchText]>([
    ['an error', () => Promise.reject(new Error('503'))],
    [
      'an exception',
      () => {
        throw new Error('bad URL')
      },
    ],
    ['no JSON', async () => 'oops'],
    ['no keys', async () => '{"keys":[]}'],
    ['too much', async () => documentOf('x'.repeat(JWK_SET_BYTES_MAX))],
  ])('keeps the old keys for an hour when the server answers with %s', async (_, answer) => {
    const { get, clock, answerWith, asked } = setUp()
    await get()
    answerWith(answer)
    await clock.advance(30 * MINUTE_MS)
    expect(await get()).toBe('first')
    await clock.advance(35 * MINUTE_MS)
    expect(await get()).toBe('JwksFetchFail')
    expect(asked).toHaveLength(3)
  })

  it('does without old keys when told to, as Envoy does', async () => {
    const { get, clock, answerWith } = setUp({ staleMsMax: 0 })
    await get()
    answerWith(() => Promise.reject(new Error('down')))
    await clock.advance(5 * MINUTE_MS)
    expect(await get()).toBe('JwksFetchFail')
  })

  it('asks a server that failed once a second, and not for each request', async () => {
    const { get, clock, answerWith, asked, source } = setUp()
    answerWith(() => Promise.reject(new Error('down')))
    expect(await get()).toBe('JwksFetchFail')
    expect(source.get()).toBe('JwksFetchFail')
    expect(asked).toHaveLength(1)
    answerWith(async () => documentOf('back'))
    await clock.advance(1000)
    expect(await get()).toBe('back')
  })

  it('gives up after its timeout, also on a fetch that does not heed the signal', async () => {
    const { get, clock, answerWith } = setUp({ timeoutMs: 10 })
    let aborted = false
    answerWith((_url, signal) => {
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    })
    const keys = get()
    await clock.advance(10)
    expect([await keys, aborted, clock.pending]).toEqual(['JwksFetchFail', true, 0])
  })

  it.each(['https://issuer.test', 'https://issuer.test/'])('finds the keys of %s by discovery', async (discovery) => {
    const { get, asked, answerWith } = setUp({}, { discovery })
    answerWith(async (url) => (url === URI ? documentOf('found') : JSON.stringify({ jwks_uri: URI })))
    expect(await get()).toBe('found')
    expect(asked).toEqual(['https://issuer.test/.well-known/openid-configuration', URI])
  })

  it.each(['{}', '{', 'null', '{"jwks_uri":"file:///etc/passwd"}', '{"jwks_uri":1}'])(
    'goes nowhere by the discovery document %s',
    async (text) => {
      const { get, asked, answerWith } = setUp({}, { discovery: 'https://issuer.test' })
      answerWith(async () => text)
      expect(await get()).toBe('JwksFetchFail')
      expect(asked).toHaveLength(1)
    },
  )
})

describe('JwkSetStore', () => {
  it('reads a document once, however many ask for it', async () => {
    const asked: string[] = []
    const fetchText: FetchText = async (url) => {
      asked.push(url)
      return documentOf('k')
    }
    const store = new JwkSetStore({ clock: new VirtualClock(), fetchText })
    const first = await store.keysAt({ uri: URI }, 5000)
    expect(store.keysAt({ uri: URI }, 5000)).toBe(first)
    expect(asked).toEqual([URI])
    const inline = documentOf('k')
    expect(store.keysAt({ inline }, 5000)).toBe(store.keysAt({ inline }, 1))
  })

  it('has one word for whatever is wrong with keys at hand', () => {
    const store = new JwkSetStore({ clock: new VirtualClock(), fetchText: () => Promise.reject(new Error('unused')) })
    expect(['', '{}', '{"keys":[]}'].map((inline) => store.keysAt({ inline }, 1))).toEqual([
      ...['JwksNoValidKeys', 'JwksNoValidKeys', 'JwksNoValidKeys'],
    ])
  })
})

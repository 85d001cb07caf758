import type { HashPolicy } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { HeaderMap } from '../../http1/headers.ts'
import type { HttpStream } from '../http-stream.ts'
import { hashText } from '../upstream/hash.ts'
import { hashRequest } from './hash-policy.ts'

/** As much of a request as a hash is made of. */
function requestOf(headers: readonly (readonly [string, string])[] = [], path = '/?a=1&b=2'): HttpStream {
  const peer = { address: { address: '10.0.0.1', port: 40_000 } }
  return { request: { headers: new HeaderMap(headers), path }, peer } as unknown as HttpStream
}

const hashed = (policy: HashPolicy | undefined, stream = requestOf()) => hashRequest(policy, stream, () => 'new')

describe('the hash of a request', () => {
  const cookie = { kind: 'cookie', name: 'c' } as const
  it.each<[string, HashPolicy | undefined, HttpStream, string | undefined]>([
    ['nothing', undefined, requestOf(), undefined],
    ['a header', { kind: 'header', name: 'x-user' }, requestOf([['x-user', 'ann']]), 'ann'],
    ['a header that is not there', { kind: 'header', name: 'x-user' }, requestOf(), undefined],
    ['the source', { kind: 'source-ip' }, requestOf(), '10.0.0.1'],
    ['a parameter', { kind: 'query-parameter', name: 'b' }, requestOf(), '2'],
    ['a parameter that is not there', { kind: 'query-parameter', name: 'c' }, requestOf([], '/'), undefined],
    ['a cookie among others', cookie, requestOf([['cookie', 'a=1; c="2"; d=3']]), '2'],
    ['a cookie that is not there', cookie, requestOf([['cookie', 'cc=1']]), undefined],
  ])('is made of %s', (_, policy, stream, text) => {
    expect(hashed(policy, stream)).toEqual(text === undefined ? undefined : { hash: hashText(text) })
  })

  it.each<[Partial<Extract<HashPolicy, { kind: 'cookie' }>>, string]>([
    [{ ttlSeconds: 0 }, 'c="new"; HttpOnly'],
    [{ ttlSeconds: 60, path: '/shop' }, 'c="new"; Max-Age=60; Path=/shop; HttpOnly'],
    [
      {
        ttlSeconds: 60,
        attributes: [
          { name: 'SameSite', value: 'Lax' },
          { name: 'Secure', value: '' },
        ],
      },
      'c="new"; Max-Age=60; SameSite=Lax; Secure; HttpOnly',
    ],
  ])('comes with a cookie where there is none: %j', (more, setCookie) => {
    expect(hashed({ ...cookie, ...more })).toEqual({ hash: hashText('new'), setCookie })
    const known = requestOf([['cookie', 'c=old']])
    expect(hashed({ ...cookie, ...more }, known)).toEqual({ hash: hashText('old') })
  })
})

import { CodedError } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { formatSpiffeId, parseSpiffeId, parseSpiffeUri, sameSpiffeId } from './spiffe-id.ts'
import { isTrustDomain, parseTrustDomain } from './trust-domain.ts'

describe('SPIFFE id of Istio', () => {
  test('survives a round trip', () => {
    const text = 'spiffe://td.example/ns/bookinfo/sa/bookinfo-reviews'
    const id = parseSpiffeId(text)
    expect(id).toEqual({ trustDomain: 'td.example', namespace: 'bookinfo', serviceAccount: 'bookinfo-reviews' })
    expect(formatSpiffeId(id)).toBe(text)
    expect(sameSpiffeId(id, parseSpiffeId(text))).toBe(true)
    expect(sameSpiffeId(id, { ...id, serviceAccount: 'other' })).toBe(false)
  })

  test.each([
    '',
    'spiffe://',
    'spiffe://td',
    'spiffe://td/',
    'http://td/ns/a/sa/b',
    'SPIFFE://td/ns/a/sa/b',
    'spiffe://td/ns/a/sa',
    'spiffe://td/ns/a/sa/',
    'spiffe://td/ns//sa/b',
    'spiffe://td/ns/a/sa/b/c',
    'spiffe://td/ns/a/sa/b/',
    'spiffe://td/sa/a/ns/b',
    'spiffe://td/NS/a/sa/b',
    'spiffe://Td/ns/a/sa/b',
    'spiffe://td:80/ns/a/sa/b',
    'spiffe://user@td/ns/a/sa/b',
    'spiffe://td/ns/../sa/b',
    'spiffe://td/ns/./sa/b',
    'spiffe://td/ns/a%2f/sa/b',
    'spiffe://td/ns/a/sa/b?x=1',
    'spiffe://td/ns/a/sa/b#f',
    'spiffe://td/ns/a b/sa/c',
    'spiffe://td/ns/a/sa/b\n',
    `spiffe://td/ns/a/sa/${'b'.repeat(2048)}`,
    `spiffe://${'t'.repeat(256)}/ns/a/sa/b`,
  ])('refuses %j', (text) => {
    expect(() => parseSpiffeId(text)).toThrow(CodedError)
    expect(() => parseSpiffeId(text)).toThrow(/^not a SPIFFE id/)
  })
})

describe('SPIFFE id of any form', () => {
  test.each([
    ['spiffe://trustdomain', 'trustdomain', ''],
    ['spiffe://trustdomain/path', 'trustdomain', '/path'],
    ['spiffe://trustdomain/...', 'trustdomain', '/...'],
    ['spiffe://trust_domain-1.x/A/b_c', 'trust_domain-1.x', '/A/b_c'],
  ])('reads %s', (text, trustDomain, path) => {
    expect(parseSpiffeUri(text)).toEqual({ trustDomain, path })
  })

  test.each(['spiffe:///path', 'spiffe://td//', 'spiffe://td/a//b', 'spiffe://td/a/', 'spiffe://td/é'])(
    'refuses %s',
    (text) => {
      expect(() => parseSpiffeUri(text)).toThrow(/^not a SPIFFE id/)
    },
  )
})

test('a trust domain is lower case letters, digits, dots, dashes, underscores', () => {
  for (let code = 0; code < 256; code += 1) {
    const character = String.fromCharCode(code)
    expect(isTrustDomain(`td${character}`), JSON.stringify(character)).toBe(/[a-z0-9._-]/.test(character))
  }
  expect(() => parseTrustDomain('')).toThrow('not a trust domain')
  expect(parseTrustDomain('cluster.local')).toBe('cluster.local')
})

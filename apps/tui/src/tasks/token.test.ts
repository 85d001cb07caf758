import { expect, it } from 'vitest'
import { parseClaims } from './token.ts'

it.each([
  ['team=a', { team: 'a' }],
  ['level=3', { level: 3 }],
  ['groups=["a","b"]', { groups: ['a', 'b'] }],
  ['nested={"a":{"b":1}}', { nested: { a: { b: 1 } } }],
  ['equation=a=b', { equation: 'a=b' }],
  ['empty=', { empty: '' }],
])('%s', (text, claims) => {
  expect(parseClaims([text])).toEqual(claims)
})

it.each(['', '=x', 'name'])('refuses %j', (text) => {
  expect(() => parseClaims([text])).toThrow(/is no claim/)
})

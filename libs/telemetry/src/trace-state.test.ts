import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { propagatedTracestate } from './trace-state.ts'

describe('propagatedTracestate', () => {
  test.each([
    ['foo=1', 'foo=1'],
    ['foo=1, bar=2\t,,', 'foo=1,bar=2'],
    ['foo=1,foo=2', 'foo=1,foo=2'],
    ['0a@b@@c=x y', '0a@b@@c=x y'],
    [`${'z'.repeat(256)}=1`, `${'z'.repeat(256)}=1`],
    [`a=${'v'.repeat(256)}`, `a=${'v'.repeat(256)}`],
    [Array.from({ length: 32 }, (_, index) => `k${index}=1`).join(','), expect.any(String)],
  ])('%j goes on', (text, want) => {
    expect(propagatedTracestate(text)).toEqual(want)
  })

  test.each([
    ['nothing', ''],
    ['only empty members', ', ,'],
    ['a key that begins with an at sign', '@foo=1,bar=2'],
    ['a key in upper case', 'Foo=1'],
    ['no key', '=1'],
    ['no value', 'foo='],
    ['no equals sign', 'foo'],
    ['a second equals sign', 'foo=1=2'],
    ['a key too long', `${'z'.repeat(257)}=1`],
    ['a value too long', `a=${'v'.repeat(257)}`],
    ['a control character', 'foo=\u0007'],
    ['33 members', Array.from({ length: 33 }, (_, index) => `k${index}=1`).join(',')],
  ])('%s does not', (_, text) => {
    expect(propagatedTracestate(text)).toBeUndefined()
  })

  test('whatever comes, what goes on goes on unchanged', () => {
    const random = new SeededRandom(1)
    const alphabet = ['a', 'Z', '0', '@', '=', ',', ' ', '\t', '~', '\u0000', 'ÿ']
    for (let round = 0; round < 5000; round += 1) {
      const text = Array.from({ length: random.integer(24) }, () => alphabet[random.integer(alphabet.length)]).join('')
      const first = propagatedTracestate(text)
      if (first !== undefined) expect(propagatedTracestate(first)).toBe(first)
    }
  })
})

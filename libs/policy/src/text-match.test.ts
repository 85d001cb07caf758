import { describe, expect, it } from 'vitest'
import { anyText, formatText, isStringMatch, isTextMatch, textPredicate } from './text-match.ts'

describe('text matches', () => {
  it.each([
    ['a*b', 'ab', true],
    ['a*b', 'a-b', true],
    ['a*b', 'a', false],
    ['aa*aa', 'aaa', false],
    ['*', '', true],
    ['*a*', 'xay', true],
    ['*a*a*', 'xay', false],
    ['a**b', 'ab', true],
    ['plain', 'plain', true],
    ['plain', 'plain2', false],
    ['*/ns/*a/*', 'td/ns/bar/sa/x', true],
  ])('glob %s and %j: %s', (glob, text, matches) => {
    expect(textPredicate({ glob })(text)).toBe(matches)
  })

  it('is done with a glob of many stars over a long text', () => {
    const matches = textPredicate({ glob: `${'*a'.repeat(500)}*b` })
    expect(matches('a'.repeat(100_000))).toBe(false)
  })

  it('compares many whole texts by one look', () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ exact: `v${index}` }))
    const matches = anyText([...many, { prefix: 'x' }])
    expect(['v999', 'v1000', 'x1', ''].map(matches)).toEqual([true, false, true, false])
  })

  it.each([
    [{ exact: 'a' }, true, true],
    [{ presence: true }, true, true],
    [{ glob: 'a*' }, false, true],
    [{ presence: false }, false, false],
    [{ exact: 'a', prefix: 'b' }, false, false],
    [{ exact: 1 }, false, false],
    [{}, false, false],
    [null, false, false],
    ['a', false, false],
  ])('%j is a string match: %s, a text match: %s', (value, string, text) => {
    expect([isStringMatch(value), isTextMatch(value)]).toEqual([string, text])
  })

  it('is written as a policy would', () => {
    const all = [{ exact: 'a' }, { prefix: 'a' }, { suffix: 'a' }, { presence: true as const }, { glob: 'a*b' }]
    expect(all.map(formatText)).toEqual(['a', 'a*', '*a', '*', 'a*b'])
  })
})

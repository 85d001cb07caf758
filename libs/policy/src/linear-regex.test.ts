import { CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { REGEX_PATTERN_MAX } from './limits.ts'
import { LinearRegex } from './linear-regex.ts'

describe('LinearRegex', () => {
  it.each([
    ['/api/v[0-9]+', '/api/v1', true],
    ['/api/v[0-9]+', '/api/v1/', false],
    ['/api/v[0-9]+', 'x/api/v1', false],
    ['a|ab', 'ab', true],
    ['(?i)bearer .*', 'BEARER x', true],
    ['', '', true],
    ['', 'x', false],
    ['.*', 'a\nb', false],
    ['^/a$', '/a', true],
    ['[[:alpha:]]+', 'abc', true],
    ['\\pL+', 'äöü', true],
  ])('%s matches all of %j: %s', (pattern, text, matches) => {
    expect(LinearRegex.compile(pattern).matches(text)).toBe(matches)
  })

  it.each([
    ['a(', 'missing closing'],
    ['(a)\\1', 'invalid escape'],
    ['(?=a)', 'invalid'],
    ['a{2000}', 'invalid repeat'],
  ])('refuses %s', (pattern, reason) => {
    expect(() => LinearRegex.compile(pattern)).toThrow(reason)
  })

  it('refuses what would be too large, with a code', () => {
    const tooLarge = ['x'.repeat(REGEX_PATTERN_MAX + 1), '(x{1000}){1}'.repeat(40)]
    for (const pattern of tooLarge) {
      try {
        LinearRegex.compile(pattern)
        expect.unreachable()
      } catch (error) {
        expect(CodedError.is(error, 'INVALID_REGEX')).toBe(true)
      }
    }
  })

  it('compiles a pattern once', () => {
    expect(LinearRegex.compile('a+b')).toBe(LinearRegex.compile('a+b'))
  })

  // Each of these takes a backtracking engine longer than the universe is old; here the test is that they end.
  it.each([
    '(a+)+$',
    '(a|a)*$',
    '(a|aa)+$',
    '(.*a){25}$',
    '([a-z]+)*[0-9]$',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
  ])('is done with a hostile text for %s', (pattern) => {
    const text = `${'a'.repeat(50_000)}!`
    expect(LinearRegex.compile(pattern).matches(text)).toBe(false)
    expect(LinearRegex.compile(pattern).matches(`${'x'.repeat(50_000)}!`)).toBe(false)
  })

  it.each([
    ['^/service/([^/]+)(/.*)$', '/service/foo/v1/api', '\\2/instance/\\1', '/v1/api/instance/foo'],
    ['one', 'xxone/yyone', 'two', 'xxtwo/yytwo'],
    ['(?i)/XXX/', '/aaa/xXx/bbb', '/yyy/', '/aaa/yyy/bbb'],
    ['a', 'banana', '\\0\\0', 'baanaanaa'],
    ['x*', 'ab', '-', '-a-b-'],
    ['a', 'a', '\\\\', '\\'],
    ['(a)|b', 'ab', '[\\1]', '[a][]'],
  ])('replaces %s in %s by %s', (pattern, text, substitution, replaced) => {
    expect(LinearRegex.compile(pattern).replaceAll(text, substitution)).toBe(replaced)
  })

  it('refuses a substitution that names what is not there', () => {
    expect(() => LinearRegex.compile('a').replaceAll('a', '\\1')).toThrow('no group 1')
    expect(() => LinearRegex.compile('a').replaceAll('a', 'x\\')).toThrow('neither a group nor a backslash')
  })
})

import { describe, expect, test } from 'vitest'
import { isFqdn, isIpOrCidr, isPortText, isSocketAddress, isWildcardDomain, overlap } from './istio-names.ts'

const cases: readonly [
  name: string,
  judge: (text: string) => boolean,
  yes: readonly string[],
  no: readonly string[],
][] = [
  [
    'isFqdn',
    isFqdn,
    ['a', 'a.b', 'a.b.', 'A-1.b', '1.2.3.4'],
    ['', '.', 'a..b', '-a', 'a-', '*.a', 'a b', 'x'.repeat(64)],
  ],
  [
    'isWildcardDomain',
    isWildcardDomain,
    ['*', '*.a', '*-a.b', '*a.b', 'a.b'],
    ['', '-', 'a.*', 'a*.b', '**.a', '*.', '*..a'],
  ],
  [
    'isIpOrCidr',
    isIpOrCidr,
    ['1.2.3.4', '10.0.0.0/8', '::1', 'fd00::/8'],
    ['', 'a', '1.2.3', '1.2.3.4/33', '1.2.3.4/', '::/129'],
  ],
  ['isPortText', isPortText, ['1', '80', '65535'], ['', '0', '65536', '-1', '80a', '1e3', '0x50']],
  [
    'isSocketAddress',
    isSocketAddress,
    ['unix:///a', 'unix://@a'],
    ['', 'unix://', 'unix:///', 'unix://a', '/a', 'unix:///a/'],
  ],
]

describe.each(cases)('%s', (_, judge, yes, no) => {
  test.each(yes)('%j is one', (text) => expect(judge(text)).toBe(true))
  test.each(no)('%j is none', (text) => expect(judge(text)).toBe(false))
})

test.each([
  ['a.b', 'a.b', true],
  ['*', 'a.b', true],
  ['*.b', 'a.b', true],
  ['*.a.b', '*.b', true],
  ['*.b', 'b', false],
  ['*.a', '*.b', false],
  ['a.b', 'c.b', false],
])('%s and %s overlap: %s', (one, other, wanted) => {
  expect(overlap(one, other)).toBe(wanted)
  expect(overlap(other, one)).toBe(wanted)
})

import { describe, expect, it } from 'vitest'
import { canonicalIp, cidrContains, formatCidr, formatIp, formatSocketAddress, parseCidr, parseIp } from './ip.ts'

describe('parseIp', () => {
  it.each([
    ['10.244.1.5', '10.244.1.5'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('reads %s as %s', (text, canonical) => {
    expect(formatIp(parseIp(text)!)).toBe(canonical)
    expect(canonicalIp(text)).toBe(canonical)
  })

  it.each(['', '1', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1..2.3', '1.2.3.4.', 'a.b.c.d', ':', ':::'])(
    'refuses %j',
    (text) => {
      expect(parseIp(text)).toBeUndefined()
      expect(canonicalIp(text)).toBeUndefined()
    },
  )

  it.each(['1::2::3', '12345::', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7', '::1.2.3', '1.2.3.4::', '[::1]', 'fe80::1%lo'])(
    'refuses %j',
    (text) => {
      expect(parseIp(text)).toBeUndefined()
    },
  )
})

describe('parseCidr', () => {
  it.each([
    ['127.0.0.1/24', '127.0.0.200', true],
    ['127.0.0.1/24', '127.0.1.1', false],
    ['10.0.0.0/8', '10.255.255.255', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '::1', false],
    ['10.0.0.7', '10.0.0.7', true],
    ['10.0.0.7', '10.0.0.8', false],
    ['128.0.0.0/1', '200.1.1.1', true],
    ['fd00::/112', 'fd00::5', true],
    ['fd00::/112', 'fd00::1:0', false],
    ['::/0', 'fd00::1:0', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ])('%s contains %s: %s', (range, address, contained) => {
    expect(cidrContains(parseCidr(range)!, parseIp(address)!)).toBe(contained)
  })

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/08', 'x/8', '::/129', '/8'])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeUndefined()
  })

  it('clears host bits', () => {
    expect(formatCidr(parseCidr('10.1.2.3/8')!)).toBe('10.0.0.0/8')
    expect(formatCidr(parseCidr('fd00::1:2/64')!)).toBe('fd00::/64')
  })
})

it('puts brackets around IPv6 only', () => {
  expect(formatSocketAddress('10.0.0.1', 80)).toBe('10.0.0.1:80')
  expect(formatSocketAddress('::1', 80)).toBe('[::1]:80')
})

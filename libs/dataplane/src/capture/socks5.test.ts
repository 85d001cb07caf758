import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { parseSocksGreeting, parseSocksRequest, socksReply } from './socks5.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)
const nameRequest = (name: string, port: number) =>
  bytes(5, 1, 0, 3, name.length, ...Buffer.from(name, 'latin1'), port >> 8, port & 255)

describe('parseSocksGreeting', () => {
  it('takes a client that offers no authentication among others', () => {
    expect(parseSocksGreeting(bytes(5, 2, 2, 0, 9))).toEqual({ consumed: 4, acceptsNoAuthentication: true })
    expect(parseSocksGreeting(bytes(5, 1, 2))).toMatchObject({ acceptsNoAuthentication: false })
    expect(parseSocksGreeting(bytes(5, 0))).toMatchObject({ consumed: 2, acceptsNoAuthentication: false })
  })

  it('waits for what is missing and refuses another version', () => {
    expect(parseSocksGreeting(bytes())).toBeUndefined()
    expect(parseSocksGreeting(bytes(5))).toBeUndefined()
    expect(parseSocksGreeting(bytes(5, 3, 0, 1))).toBeUndefined()
    expect(parseSocksGreeting(bytes(4, 1, 0))).toEqual({ malformed: 'SOCKS version 4' })
  })
})

describe('parseSocksRequest', () => {
  it.each([
    ['IPv4', bytes(5, 1, 0, 1, 10, 96, 0, 10, 0x23, 0x78), '10.96.0.10', 9080],
    ['IPv6', bytes(5, 1, 0, 4, 0xfd, 0, ...new Array(13).fill(0), 1, 0, 80), 'fd00::1', 80],
    ['name', nameRequest('reviews.default', 9080), 'reviews.default', 9080],
    ['literal sent as a name', nameRequest('10.0.0.1', 80), '10.0.0.1', 80],
  ])('reads %s', (_what, request, host, port) => {
    expect(parseSocksRequest(request)).toEqual({ consumed: request.length, isConnect: true, host, port })
    for (let length = 0; length < request.length; length += 1) {
      expect(parseSocksRequest(request.subarray(0, length))).toBeUndefined()
    }
  })

  it.each([
    ['address type 2', bytes(5, 1, 0, 2, 1, 1, 1, 1, 0, 80), 'SOCKS address type 2'],
    ['port 0', nameRequest('reviews', 0), 'SOCKS destination port is 0'],
    ['empty name', nameRequest('', 80), 'SOCKS destination is no host name'],
    ['a name that would break a line', nameRequest('a\r\nb', 80), 'SOCKS destination is no host name'],
    ['a name with a slash', nameRequest('a/b', 80), 'SOCKS destination is no host name'],
  ])('refuses %s', (_what, request, malformed) => {
    expect(parseSocksRequest(request)).toEqual({ malformed })
  })

  it('tells BIND and UDP ASSOCIATE from CONNECT', () => {
    expect(parseSocksRequest(bytes(5, 2, 0, 1, 10, 0, 0, 1, 0, 80))).toMatchObject({ isConnect: false })
  })

  it('never throws, never reads beyond its bytes, on anything', () => {
    const random = new SeededRandom(20261123)
    for (let round = 0; round < 20_000; round += 1) {
      const noise = Uint8Array.from({ length: random.integer(300) }, () => random.integer(256))
      if (random.integer(4) > 0) noise.set([5, random.integer(4), 0, random.integer(6)].slice(0, noise.length))
      const step = parseSocksRequest(noise)
      if (!step || 'malformed' in step) continue
      expect(step.consumed).toBeLessThanOrEqual(noise.length)
      expect(step.host).toMatch(/^[0-9A-Za-z:._-]+$/)
    }
  })
})

it('replies with a bound address of zeros', () => {
  expect([...socksReply(4)]).toEqual([5, 4, 0, 1, 0, 0, 0, 0, 0, 0])
})

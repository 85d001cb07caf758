import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { PROXY_HEADER_BYTES_MAX } from '../limits.ts'
import { encodeProxyHeader, encodeProxyLine, parseProxyHeader, TLV_SOURCE_IDENTITY } from './proxy-protocol.ts'

const v4 = { address: '10.244.1.4', port: 41_000 }
const v6 = { address: 'fd00::5', port: 8080 }

describe('PROXY protocol v2', () => {
  it.each([
    ['IPv4', v4, { address: '10.244.2.5', port: 9080 }],
    ['IPv6', { address: '::1', port: 1 }, v6],
    ['IPv4 beside IPv6', v4, v6],
  ])('carries %s there and back', (_what, source, destination) => {
    const tlvs = new Map([[TLV_SOURCE_IDENTITY, Buffer.from('spiffe://cluster.local/ns/a/sa/b')]])
    for (const header of [encodeProxyHeader(source, destination), encodeProxyHeader(source, destination, tlvs)]) {
      const step = parseProxyHeader(Buffer.concat([header, Buffer.from('GET /')]))
      expect(step).toMatchObject({ consumed: header.length, header: { source, destination } })
      for (let length = 0; length < header.length; length += 1) {
        expect(parseProxyHeader(header.subarray(0, length))).toBeUndefined()
      }
    }
    const step = parseProxyHeader(encodeProxyHeader(source, destination, tlvs))
    const identity = step && 'header' in step ? step.header.tlvs.get(TLV_SOURCE_IDENTITY) : undefined
    expect(Buffer.from(identity!).toString()).toBe('spiffe://cluster.local/ns/a/sa/b')
  })

  it('is the bytes of the specification', () => {
    const header = Buffer.from(encodeProxyHeader({ address: '1.2.3.4', port: 258 }, { address: '5.6.7.8', port: 80 }))
    expect(header.toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c010203040506070801020050')
  })

  it.each([
    ['plain HTTP', (bytes: Uint8Array) => Buffer.from('GET / HTTP/1.1\r\n\r\n').copy(bytes)],
    ['version 1', (bytes: Uint8Array) => bytes.set([0x11], 12)],
    ['LOCAL', (bytes: Uint8Array) => bytes.set([0x20], 12)],
    ['UDP', (bytes: Uint8Array) => bytes.set([0x12], 13)],
    ['a length below the addresses', (bytes: Uint8Array) => bytes.set([0, 11], 14)],
    ['a length beyond the limit', (bytes: Uint8Array) => bytes.set([0xff, 0xff], 14)],
    ['a TLV beyond the header', (bytes: Uint8Array) => bytes.set([0, 99], 29)],
  ])('refuses %s', (_what, spoil) => {
    const bytes = encodeProxyHeader(v4, v4, new Map([[1, new Uint8Array(2)]]))
    spoil(bytes)
    expect(parseProxyHeader(bytes)).toHaveProperty('malformed')
  })

  it('never throws on anything', () => {
    const random = new SeededRandom(3)
    const valid = encodeProxyHeader(v4, v6, new Map([[1, new Uint8Array(20)]]))
    for (let round = 0; round < 20_000; round += 1) {
      const mutant = Uint8Array.from(valid)
      for (let edit = random.integer(3); edit >= 0; edit -= 1) {
        mutant[12 + random.integer(mutant.length - 12)] = random.integer(256)
      }
      const step = parseProxyHeader(mutant.subarray(0, random.integer(mutant.length + 1)))
      if (step && 'consumed' in step) expect(step.consumed).toBeLessThanOrEqual(PROXY_HEADER_BYTES_MAX)
    }
  })
})

describe('PROXY protocol v1', () => {
  it.each([
    [v4, { address: '10.96.0.1', port: 80 }, 'PROXY TCP4 10.244.1.4 10.96.0.1 41000 80\r\n'],
    [v6, v6, 'PROXY TCP6 fd00::5 fd00::5 8080 8080\r\n'],
    [v4, v6, 'PROXY UNKNOWN\r\n'],
    [v4, { address: 'web.default.svc', port: 80 }, 'PROXY UNKNOWN\r\n'],
  ])('says of a connection from %j to %j', (source, destination, line) => {
    expect(Buffer.from(encodeProxyLine(source, destination)).toString()).toBe(line)
  })
})

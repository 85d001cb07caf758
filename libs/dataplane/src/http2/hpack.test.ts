import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it, test } from 'vitest'
import { HeaderMap } from '../http1/headers.ts'
import { ConnectionFault } from './errors.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { encodeHeaders, HpackEncoder } from './hpack-encoder.ts'
import { decodeHuffman, huffmanCodes } from './huffman.ts'
import { MessageFields } from './message-fields.ts'

const CODES = huffmanCodes()
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

function decode(decoder: HpackDecoder, bytes: Uint8Array): MessageFields {
  const fields = new MessageFields()
  fields.begin()
  decoder.decode(bytes, 0, bytes.length, fields)
  return fields
}

/** Pseudo fields and the others, as one list. */
function told(fields: MessageFields): string[] {
  const { method, scheme, path, authority, status } = fields
  const pseudo = [method, scheme, path, authority, status].filter((value) => value !== undefined)
  return [...pseudo, ...[...fields.takeHeaders()].map(([name, value]) => `${name}: ${value}`)]
}

function encode(encoder: HpackEncoder, fields: readonly (readonly [string, string])[]): Buffer {
  encoder.begin()
  for (const [name, value] of fields) encoder.field(name, value)
  return Buffer.from(encoder.block.subarray(0, encoder.length))
}

describe('the examples of RFC 7541, Appendix C', () => {
  test.each([
    {
      title: 'requests without Huffman code',
      table: 4096,
      blocks: [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      wanted: [
        ['GET', 'http', '/', 'www.example.com'],
        ['GET', 'http', '/', 'www.example.com', 'cache-control: no-cache'],
        ['GET', 'https', '/index.html', 'www.example.com', 'custom-key: custom-value'],
      ],
    },
    {
      title: 'requests with Huffman code',
      table: 4096,
      blocks: [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      wanted: [
        ['GET', 'http', '/', 'www.example.com'],
        ['GET', 'http', '/', 'www.example.com', 'cache-control: no-cache'],
        ['GET', 'https', '/index.html', 'www.example.com', 'custom-key: custom-value'],
      ],
    },
    {
      title: 'responses that push each other out of a small table',
      table: 256,
      blocks: [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
      wanted: [
        ['302', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com'],
        ['307', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com'],
        [
          '200',
          'cache-control: private',
          'date: Mon, 21 Oct 2013 20:13:22 GMT',
          'location: https://www.example.com',
          'content-encoding: gzip',
          'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
        ],
      ],
    },
  ])('$title', ({ table, blocks, wanted }) => {
    const decoder = new HpackDecoder(table)
    expect(blocks.map((one) => told(decode(decoder, hex(one))))).toEqual(wanted)
  })
})

describe('a block that cannot be decoded', () => {
  test.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['a name beyond the tables', '7e 01 61'],
    ['an integer without an end', 'ff ff ff ff ff ff 00'],
    ['an integer that is cut', 'ff'],
    ['a text that is longer than the block', '00 05 61'],
    ['a text that is missing', '00 01 61'],
    ['padding of more than seven bits', '00 01 61 82 1f ff'],
    ['padding that is not of EOS', '00 01 61 81 18'],
    ['EOS in a text', '00 01 61 84 ff ff ff ff'],
    ['a size of the table beyond what is allowed', '3f e2 1f'],
    ['a size of the table behind a field', '82 20'],
  ])('%s', (_title, bytes) => {
    expect(() => decode(new HpackDecoder(), hex(bytes))).toThrow(ConnectionFault)
  })
})

test.each([
  ['a name with an upper case letter', '00 01 41 01 61'],
  ['an empty name', '00 00 01 61'],
  ['a lone colon', '00 01 3a 01 61'],
  ['a name that is no token', '00 02 61 20 01 61'],
  ['an unknown pseudo field', '00 02 3a 61 01 61'],
  ['a line break in a value', '00 01 61 03 61 0a 62'],
  ['a zero in a value', '00 01 61 01 00'],
  ['white space in front of a value', '00 01 61 02 20 61'],
  ['white space behind a value', '00 01 61 02 61 09'],
  ['a field of connections', '00 0a 636f6e6e656374696f6e 01 61'],
  ['a field of connections from the static table', '0f 2a 01 61'],
  ['TE with more than trailers', '00 02 7465 04 677a6970'],
  ['two lengths', '0f 0d 01 31 0f 0d 01 31'],
  ['a length that is no number', '0f 0d 02 2b31'],
  ['a pseudo field behind a field', '00 01 61 01 62 82'],
  ['a pseudo field twice', '82 82'],
])('decodes and refuses %s, also from the table', (_title, bytes) => {
  const decoder = new HpackDecoder()
  expect(decode(decoder, hex(bytes)).malformed).toBe(true)
  expect(decode(decoder, hex('82')).malformed).toBe(false)
})

it('remembers what was wrong with a field in the table', () => {
  const decoder = new HpackDecoder()
  expect(decode(decoder, hex('40 01 61 01 00')).malformed).toBe(true)
  expect(decode(decoder, hex('be')).malformed).toBe(true)
  // Its name was right.
  expect(decode(decoder, hex('7e 01 62')).malformed).toBe(false)
})

it('joins cookies, and knows what may be in no table', () => {
  const cookies = decode(new HpackDecoder(), hex('60 03 613d62 00 01 61 01 62 60 03 633d64'))
  expect([...cookies.takeHeaders()]).toEqual([
    ['cookie', 'a=b; c=d'],
    ['a', 'b'],
  ])
  const secret = decode(new HpackDecoder(), hex('10 01 61 01 62 00 01 63 01 64')).takeHeaders()
  expect(secret.neverIndexed).toEqual(['a'])
  const encoder = new HpackEncoder()
  for (let time = 0; time < 3; time += 1) {
    encoder.begin()
    encodeHeaders(encoder, secret.clone())
    expect(encoder.block.subarray(0, 5).toString('hex')).toBe('1001610162')
  }
})

it('counts what a block becomes, not what it is: a small one can say the same large field again and again', () => {
  const decoder = new HpackDecoder()
  const large = Buffer.concat([hex('40 01 61 7f a1 1e'), Buffer.alloc(4000, 'x')])
  expect(decode(decoder, large).tooLarge).toBe(false)
  const fields = decode(decoder, Buffer.alloc(1000, 0xbe))
  expect(fields.tooLarge).toBe(true)
  expect(fields.takeHeaders().size).toBeLessThan(16)
})

it('puts into the table what comes a second time, and nothing that is secret or always new', () => {
  const encoder = new HpackEncoder()
  const fields = [
    [':status', '200'],
    ['x-a', 'a value'],
    ['x-request-id', 'an id'],
    ['authorization', 'Bearer x'],
  ] as const
  const sizes = [1, 2, 3].map(() => encode(encoder, fields).length)
  expect(sizes[1]).toBe(sizes[0])
  expect(sizes[2]).toBe(sizes[0]! - 'x-a'.length - 'a value'.length - 2)
  const last = encode(encoder, fields)
  expect(last.subarray(0, 2).toString('hex')).toBe('88be')
  expect(last.toString('latin1')).toContain('Bearer x')
  expect(last[last.indexOf('Bearer x') - 3]).toBe(0x1f) // never indexed, the name of the static table
})

describe('the size of the table', () => {
  it('is told at the beginning of the next block, with the smallest in between', () => {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    for (let time = 0; time < 3; time += 1) decode(decoder, encode(encoder, [['x-a', 'b']]))
    encoder.limitTable(0)
    encoder.limitTable(100)
    const bytes = encode(encoder, [['x-a', 'b']])
    expect(bytes.subarray(0, 3).toString('hex')).toBe('203f45')
    expect(told(decode(decoder, bytes))).toEqual(['x-a: b'])
    encoder.limitTable(1_000_000)
    expect(encode(encoder, []).toString('hex')).toBe('3fe11f') // ours is 4096 at most
  })
})

it('decodes what it encodes, whatever the table (seeded)', () => {
  const random = new SeededRandom(7)
  for (let connection = 0; connection < 60; connection += 1) {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    for (let message = 0; message < 60; message += 1) {
      if (random.integer(10) === 0) encoder.limitTable(random.integer(3) === 0 ? 0 : random.integer(5000))
      const headers = new HeaderMap()
      const count = random.integer(12)
      for (let index = 0; index < count; index += 1) {
        const name = ['x-a', 'x-b', 'server', 'date', 'set-cookie', 'age', `x-${random.integer(400)}`][
          random.integer(7)
        ]!
        headers.append(name, `v${'y'.repeat(random.integer(random.integer(8) === 0 ? 900 : 40))}${random.integer(3)}`)
      }
      encoder.begin()
      encodeHeaders(encoder, headers)
      const fields = decode(decoder, encoder.block.subarray(0, encoder.length))
      expect(fields.malformed).toBe(false)
      expect([...fields.takeHeaders()]).toEqual([...headers])
    }
  }
})

it('decodes every text of Huffman code, and none that is cut (seeded)', () => {
  expect(CODES.reduce((sum, { bits }) => sum + 2 ** -bits, 0)).toBe(1)
  const random = new SeededRandom(11)
  const into = Buffer.alloc(4096)
  for (let run = 0; run < 3000; run += 1) {
    const text = Uint8Array.from({ length: random.integer(40) }, () =>
      random.integer(2) === 0 ? random.integer(256) : 97 + random.integer(26),
    )
    const bits = [...text].map((symbol) => codeText(symbol)).join('')
    const bytes = bytesOf(bits.padEnd(8 * Math.ceil(bits.length / 8), '1'))
    const length = decodeHuffman(bytes, 0, bytes.length, into)
    expect(into.subarray(0, length).equals(text)).toBe(true)
    const spoilt = bytesOf(`${bits}${'1'.repeat(8 + ((8 - (bits.length % 8)) % 8))}`)
    expect(decodeHuffman(spoilt, 0, spoilt.length, into)).toBe(-1)
  }
})

function codeText(symbol: number): string {
  const { code, bits } = CODES[symbol]!
  return code.toString(2).padStart(bits, '0')
}

function bytesOf(bits: string): Uint8Array {
  return Uint8Array.from({ length: bits.length / 8 }, (_, index) =>
    Number.parseInt(bits.slice(8 * index, 8 * index + 8), 2),
  )
}

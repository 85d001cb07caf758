import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { ProtoMessage, ProtoWriter } from './protobuf.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('a message', () => {
  it.each<[string, ProtoWriter, string]>([
    ['a number', new ProtoWriter().uint(1, 150), '089601'],
    ['a text', new ProtoWriter().string(2, 'testing'), '120774657374696e67'],
    ['a message', new ProtoWriter().message(3, (inner) => inner.uint(1, 150)), '1a03089601'],
    ['defaults', new ProtoWriter().uint(1, 0).string(2, ''), ''],
    ['a high field', new ProtoWriter().uint(16, 1), '800101'],
  ])('with %s is written as the guide has it', (_title, writer, expected) => {
    expect(hex(writer.finish())).toBe(expected)
  })

  it('is read as it was written', () => {
    const bytes = new ProtoWriter()
      .uint(1, 2 ** 40)
      .string(2, 'ä')
      .string(2, 'b')
      .entries(3, [['k', 'v']])
      .finish()
    const message = new ProtoMessage(bytes)
    expect([message.uint(1), message.string(2), message.strings(2)]).toEqual([2 ** 40, 'b', ['ä', 'b']])
    expect(message.messages(3).map((entry) => [entry.string(1), entry.string(2)])).toEqual([['k', 'v']])
    expect([message.uint(9), message.string(9), message.message(9), message.messages(9)]).toEqual([
      0,
      '',
      undefined,
      [],
    ])
  })

  it('with fields that nobody asks for is read all the same', () => {
    const bytes = Buffer.from('0d01020304' + '110102030405060708' + '1801', 'hex')
    expect(new ProtoMessage(bytes).uint(3)).toBe(1)
  })

  it.each(['08', '0880', '1205aa', '0f', '08ffffffffffffffffffffff01', '1a80808080808080808001'])(
    '%s is none',
    (text) => {
      expect(() => new ProtoMessage(Buffer.from(text, 'hex'))).toThrow(/not a message/)
    },
  )

  it('of random bytes is read or refused', () => {
    const random = new SeededRandom(4)
    for (let run = 0; run < 20_000; run += 1) {
      const bytes = Uint8Array.from({ length: random.integer(24) }, () => random.integer(256))
      try {
        new ProtoMessage(bytes).messages(1)
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOBUF_MALFORMED' })
      }
    }
  })
})

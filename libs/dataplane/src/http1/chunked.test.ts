import { describe, expect, it } from 'vitest'
import { ChunkLineReader } from './chunked.ts'
import { CHUNK_EXTENSION_BYTES_MAX } from './limits.ts'
import { BYTE_BY_BYTE, recordRequests } from './recorder.conformance.ts'

const sent = (body: string) => `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`

describe('a chunked body', () => {
  it.each([
    ['nothing', '0\r\n\r\n', ''],
    ['two chunks', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', 'abcde'],
    [
      'hexadecimal in both cases',
      `a\r\n${'x'.repeat(10)}\r\nA\r\n${'y'.repeat(10)}\r\n0\r\n\r\n`,
      'x'.repeat(10) + 'y'.repeat(10),
    ],
    ['zeros before the size', '0003\r\nabc\r\n000\r\n\r\n', 'abc'],
    ['data that looks like a chunk', '5\r\n0\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n'],
    ['extensions', '1;a\r\nx\r\n1;a=b;c="d;\\"\\\\ e"\r\ny\r\n0;z=1\r\n\r\n', 'xy'],
  ])('of %s', (_, body, text) => {
    for (const cut of [undefined, BYTE_BY_BYTE]) {
      const { messages, error } = recordRequests(sent(body), cut)
      expect(error).toBeUndefined()
      expect(messages).toMatchObject([{ body: text, end: sent(body).length }])
    }
  })

  it.each([
    ['no size', '\r\nabc', 'CHUNK_INVALID'],
    ['a sign', '+3\r\nabc', 'CHUNK_INVALID'],
    ['a prefix', '0x3\r\nabc', 'CHUNK_INVALID'],
    ['a size that is no hexadecimal', 'g\r\n', 'CHUNK_INVALID'],
    ['a space before the size', ' 3\r\nabc', 'CHUNK_INVALID'],
    ['a space behind the size', '3 \r\nabc', 'CHUNK_INVALID'],
    ['a size of fourteen digits', '00000000000003\r\nabc', 'CHUNK_INVALID'],
    ['a line that ends with LF', '3\nabc\r\n', 'CHUNK_INVALID'],
    ['a line that ends with CR', '3\rabc\r\n', 'LINE_END_INVALID'],
    ['data that is too long', '3\r\nabcd\r\n', 'CHUNK_INVALID'],
    ['data that ends with LF', '3\r\nabc\n0\r\n', 'CHUNK_INVALID'],
    ['data that ends with CR', '3\r\nabc\r0\r\n', 'CHUNK_INVALID'],
    ['an extension without name', '3;\r\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['a space in an extension', '3; a\r\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['an extension without value', '3;a=\r\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['a quote that is not closed', '3;a="b\r\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['something behind a quote', '3;a="b"c\r\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['a bare LF in an extension', '3;a\nabc', 'CHUNK_EXTENSION_INVALID'],
    ['a control character in a quote', '3;a="\x01"\r\nabc', 'CHUNK_EXTENSION_INVALID'],
  ])('with %s is refused', (_, body, code) => {
    for (const cut of [undefined, BYTE_BY_BYTE]) expect(recordRequests(sent(body), cut).error?.code).toBe(code)
  })

  it('has a bound on the extensions of all its chunks together', () => {
    const line = (bytes: number) => `1;${'a'.repeat(bytes - 1)}\r\nx\r\n`
    const half = CHUNK_EXTENSION_BYTES_MAX / 2
    expect(recordRequests(sent(`${line(half)}${line(half)}0\r\n\r\n`)).messages[0]!.body).toBe('xx')
    expect(recordRequests(sent(line(half) + line(half + 2))).error?.code).toBe('CHUNK_EXTENSION_INVALID')
  })

  it('has sizes up to 2^52 exactly', () => {
    const reader = new ChunkLineReader()
    reader.begin()
    const line = Buffer.from('fffffffffffff\r\n')
    expect(reader.read(line, 0, line.length)).toBe(line.length)
    expect(reader).toMatchObject({ done: true, size: 2 ** 52 - 1 })
  })
})

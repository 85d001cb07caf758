import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type OutgoingRequest, type OutgoingResponse, RequestEncoder, ResponseEncoder } from './encoder.ts'
import { HttpCodecError } from './errors.ts'
import { HeaderMap } from './headers.ts'
import { CHUNK_COPIED_BYTES_MAX } from './limits.ts'
import { recordRequests, recordResponses } from './recorder.conformance.ts'

class Written {
  readonly chunks: Uint8Array[] = []
  hasRoom = true

  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    return this.hasRoom
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }
}

const NONE = { framing: 'none', contentLength: 0 } as const
const CHUNKED = { framing: 'chunked', contentLength: 0 } as const
const UNTIL_CLOSE = { framing: 'until-close', contentLength: 0 } as const
const length = (contentLength: number) => ({ framing: 'length', contentLength }) as const
const headers = (...entries: [string, string][]) => new HeaderMap([['host', 'a'], ...entries])

function requestText(init: Partial<OutgoingRequest>, body = '', trailers?: HeaderMap): string {
  const written = new Written()
  const encoder = new RequestEncoder(written)
  encoder.writeHead({ method: 'GET', target: '/', headers: headers(), ...NONE, ...init })
  encoder.writeBody(Buffer.from(body, 'latin1'))
  encoder.end(trailers)
  return written.text
}

function responseText(init: Partial<OutgoingResponse>, body = '', trailers?: HeaderMap): [string, boolean] {
  const written = new Written()
  const encoder = new ResponseEncoder(written)
  const request = { method: 'GET', version: '1.1' } as const
  encoder.writeHead({ status: 200, headers: new HeaderMap(), request, keepAlive: true, ...NONE, ...init })
  encoder.writeBody(Buffer.from(body, 'latin1'))
  encoder.end(trailers)
  return [written.text, encoder.closes]
}

describe('a request', () => {
  it.each<[string, Partial<OutgoingRequest>, string, string]>([
    ['without body', {}, '', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
    [
      'without body of a method that could have one',
      { method: 'POST' },
      '',
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n',
    ],
    [
      'with a length',
      { method: 'PUT', ...length(3) },
      'abc',
      'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc',
    ],
    [
      'in chunks',
      { ...CHUNKED },
      'abc',
      'GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ],
    ['that is the last', { keepAlive: false }, '', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'],
    [
      'to upgrade',
      { upgrade: 'websocket' },
      '',
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
    ['of another form', { method: 'OPTIONS', target: '*' }, '', 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n'],
  ])('%s', (_, init, body, text) => {
    expect(requestText(init, body)).toBe(text)
  })

  it('says once how it is framed, whatever its fields say', () => {
    const given = headers(
      ['Content-Length', '7'],
      ['Transfer-Encoding', 'gzip'],
      ['Connection', 'close, x'],
      ['Keep-Alive', 'timeout=1'],
      ['Proxy-Connection', 'close'],
      ['Upgrade', 'h2c'],
      ['TE', 'trailers'],
      ['X-A', '1'],
      ['x-a', '\xff'],
    )
    const text = requestText({ method: 'POST', headers: given, ...length(1) }, 'x')
    expect(text).toBe('POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nx-a: 1\r\nx-a: \xff\r\ncontent-length: 1\r\n\r\nx')
  })

  it('has trailers behind chunks, and nowhere else', () => {
    const trailers = new HeaderMap([['grpc-status', '0']])
    expect(requestText({ method: 'POST', ...CHUNKED }, 'x', trailers)).toMatch(
      /\r\n1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n$/,
    )
    expect(requestText({ method: 'POST', ...length(1) }, 'x', trailers)).toMatch(/\r\n\r\nx$/)
    expect(requestText({ method: 'POST', ...CHUNKED }, 'x', new HeaderMap())).toMatch(/\r\n1\r\nx\r\n0\r\n\r\n$/)
  })
})

describe('a response', () => {
  it.each<[string, Partial<OutgoingResponse>, string, string, closes: boolean]>([
    ['without body', {}, '', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', false],
    ['with a length', { ...length(3) }, 'abc', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc', false],
    [
      'in chunks',
      { ...CHUNKED },
      'abc',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      false,
    ],
    ['until the end', { ...UNTIL_CLOSE }, 'abc', 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc', true],
    [
      'that is the last',
      { keepAlive: false },
      '',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
      true,
    ],
    [
      'of another status',
      { status: 431 },
      '',
      'HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n',
      false,
    ],
    ['of an unknown status', { status: 799 }, '', 'HTTP/1.1 799 Unknown\r\ncontent-length: 0\r\n\r\n', false],
    ['with a reason', { reason: 'Fine' }, '', 'HTTP/1.1 200 Fine\r\ncontent-length: 0\r\n\r\n', false],
    ['204', { status: 204 }, '', 'HTTP/1.1 204 No Content\r\n\r\n', false],
    [
      '204 with a body that it may not have',
      { status: 204, ...CHUNKED },
      'abc',
      'HTTP/1.1 204 No Content\r\n\r\n',
      false,
    ],
    ['304', { status: 304 }, '', 'HTTP/1.1 304 Not Modified\r\n\r\n', false],
    [
      '304 that says how long it would have been',
      { status: 304, headers: new HeaderMap([['content-length', '5']]) },
      '',
      'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
      false,
    ],
    [
      'to HEAD, with what it would have had',
      { request: { method: 'HEAD', version: '1.1' }, headers: new HeaderMap([['content-length', '5']]) },
      '',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
      false,
    ],
    [
      'to HEAD, of chunks',
      { request: { method: 'HEAD', version: '1.1' }, ...CHUNKED },
      'abc',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      false,
    ],
    ['to CONNECT', { request: { method: 'CONNECT', version: '1.1' } }, '', 'HTTP/1.1 200 OK\r\n\r\n', false],
    [
      'that switches',
      { status: 101, upgrade: 'websocket' },
      '',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      false,
    ],
    [
      'to HTTP/1.0',
      { request: { method: 'GET', version: '1.0' } },
      '',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n',
      false,
    ],
    [
      'to HTTP/1.0, which has no chunks',
      { request: { method: 'GET', version: '1.0' }, ...CHUNKED },
      'abc',
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc',
      true,
    ],
  ])('%s', (_, init, body, text, closes) => {
    expect(responseText(init, body)).toEqual([text, closes])
  })

  it('comes after interim ones', () => {
    const written = new Written()
    const encoder = new ResponseEncoder(written)
    encoder.writeInterim(100)
    encoder.writeInterim(103, new HeaderMap([['link', '<a>']]))
    expect(written.text).toBe('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n')
    expect(() => encoder.writeInterim(101)).toThrow('1xx')
  })
})

describe('payload', () => {
  it('is lent, not copied, but for small chunks', () => {
    const written = new Written()
    const encoder = new RequestEncoder(written)
    const small = Buffer.alloc(CHUNK_COPIED_BYTES_MAX, 'x')
    const large = Buffer.alloc(CHUNK_COPIED_BYTES_MAX + 1, 'y')
    encoder.writeHead({ method: 'PUT', target: '/', headers: headers(), ...CHUNKED })
    encoder.writeBody(small)
    encoder.writeBody(large)
    encoder.end()
    expect(written.chunks).toHaveLength(6)
    expect(written.chunks[3]).toBe(large)
    encoder.writeHead({ method: 'PUT', target: '/', headers: headers(), ...length(small.length) })
    encoder.writeBody(small)
    expect(written.chunks.at(-1)).toBe(small)
  })

  it('of no bytes is no chunk: it would be the last', () => {
    expect(requestText({ method: 'PUT', ...CHUNKED })).toMatch(/\r\n\r\n0\r\n\r\n$/)
  })

  it('passes on whether there is room', () => {
    const written = new Written()
    const encoder = new RequestEncoder(written)
    written.hasRoom = false
    expect(encoder.writeHead({ method: 'PUT', target: '/', headers: headers(), ...CHUNKED })).toBe(false)
    expect(encoder.writeBody(Buffer.alloc(1))).toBe(false)
    expect(encoder.end()).toBe(false)
  })

  it('that is not what was said is a bug', () => {
    const encoder = new RequestEncoder(new Written())
    const head = { method: 'PUT', target: '/', headers: headers(), ...length(2) }
    expect(() => encoder.writeBody(Buffer.alloc(1))).toThrow('without a head')
    expect(() => encoder.end()).toThrow('without a head')
    encoder.writeHead(head)
    expect(() => encoder.writeHead(head)).toThrow('within a message')
    expect(() => encoder.writeBody(Buffer.alloc(3))).toThrow('longer')
    encoder.writeBody(Buffer.alloc(1))
    expect(() => encoder.end()).toThrow('shorter')
  })
})

describe('what would not stay what it is on the wire', () => {
  it.each<[string, () => unknown]>([
    ['a method with a space', () => requestText({ method: 'GET /x' })],
    ['no method', () => requestText({ method: '' })],
    ['a target with a space', () => requestText({ target: '/ HTTP/1.1' })],
    ['a target with CR LF', () => requestText({ target: '/\r\n' })],
    ['no target', () => requestText({ target: '' })],
    ['a protocol with CR LF', () => requestText({ upgrade: 'a\r\nb: c' })],
    ['a reason with CR LF', () => responseText({ reason: 'a\r\nb: c' })],
    ['a status that is none', () => responseText({ status: 20 })],
    ['a value with CR LF', () => headers(['a', 'b\r\nc: d'])],
    ['a value with a bare LF', () => headers(['a', 'b\nc'])],
    ['a value with NUL', () => headers(['a', '\0'])],
    ['a value that is no byte string', () => headers(['a', '€'])],
    ['a name with a colon', () => headers(['a:b', ''])],
    ['a name with CR LF', () => headers(['a\r\nb', ''])],
    ['no name', () => headers(['', ''])],
  ])('is refused: %s', (_, act) => {
    expect(act).toThrow(HttpCodecError)
    expect(act).toThrow(expect.objectContaining({ code: 'NOT_ENCODABLE', origin: 'local' }))
  })
})

describe('what was encoded', () => {
  const token = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'abcxyz019!#$%&-^_~') })
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
  const value = fc.string({ unit: byte, maxLength: 40 }).map((text) =>
    [...text]
      .filter((c) => c === '\t' || (c >= ' ' && c !== '\x7f'))
      .join('')
      .replace(/^[ \t]+|[ \t]+$/g, ''),
  )
  const fields = fc.array(
    fc.tuple(
      token.map((name) => `x-${name}`),
      value,
    ),
    { maxLength: 8 },
  )
  const pieces = fc.array(fc.string({ unit: byte, maxLength: 60 }), { maxLength: 4 })

  it('is what is decoded', () => {
    fc.assert(
      fc.property(
        fields,
        pieces,
        fields,
        fc.boolean(),
        fc.integer({ min: 1, max: 50 }),
        (given, body, trailing, isChunked, step) => {
          const whole = body.join('')
          const written = new Written()
          const framing = isChunked ? 'chunked' : whole === '' ? 'none' : 'length'
          const outgoing = { headers: headers(...given), framing, contentLength: whole.length } as const
          const request = new RequestEncoder(written)
          request.writeHead({ method: 'POST', target: '/a?b', ...outgoing })
          for (const piece of body) request.writeBody(Buffer.from(piece, 'latin1'))
          request.end(new HeaderMap(trailing))
          const [got] = recordRequests(written.text, () => step).messages
          const trailers = isChunked ? trailing : []
          expect(got).toMatchObject({ line: 'POST /a?b', body: whole, trailers, end: written.text.length })
          expect(got!.headers.slice(1, 1 + given.length)).toEqual(given)
        },
      ),
      { seed: 1, numRuns: 500 },
    )
  })

  it('is what is decoded, response after response', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fields, pieces, fc.boolean()), { maxLength: 3 }), (responses) => {
        const written = new Written()
        const encoder = new ResponseEncoder(written)
        for (const [given, body, isChunked] of responses) {
          const contentLength = body.join('').length
          const framing = isChunked ? 'chunked' : contentLength === 0 ? 'none' : 'length'
          const request = { method: 'GET', version: '1.1' } as const
          encoder.writeHead({
            status: 200,
            headers: headers(...given),
            framing,
            contentLength,
            request,
            keepAlive: true,
          })
          for (const piece of body) encoder.writeBody(Buffer.from(piece, 'latin1'))
          encoder.end()
        }
        const { messages, error } = recordResponses(written.text)
        expect(error).toBeUndefined()
        expect(messages.map(({ body }) => body)).toEqual(responses.map(([, body]) => body.join('')))
      }),
      { seed: 1, numRuns: 300 },
    )
  })
})

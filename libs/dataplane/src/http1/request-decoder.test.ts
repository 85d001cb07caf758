import { CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import type { HttpCodecErrorCode } from './errors.ts'
import { BYTE_BY_BYTE, Recorder, recordRequests } from './recorder.conformance.ts'
import { RequestDecoder, type RequestHead } from './request-decoder.ts'

const host = 'Host: a.test\r\n'
/** A request line, fields (Host is added) and a body. */
const request = (line: string, fields = '', body = '') => `${line}\r\n${host}${fields}\r\n${body}`
const get = (fields = '', body = '') => request('GET / HTTP/1.1', fields, body)
const post = (fields = '', body = '') => request('POST / HTTP/1.1', fields, body)
const connection = (value: string, version = '1.1') => `GET / HTTP/${version}\r\n${host}Connection: ${value}\r\n\r\n`
const chunked = 'Transfer-Encoding: chunked\r\n'

const REFUSED: readonly [what: string, input: string, code: HttpCodecErrorCode, status?: number][] = [
  ['an unknown method', request('FOO / HTTP/1.1'), 'METHOD_UNKNOWN', 400],
  ['a method in lower case', request('get / HTTP/1.1'), 'METHOD_UNKNOWN'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'VERSION_UNSUPPORTED'],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01', 'METHOD_UNKNOWN'],
  ['a space before the method', ` ${get()}`, 'METHOD_UNKNOWN'],
  ['a method without an end', 'A'.repeat(12), 'METHOD_UNKNOWN'],
  ['two spaces before the target', request('GET  / HTTP/1.1'), 'TARGET_INVALID'],
  ['a space in the target', request('GET /a b HTTP/1.1'), 'VERSION_UNSUPPORTED'],
  ['a tab in the target', request('GET /a\tb HTTP/1.1'), 'TARGET_INVALID'],
  ['a byte above ASCII in the target', request('GET /\xe9 HTTP/1.1'), 'TARGET_INVALID'],
  ['a target without a form', request('GET a HTTP/1.1'), 'TARGET_INVALID'],
  ['an asterisk for GET', request('GET * HTTP/1.1'), 'TARGET_INVALID'],
  ['a fragment', request('GET /a#b HTTP/1.1'), 'TARGET_FRAGMENT'],
  ['another scheme', request('GET ftp://a.test/ HTTP/1.1'), 'TARGET_SCHEME_INVALID'],
  ['a URI without host', request('GET http:///a HTTP/1.1'), 'TARGET_INVALID'],
  ['a URI with user information', request('GET http://a@b.test/ HTTP/1.1'), 'TARGET_INVALID'],
  ['a CONNECT without port', request('CONNECT a.test HTTP/1.1'), 'TARGET_INVALID'],
  ['a CONNECT to a path', request('CONNECT / HTTP/1.1'), 'TARGET_INVALID'],
  ['HTTP/0.9', 'GET /\r\n', 'TARGET_INVALID'],
  ['HTTP/1.2', request('GET / HTTP/1.2'), 'VERSION_UNSUPPORTED'],
  ['HTTP/2.0', request('GET / HTTP/2.0'), 'VERSION_UNSUPPORTED'],
  ['http/1.1 in lower case', request('GET / http/1.1'), 'VERSION_UNSUPPORTED'],
  ['a space behind the version', request('GET / HTTP/1.1 '), 'VERSION_UNSUPPORTED'],
  ['a request line that ends with LF', 'GET / HTTP/1.1\n\n', 'LINE_END_INVALID'],
  ['a request line that ends with CR', 'GET / HTTP/1.1\rHost: a\r\n\r\n', 'LINE_END_INVALID'],
  ['a field that ends with LF', get('A: b\nC: d\r\n'), 'LINE_END_INVALID'],
  ['a bare CR in a value', get('A: b\rC: d\r\n'), 'LINE_END_INVALID'],
  ['a head that ends with LF', `GET / HTTP/1.1\r\n${host}\n`, 'LINE_END_INVALID'],
  ['a head that ends with CR', `GET / HTTP/1.1\r\n${host}\rA`, 'LINE_END_INVALID'],
  ['a bare LF before the request', `\n${get()}`, 'METHOD_UNKNOWN'],
  ['a bare CR before the request', `\r${get()}`, 'LINE_END_INVALID'],
  ['many empty lines', `${'\r\n'.repeat(5)}${get()}`, 'METHOD_UNKNOWN'],
  ['a folded field', get('A: b\r\n c\r\n'), 'HEADER_FOLDED'],
  ['white space before the first field', `GET / HTTP/1.1\r\n ${host}\r\n`, 'HEADER_FOLDED'],
  ['a space before the colon', get('A : b\r\n'), 'HEADER_NAME_INVALID'],
  ['a field without name', get(': b\r\n'), 'HEADER_NAME_INVALID'],
  ['a field without colon', get('A\r\n'), 'HEADER_NAME_INVALID'],
  ['an at in a name', get('A@: b\r\n'), 'HEADER_NAME_INVALID'],
  ['a byte above ASCII in a name', get('\xe9: b\r\n'), 'HEADER_NAME_INVALID'],
  ['a NUL in a value', get('A: b\0c\r\n'), 'HEADER_VALUE_INVALID'],
  ['a DEL in a value', get('A: b\x7fc\r\n'), 'HEADER_VALUE_INVALID'],
  ['an escape in a value', get('A: 12345678\x1b\r\n'), 'HEADER_VALUE_INVALID'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 'HOST_MISSING'],
  ['no Host beside a URI', 'GET http://a.test/ HTTP/1.1\r\n\r\n', 'HOST_MISSING'],
  ['two Hosts', get(host), 'HOST_INVALID'],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'HOST_INVALID'],
  ['a Host with user information', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', 'HOST_INVALID'],
  ['a list of Hosts', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 'HOST_INVALID'],
  ['an IPv6 Host without brackets', 'GET / HTTP/1.1\r\nHost: ::1\r\n\r\n', 'HOST_INVALID'],
  ['a broken Host of HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a b\r\n\r\n', 'HOST_INVALID'],
  ['a length with a sign', post('Content-Length: +1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a negative length', post('Content-Length: -1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a length in hexadecimal', post('Content-Length: 0x1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['an empty length', post('Content-Length: \r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a length of two numbers', post('Content-Length: 1 1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a list of lengths', post('Content-Length: 1, 1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['two lengths, even the same', post('Content-Length: 1\r\nContent-Length: 1\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a length that is no exact number', post('Content-Length: 9007199254740993\r\n'), 'CONTENT_LENGTH_INVALID'],
  ['a length and chunks', post(`Content-Length: 1\r\n${chunked}`), 'LENGTH_AND_CHUNKED'],
  ['chunks and a length of 0', post(`${chunked}Content-Length: 0\r\n`), 'LENGTH_AND_CHUNKED'],
  ['another coding', post('Transfer-Encoding: gzip\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED', 501],
  ['two codings', post('Transfer-Encoding: gzip, chunked\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED', 501],
  ['chunked twice', post(chunked + chunked), 'TRANSFER_ENCODING_UNSUPPORTED'],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;a=b\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED'],
  ['chunked before a tab', post('Transfer-Encoding: chunked\t\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED'],
  ['an empty coding', post('Transfer-Encoding:\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED'],
  ['chunks in HTTP/1.0', request('POST / HTTP/1.0', chunked), 'TRANSFER_ENCODING_NOT_ALLOWED'],
  ['a CONNECT with a length', request('CONNECT a:1 HTTP/1.1', 'Content-Length: 1\r\n'), 'BODY_DISALLOWED'],
  ['a CONNECT with chunks', request('CONNECT a:1 HTTP/1.1', chunked), 'BODY_DISALLOWED'],
  ['a length among the trailers', post(chunked, '0\r\nContent-Length: 1\r\n\r\n'), 'TRAILER_INVALID'],
  ['a coding among the trailers', post(chunked, '0\r\nTransfer-Encoding: x\r\n\r\n'), 'TRAILER_INVALID'],
  ['a Host among the trailers', post(chunked, '0\r\nHost: x\r\n\r\n'), 'TRAILER_INVALID'],
  ['a folded trailer', post(chunked, '0\r\nA: b\r\n c\r\n\r\n'), 'HEADER_FOLDED'],
]

describe('a request that is refused', () => {
  it.each(REFUSED)('%s', (_, input, code, status) => {
    for (const cut of [undefined, BYTE_BY_BYTE]) {
      const { error } = recordRequests(input, cut)
      expect(error).toMatchObject({ code, origin: 'downstream', retry: 'no' })
      if (status !== undefined) expect(error?.status).toBe(status)
      expect(error?.details).toMatch(/^\w[\w.]+$/)
    }
  })
})

const TAKEN: readonly [what: string, input: string, head: Partial<RequestHead>][] = [
  ['the origin form', request('GET /a?b HTTP/1.1'), { target: '/a?b', path: '/a?b', authority: 'a.test' }],
  ['two slashes', request('GET //a HTTP/1.1'), { path: '//a', authority: 'a.test' }],
  ['characters that no URI has, as Envoy', request('GET /"<>\\^`{|} HTTP/1.1'), { path: '/"<>\\^`{|}' }],
  ['the absolute form', request('GET HTTP://b:80/c?d HTTP/1.1'), { scheme: 'http', authority: 'b:80', path: '/c?d' }],
  ['a URI without path', request('GET https://b HTTP/1.1'), { scheme: 'https', authority: 'b', path: '/' }],
  ['a URI with only a query', request('GET http://b?c HTTP/1.1'), { authority: 'b', path: '/?c' }],
  ['OPTIONS of a URI without path', request('OPTIONS http://b HTTP/1.1'), { path: '*' }],
  ['the asterisk form', request('OPTIONS * HTTP/1.1'), { path: '*', authority: 'a.test' }],
  ['the authority form', request('CONNECT [::1]:443 HTTP/1.1'), { authority: '[::1]:443', path: '' }],
  ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', { version: '1.0', authority: '', keepAlive: false }],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', { authority: '' }],
  ['an empty line before it', `\r\n${get()}`, { method: 'GET' }],
  ['every method of the registry', request('M-SEARCH * HTTP/1.1').replace('*', '/'), { method: 'M-SEARCH' }],
  ['a length', post('Content-Length: 3\r\n', 'abc'), { framing: 'length', contentLength: 3 }],
  ['a length with zeros before it', post('Content-Length: 003\r\n', 'abc'), { framing: 'length', contentLength: 3 }],
  ['a length of 0', post('Content-Length: 0\r\n'), { framing: 'none', contentLength: 0 }],
  ['no body', post(), { framing: 'none', contentLength: 0 }],
  ['a body of GET', get('Content-Length: 1\r\n', 'x'), { framing: 'length' }],
  ['chunks', post('Transfer-Encoding: Chunked \r\n', '0\r\n\r\n'), { framing: 'chunked', contentLength: 0 }],
  ['a connection that is kept', get(), { keepAlive: true, version: '1.1' }],
  ['close', connection('close'), { keepAlive: false }],
  ['close among others, in other case', connection('x , CLOSE'), { keepAlive: false }],
  ['close and keep-alive', connection('keep-alive, close'), { keepAlive: false }],
  ['what only begins with close', connection('closed'), { keepAlive: true }],
  ['the old Proxy-Connection', get('Proxy-Connection: close\r\n'), { keepAlive: false }],
  ['HTTP/1.0', connection('x', '1.0'), { keepAlive: false }],
  ['keep-alive of HTTP/1.0', connection('Keep-Alive', '1.0'), { keepAlive: true }],
  ['an upgrade', get('Connection: Upgrade\r\nUpgrade: websocket\r\n'), { upgrade: 'websocket', keepAlive: true }],
  ['an Upgrade that Connection does not name', get('Upgrade: websocket\r\n'), { upgrade: undefined }],
  ['an upgrade to h2c', get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\n'), { upgrade: undefined }],
  ['an upgrade to nothing', get('Connection: upgrade\r\nUpgrade:\r\n'), { upgrade: undefined }],
  [
    'an upgrade of HTTP/1.0',
    request('GET / HTTP/1.0', 'Connection: keep-alive, upgrade\r\nUpgrade: a\r\n'),
    { upgrade: undefined, keepAlive: false },
  ],
  ['Expect', post('Expect: 100-Continue\r\nContent-Length: 1\r\n', 'x'), { expectContinue: true }],
  ['Expect without a body', get('Expect: 100-continue\r\n'), { expectContinue: false }],
  ['another Expect', post('Expect: x\r\nContent-Length: 1\r\n', 'x'), { expectContinue: false }],
]

describe('a request that is taken', () => {
  it.each(TAKEN)('%s', (_, input, head) => {
    for (const cut of [undefined, BYTE_BY_BYTE]) {
      const { messages, error } = recordRequests(input, cut)
      expect(error).toBeUndefined()
      expect(messages).toHaveLength(1)
      expect(messages[0]!.head).toMatchObject(head)
      expect(messages[0]!.end).toBe(input.length)
    }
  })

  it('keeps fields in order, with repeated ones, names in lower case and values as bytes', () => {
    const { messages } = recordRequests(
      get('X-B:  a b\t \r\nSet-Cookie: 1\r\nx-b:\xff\tb\xe9\r\nSet-Cookie: 2\r\nEmpty:\r\n'),
    )
    expect(messages[0]!.headers.slice(1)).toEqual([
      ['x-b', 'a b'],
      ['set-cookie', '1'],
      ['x-b', '\xff\tb\xe9'],
      ['set-cookie', '2'],
      ['empty', ''],
    ])
  })

  it('has the host of its target as Host, and one length in plain digits', () => {
    const { messages } = recordRequests(request('POST http://b.test/ HTTP/1.1', 'Content-Length: 001\r\n', 'x'))
    expect(messages[0]!.headers).toEqual([
      ['host', 'b.test'],
      ['content-length', '1'],
    ])
  })

  it('hands on trailers, but not those that should have come before', () => {
    const { messages } = recordRequests(
      post(chunked, '1\r\nx\r\n0\r\ngrpc-status: 0\r\nAuthorization: y\r\nX-Sum: 1\r\n\r\n'),
    )
    expect(messages[0]).toMatchObject({
      body: 'x',
      trailers: [
        ['grpc-status', '0'],
        ['x-sum', '1'],
      ],
    })
  })
})

describe('limits', () => {
  const decoded = (input: string, init: { headBytesMax?: number; headersMax?: number }, step: number) => {
    const recorder = new Recorder()
    const decoder = new RequestDecoder(recorder, init)
    const bytes = Buffer.from(input, 'latin1')
    for (let at = 0; at < bytes.length; at += step) decoder.push(bytes.subarray(at, at + step))
    return recorder
  }

  it.each([1, 7, 1_000_000])('hold to the byte and the field, in pieces of %i', (step) => {
    const input = get('A: b\r\n')
    expect(decoded(input, { headBytesMax: input.length, headersMax: 2 }, step).messages).toHaveLength(1)
    expect(decoded(input, { headBytesMax: input.length - 1 }, step).error).toMatchObject({
      code: 'HEAD_TOO_LARGE',
      status: 431,
      details: 'http1.headers_too_large',
    })
    expect(decoded(input, { headersMax: 1 }, step).error).toMatchObject({
      code: 'TOO_MANY_HEADERS',
      status: 431,
      details: 'http1.too_many_headers',
    })
    const trailers = post(chunked, `0\r\n${'A: b\r\n'.repeat(3)}\r\n`)
    expect(decoded(trailers, { headersMax: 2 }, step).error?.code).toBe('TOO_MANY_HEADERS')
  })

  it('are those of Envoy by default: 60 KiB, 100 fields', () => {
    const fields = (count: number) => get('A: b\r\n'.repeat(count - 1))
    expect(recordRequests(fields(100)).error).toBeUndefined()
    expect(recordRequests(fields(101)).error?.code).toBe('TOO_MANY_HEADERS')
    const long = (bytes: number) => request(`GET /${'x'.repeat(bytes - get().length)} HTTP/1.1`)
    expect(recordRequests(long(60 * 1024), () => 1000).messages).toHaveLength(1)
    expect(recordRequests(long(60 * 1024 + 1), () => 1000).error?.code).toBe('HEAD_TOO_LARGE')
  })
})

describe('the connection', () => {
  const open = () => {
    const recorder = new Recorder()
    const decoder = new RequestDecoder(recorder)
    return { recorder, decoder, push: (text: string) => decoder.push(Buffer.from(text, 'latin1')) }
  }

  it('carries one request after the other', () => {
    const { messages } = recordRequests(
      `${post('Content-Length: 3\r\n', 'abc')}\r\n${get()}${post(chunked, '1\r\nx\r\n0\r\n\r\n')}`,
    )
    expect(messages.map(({ line, body }) => [line, body])).toEqual([
      ['POST /', 'abc'],
      ['GET /', ''],
      ['POST /', 'x'],
    ])
  })

  it('hands bodies on as views of what was pushed', () => {
    const pieces: Uint8Array[] = []
    const sink = new Recorder()
    sink.onBody = (piece) => pieces.push(piece)
    const decoder = new RequestDecoder(sink)
    const first = Buffer.from(post('Content-Length: 6\r\n', 'abc'))
    const second = Buffer.from('def')
    decoder.push(first)
    decoder.push(second)
    expect(pieces[0]!.buffer).toBe(first.buffer)
    expect(Buffer.from(pieces[0]!).toString()).toBe('abc')
    expect(pieces[1]).toBe(second)
  })

  it('can be paused at each end, and goes on where it stopped', () => {
    const { recorder, decoder, push } = open()
    recorder.onEnd = () => decoder.pause()
    push(get() + get() + get())
    push(get())
    expect(recorder.messages).toHaveLength(1)
    expect(decoder.heldBytes).toBe(3 * get().length)
    for (const count of [2, 3, 4]) {
      decoder.resume()
      expect(recorder.messages).toHaveLength(count)
    }
    decoder.resume()
    expect(decoder.heldBytes).toBe(0)
  })

  it('can be paused within a body, and resumed from within', () => {
    const { recorder, decoder, push } = open()
    const onBody = recorder.onBody.bind(recorder)
    recorder.onBody = (piece) => {
      onBody(piece)
      decoder.pause()
    }
    push(post(chunked, '1\r\na\r\n1\r\nb\r\n0\r\n\r\n'))
    expect(recorder.messages[0]!.body).toBe('a')
    decoder.resume()
    expect(recorder.messages[0]!.body).toBe('ab')
    recorder.onBody = (piece) => {
      onBody(piece)
      decoder.pause()
      decoder.resume()
    }
    decoder.resume()
    push(post(chunked, '1\r\na\r\n1\r\nb\r\n0\r\n\r\n'))
    expect(recorder.messages.map(({ body }) => body)).toEqual(['ab', 'ab'])
  })

  it('waits behind a request to upgrade, with the rest for whoever comes', () => {
    const upgrade = get('Connection: upgrade\r\nUpgrade: websocket\r\n')
    const { recorder, decoder, push } = open()
    push(`${upgrade}\x81\x05hel`)
    push('lo')
    expect(recorder.messages).toHaveLength(1)
    expect(Buffer.concat(decoder.takeRest()).toString('latin1')).toBe('\x81\x05hello')
    push('more')
    decoder.end()
    expect(recorder.error).toBeUndefined()
  })

  it('goes on with requests when the upgrade was declined', () => {
    const { recorder, decoder, push } = open()
    push(get('Connection: upgrade\r\nUpgrade: h2c\r\n') + get())
    expect(recorder.messages).toHaveLength(1)
    decoder.resume()
    expect(recorder.messages).toHaveLength(2)
  })

  it('gives its rest away from within the end of a CONNECT, also of HTTP/1.0', () => {
    const { recorder, decoder, push } = open()
    const rests: string[] = []
    recorder.onEnd = () => rests.push(Buffer.concat(decoder.takeRest()).toString())
    push('CONNECT a.test:443 HTTP/1.0\r\n\r\nraw')
    expect(rests).toEqual(['raw'])
  })

  it('reads nothing behind a request that closes it', () => {
    const { messages, error } = recordRequests(connection('close') + get())
    expect(messages).toHaveLength(1)
    expect(error).toBeUndefined()
  })

  it.each([
    ['within a request line', 'GET', 'MESSAGE_INCOMPLETE'],
    ['within a head', 'GET / HTTP/1.1\r\nA', 'MESSAGE_INCOMPLETE'],
    ['within a body', post('Content-Length: 3\r\n', 'ab'), 'MESSAGE_INCOMPLETE'],
    ['within a chunk', post(chunked, '3\r\nab'), 'MESSAGE_INCOMPLETE'],
    ['before the last chunk', post(chunked, '3\r\nabc\r\n'), 'MESSAGE_INCOMPLETE'],
    ['before the end of trailers', post(chunked, '0\r\n'), 'MESSAGE_INCOMPLETE'],
    ['before the first request', '', undefined],
    ['behind a request', get(), undefined],
    ['behind an empty line', `${get()}\r\n`, undefined],
  ])('may end %s', (_, input, code) => {
    expect(recordRequests(input, undefined, true).error?.code).toBe(code)
  })

  it('tells of an end that came while it was paused only when it gets there', () => {
    const { recorder, decoder, push } = open()
    decoder.pause()
    push(post('Content-Length: 3\r\n', 'ab'))
    decoder.end()
    expect(recorder.messages).toHaveLength(0)
    decoder.resume()
    expect(recorder.messages[0]!.body).toBe('ab')
    expect(recorder.error?.code).toBe('MESSAGE_INCOMPLETE')
  })

  it('is idle between messages only', () => {
    const { decoder, push } = open()
    expect(decoder.idle).toBe(true)
    push('G')
    expect(decoder.idle).toBe(false)
    push(get().slice(1))
    expect(decoder.idle).toBe(true)
  })

  it('tells nothing after an error, and lets what a sink throws pass', () => {
    const { recorder, decoder, push } = open()
    push('\0')
    push(get())
    decoder.end()
    expect(recorder.messages).toHaveLength(0)
    const sink = new Recorder()
    sink.onHead = () => {
      throw new CodedError('X', 'of the sink')
    }
    const broken = new RequestDecoder(sink)
    expect(() => broken.push(Buffer.from(get()))).toThrow('of the sink')
  })
})

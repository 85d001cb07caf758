import { describe, expect, it } from 'vitest'
import type { HttpCodecErrorCode } from './errors.ts'
import { BYTE_BY_BYTE, Recorder, recordResponses } from './recorder.conformance.ts'
import { ResponseDecoder, type ResponseExpectation, type ResponseHead } from './response-decoder.ts'

const response = (status: string, fields = '', body = '', version = '1.1') =>
  `HTTP/${version} ${status}\r\n${fields}\r\n${body}`
const chunked = 'Transfer-Encoding: chunked\r\n'
const upgrade = 'Connection: upgrade\r\nUpgrade: websocket\r\n'
const length = (bytes: number) => `Content-Length: ${bytes}\r\n`

const GET: ResponseExpectation = { method: 'GET' }
const HEAD: ResponseExpectation = { method: 'HEAD' }
const CONNECT: ResponseExpectation = { method: 'CONNECT' }
const UPGRADE: ResponseExpectation = { method: 'GET', upgrade: true }

const TAKEN: readonly [string, ResponseExpectation, string, Partial<ResponseHead>, body?: string][] = [
  [
    'a length',
    GET,
    response('200 OK', length(3), 'abc'),
    { framing: 'length', contentLength: 3, keepAlive: true },
    'abc',
  ],
  ['a length of 0', GET, response('200 OK', length(0)), { framing: 'none', keepAlive: true }],
  ['chunks', GET, response('200 OK', chunked, '1\r\nx\r\n0\r\n\r\n'), { framing: 'chunked', keepAlive: true }, 'x'],
  ['neither', GET, response('200 OK', '', 'abc'), { framing: 'until-close', keepAlive: false }, 'abc'],
  ['an answer to HEAD', HEAD, response('200 OK', length(3)), { framing: 'none', keepAlive: true }],
  ['an answer to HEAD that would have chunks', HEAD, response('200 OK', chunked), { framing: 'none' }],
  ['an answer to HEAD that says nothing', HEAD, response('200 OK'), { framing: 'none', keepAlive: true }],
  ['204', GET, response('204 No Content'), { framing: 'none', keepAlive: true }],
  ['304 with the length that it would have', GET, response('304 Not Modified', length(3)), { framing: 'none' }],
  ['a CONNECT that was refused', CONNECT, response('403 No', length(1), 'x'), { framing: 'length' }, 'x'],
  ['close', GET, response('200 OK', `Connection: close\r\n${length(0)}`), { keepAlive: false }],
  ['HTTP/1.0', GET, response('200 OK', length(0), '', '1.0'), { version: '1.0', keepAlive: false }],
  [
    'keep-alive of HTTP/1.0',
    GET,
    response('200 OK', `Connection: keep-alive\r\n${length(0)}`, '', '1.0'),
    { keepAlive: true },
  ],
  ['no reason', GET, response('404 ', length(0)), { status: 404, reason: '' }],
  ['no space before no reason', GET, response('404', length(0)), { status: 404, reason: '' }],
  ['a reason of many words', GET, response('500 Orië\tx', length(0)), { reason: 'Orië\tx' }],
  ['a status of no class', GET, response('999 X', length(0)), { status: 999 }],
]

describe('a response that is taken', () => {
  it.each(TAKEN)('%s', (_, expectation, input, head, body = '') => {
    for (const cut of [undefined, BYTE_BY_BYTE]) {
      const { messages, error } = recordResponses(input, cut, head.framing === 'until-close', expectation)
      expect(error).toBeUndefined()
      expect(messages[0]).toMatchObject({ body, head, end: input.length })
    }
  })

  it('comes after the interim ones', () => {
    const input = `${response('100 Continue')}\r\n${response('103 Early', 'Link: a\r\n')}${response('200 OK', length(1), 'x')}`
    expect(recordResponses(input).messages.map(({ line }) => line)).toEqual(['100 Continue', '103 Early', '200 OK'])
  })

  it('has no length where there is no body', () => {
    expect(recordResponses(response('204 No', length(0))).messages[0]!.headers).toEqual([])
  })
})

const REFUSED: readonly [string, ResponseExpectation, string, HttpCodecErrorCode][] = [
  ['another protocol', GET, 'ICY 200 OK\r\n\r\n', 'VERSION_UNSUPPORTED'],
  ['HTTP/2', GET, response('200 OK', '', '', '2.0'), 'VERSION_UNSUPPORTED'],
  ['two digits', GET, response('20 OK'), 'STATUS_LINE_INVALID'],
  ['four digits', GET, response('2000 OK'), 'STATUS_LINE_INVALID'],
  ['a status below 100', GET, response('099 OK'), 'STATUS_LINE_INVALID'],
  ['two spaces before the status', GET, response(' 200 OK'), 'STATUS_LINE_INVALID'],
  ['a control character in the reason', GET, response('200 O\x01K'), 'STATUS_LINE_INVALID'],
  ['a line that ends with LF', GET, 'HTTP/1.1 200 OK\n\n', 'LINE_END_INVALID'],
  ['a length and chunks', GET, response('200 OK', length(1) + chunked), 'LENGTH_AND_CHUNKED'],
  ['two lengths', GET, response('200 OK', length(1) + length(1)), 'CONTENT_LENGTH_INVALID'],
  ['two lengths in an answer to HEAD', HEAD, response('200 OK', length(1) + length(2)), 'CONTENT_LENGTH_INVALID'],
  ['another coding', GET, response('200 OK', 'Transfer-Encoding: gzip\r\n'), 'TRANSFER_ENCODING_UNSUPPORTED'],
  ['chunks in HTTP/1.0', GET, response('200 OK', chunked, '', '1.0'), 'TRANSFER_ENCODING_NOT_ALLOWED'],
  ['chunks in a 204', GET, response('204 No', chunked), 'TRANSFER_ENCODING_NOT_ALLOWED'],
  ['a length in a 204', GET, response('204 No', length(1)), 'CONTENT_LENGTH_NOT_ALLOWED'],
  ['a length in a 100', GET, response('100 Go', length(1)), 'CONTENT_LENGTH_NOT_ALLOWED'],
  ['a length in a tunnel', CONNECT, response('200 OK', length(1)), 'CONTENT_LENGTH_NOT_ALLOWED'],
  ['chunks in a tunnel', CONNECT, response('200 OK', chunked), 'TRANSFER_ENCODING_NOT_ALLOWED'],
  ['an interim one that closes', GET, response('103 Early', 'Connection: close\r\n'), 'INTERIM_INVALID'],
  ['an interim one of HTTP/1.0', GET, response('103 Early', '', '', '1.0'), 'INTERIM_INVALID'],
  ['a switch that nobody asked for', GET, response('101 Sw', upgrade), 'RESPONSE_UNEXPECTED'],
  ['a switch to nothing', UPGRADE, response('101 Sw'), 'RESPONSE_UNEXPECTED'],
  ['a switch that Connection does not name', UPGRADE, response('101 Sw', 'Upgrade: a\r\n'), 'RESPONSE_UNEXPECTED'],
]

describe('a response that is refused', () => {
  it.each(REFUSED)('%s', (_, expectation, input, code) => {
    for (const cut of [undefined, BYTE_BY_BYTE]) {
      expect(recordResponses(input, cut, false, expectation).error).toMatchObject({
        code,
        origin: 'upstream',
        retry: 'no',
      })
    }
  })
})

describe('the connection', () => {
  const open = () => {
    const recorder = new Recorder()
    const decoder = new ResponseDecoder(recorder)
    return { recorder, decoder, push: (text: string) => decoder.push(Buffer.from(text, 'latin1')) }
  }

  it('refuses what comes unasked: before a request, and behind a response', () => {
    const before = open()
    before.push('H')
    expect(before.recorder.error?.code).toBe('RESPONSE_UNEXPECTED')
    const behind = open()
    behind.decoder.expect(GET)
    behind.push(`${response('200 OK', length(1), 'x')}\r\n`)
    expect(behind.recorder.messages).toHaveLength(1)
    expect(behind.recorder.error?.code).toBe('RESPONSE_UNEXPECTED')
  })

  it('is told of one request at a time', () => {
    const { decoder, push } = open()
    decoder.expect(GET)
    expect(decoder.expecting).toBe(true)
    expect(() => decoder.expect(GET)).toThrow('one request at a time')
    push(response('200 OK', length(0)))
    expect(decoder.expecting).toBe(false)
    decoder.expect(GET)
  })

  it.each([
    ['a switch', UPGRADE, response('101 Switching Protocols', upgrade)],
    ['a tunnel', CONNECT, response('200 OK')],
  ])('is somebody else’s after %s', (_, expectation, input) => {
    const { recorder, decoder, push } = open()
    decoder.expect(expectation)
    push(`${input}raw`)
    expect(recorder.messages[0]!.end).toBeDefined()
    expect(decoder.paused).toBe(true)
    expect(Buffer.concat(decoder.takeRest()).toString()).toBe('raw')
  })

  it('may end where a body ends with it, and not elsewhere', () => {
    expect(recordResponses(response('200 OK', '', 'abc'), undefined, true)).toMatchObject({ error: undefined })
    expect(recordResponses(response('200 OK', length(4), 'abc'), undefined, true).error?.code).toBe(
      'MESSAGE_INCOMPLETE',
    )
    expect(recordResponses(response('200 OK', chunked, '1\r\nx\r\n'), undefined, true).error?.code).toBe(
      'MESSAGE_INCOMPLETE',
    )
  })

  it('may be tried again elsewhere when it ended before the first byte of the answer', () => {
    const { recorder, decoder } = open()
    decoder.expect(GET)
    decoder.end()
    expect(recorder.error).toMatchObject({ code: 'RESPONSE_MISSING', retry: 'if-reused' })
    const idle = open()
    idle.decoder.end()
    expect(idle.recorder.error).toBeUndefined()
  })
})

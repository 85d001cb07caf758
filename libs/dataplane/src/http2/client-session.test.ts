import { describe, expect, it, test } from 'vitest'
import { HttpCodecError } from '../http1/errors.ts'
import { HTTP2_ERROR } from './errors.ts'
import { FLAG, FRAME, SETTING } from './frame.ts'
import { block, ClientHarness, END, frame, setting, words } from './raw-peer.conformance.ts'

const { PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, STREAM_CLOSED, NO_ERROR } = HTTP2_ERROR
const OPEN = FLAG.END_HEADERS
const HELLO = frame(FRAME.SETTINGS, 0, 0)
const answer = (stream: number, flags: number, ...fields: readonly (readonly [string, string])[]) =>
  frame(FRAME.HEADERS, flags, stream, block(...fields))
const data = (stream: number, text: string, flags = 0) => frame(FRAME.DATA, flags, stream, text)
const OK = [':status', '200'] as const

describe('a request of ours', () => {
  it('is answered, with the body and the trailers that come', () => {
    const client = new ClientHarness()
    client.request().end()
    client.receive(
      Buffer.concat([
        HELLO,
        answer(1, OPEN, [':status', '103'], ['link', 'x']),
        answer(1, OPEN, OK, ['x-a', 'b']),
        data(1, 'hello'),
        answer(1, END, ['grpc-status', '0']),
      ]),
    )
    expect(client.events).toEqual(['1 sent', '1 200 chunked [["x-a","b"]]', '1 end "hello" [["grpc-status","0"]]'])
    expect(client.session.streamCount).toBe(0)
    const sent = client.framesOf(FRAME.HEADERS)
    expect(sent.map(({ stream }) => stream)).toEqual([1])
    expect(client.framesOf(FRAME.DATA)).toHaveLength(1) // the turn had ended before it did
  })

  it('has its end in its only frame when all is said in one turn', () => {
    const client = new ClientHarness()
    client.request('GET', [], (stream) => stream.end())
    expect(client.framesOf(FRAME.HEADERS)[0]!.flags).toBe(END)
    expect(client.framesOf(FRAME.DATA)).toEqual([])
  })

  it.each([
    ['HEAD', [OK, ['content-length', '5']] as const, '1 200 none [["content-length","5"]]'],
    [
      'GET',
      [
        [':status', '304'],
        ['content-length', '5'],
      ] as const,
      '1 304 none [["content-length","5"]]',
    ],
    ['GET', [[':status', '204']] as const, '1 204 none []'],
    ['GET', [OK, ['grpc-status', '7']] as const, '1 200 none [["grpc-status","7"]]'],
  ])('of %s may have an answer without a body', (method, fields, told) => {
    const client = new ClientHarness()
    client.request(method).end()
    client.receive(Buffer.concat([HELLO, answer(1, END, ...fields)]))
    expect(client.events).toEqual(['1 sent', told, '1 end ""'])
  })

  it('cannot be sent with what would not stay what it is', () => {
    const client = new ClientHarness()
    expect(() => client.request('GE T')).toThrow(HttpCodecError)
    expect(client.framesOf(FRAME.HEADERS)).toEqual([])
  })

  test.each<[string, string, Buffer]>([
    ['refused', 'refused', frame(FRAME.RST_STREAM, 0, 1, words(REFUSED_STREAM))],
    ['reset', 'reset', frame(FRAME.RST_STREAM, 0, 1, words(CANCEL))],
    ['reset without an error', 'reset', frame(FRAME.RST_STREAM, 0, 1, words(NO_ERROR))],
    ['never seen by a server that goes away', 'refused', frame(FRAME.GOAWAY, 0, 0, words(0, NO_ERROR))],
    ['answered without a status', 'malformed', answer(1, END, ['x-a', 'b'])],
    ['answered with a status that is none', 'malformed', answer(1, END, [':status', '20'])],
    ['answered with two statuses', 'malformed', answer(1, END, OK, OK)],
    ['answered with a method', 'malformed', answer(1, END, OK, [':method', 'GET'])],
    ['answered with a switch of protocols', 'malformed', answer(1, OPEN, [':status', '101'])],
    ['answered with nothing behind a hint', 'malformed', answer(1, END, [':status', '103'])],
    ['answered with a body before its head', 'malformed', data(1, 'x')],
    ['answered with less than was said', 'malformed', answer(1, END, OK, ['content-length', '5'])],
    ['answered with a field of connections', 'malformed', answer(1, END, OK, ['connection', 'close'])],
    ['answered with more fields than allowed', 'malformed', answer(1, END, OK, ...Array(101).fill(['x-a', 'b']))],
  ])('may be %s', (_title, failure, bytes) => {
    const client = new ClientHarness()
    client.request()
    client.receive(Buffer.concat([HELLO, bytes]))
    expect(client.events).toEqual(['1 sent', `1 ${failure}`])
    if (failure === 'malformed') expect(client.resetOf(1)).toBe(PROTOCOL_ERROR)
  })
})

it('an answer to HEAD has no body, whatever comes', () => {
  const client = new ClientHarness()
  client.request('HEAD')
  client.receive(Buffer.concat([HELLO, answer(1, OPEN, OK), data(1, 'x')]))
  expect(client.events.at(-1)).toBe('1 malformed')
})

it('respects how many requests a server takes at once, and how much of them', () => {
  const client = new ClientHarness()
  client.receive(Buffer.concat([setting(SETTING.MAX_CONCURRENT_STREAMS, 2), setting(SETTING.INITIAL_WINDOW_SIZE, 3)]))
  expect(client.session.placesMax).toBe(2)
  const stream = client.request('POST')
  expect(stream.write(Buffer.from('hello'))).toBe(false)
  client.endTurn()
  expect(client.bodyOf(1)).toBe('hel')
  client.receive(frame(FRAME.WINDOW_UPDATE, 0, 1, words(2)))
  expect(client.bodyOf(1)).toBe('hello')
  expect(client.events.at(-1)).toBe('1 drain')
})

it('lets a server that goes away finish what it took, and asks it for nothing more', () => {
  const client = new ClientHarness()
  for (let times = 0; times < 2; times += 1) client.request().end()
  client.receive(Buffer.concat([HELLO, frame(FRAME.GOAWAY, 0, 0, words(1, NO_ERROR))]))
  expect(client.session.isUsable).toBe(false)
  expect(client.events.at(-1)).toBe('3 refused')
  client.receive(answer(1, END, OK))
  expect(client.events.slice(-2)).toEqual(['1 200 none []', '1 end ""'])
  expect(client.stream.isEnded).toBe(true)
})

it('tells of what is open when the server hangs up', () => {
  const client = new ClientHarness()
  client.request()
  client.receive(HELLO)
  client.session.onEnd()
  expect(client.events.at(-1)).toBe('1 gone')
  expect(client.stream.isEnded).toBe(true)
})

test.each<[string, number, Buffer]>([
  ['something else than SETTINGS first', PROTOCOL_ERROR, frame(FRAME.PING, 0, 0, words(1, 2))],
  ['a push', PROTOCOL_ERROR, Buffer.concat([HELLO, frame(FRAME.PUSH_PROMISE, OPEN, 1, words(2))])],
  ['an answer to nothing', PROTOCOL_ERROR, Buffer.concat([HELLO, answer(5, END, OK)])],
  ['a stream of its own', PROTOCOL_ERROR, Buffer.concat([HELLO, answer(2, END, OK)])],
  ['an answer behind the answer', STREAM_CLOSED, Buffer.concat([HELLO, answer(1, END, OK), answer(1, END, OK)])],
])('refuses %s', (_title, code, bytes) => {
  const client = new ClientHarness()
  client.request().end()
  client.receive(bytes)
  expect(client.goaway).toBe(code)
})

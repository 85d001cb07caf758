import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, it, test } from 'vitest'
import { HeaderMap } from '../http1/headers.ts'
import { HTTP2_ERROR } from './errors.ts'
import { FLAG, FRAME, SETTING, STREAM_ID_MAX, WINDOW_MAX } from './frame.ts'
import {
  CONNECTION_WINDOW_BYTES,
  OUTPUT_BYTES_MAX,
  STALLED_LOOKS_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from './limits.ts'
import { block, END, frame, HELLO, headers, PSEUDO, ServerHarness, setting, words } from './raw-peer.conformance.ts'

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR } = HTTP2_ERROR
const { ENHANCE_YOUR_CALM, REFUSED_STREAM, NO_ERROR, CANCEL } = HTTP2_ERROR
const OPEN = FLAG.END_HEADERS
const [METHOD, SCHEME, PATH, AUTHORITY] = PSEUDO
const data = (stream: number, text: string, flags = 0) => frame(FRAME.DATA, flags, stream, text)
const reset = (stream: number, code: number = CANCEL) => frame(FRAME.RST_STREAM, 0, stream, words(code))
const update = (stream: number, bytes: number) => frame(FRAME.WINDOW_UPDATE, 0, stream, words(bytes))
const request = (...fields: readonly (readonly [string, string])[]) => headers(1, END, block(...fields))

describe('frames that end the connection', () => {
  test.each<[string, number, Buffer]>([
    ['larger than allowed', FRAME_SIZE_ERROR, frame(FRAME.PING, 0, 0, Buffer.alloc(16_385))],
    ['DATA on stream 0', PROTOCOL_ERROR, data(0, 'x')],
    ['HEADERS on stream 0', PROTOCOL_ERROR, headers(0)],
    ['PRIORITY on stream 0', PROTOCOL_ERROR, frame(FRAME.PRIORITY, 0, 0, Buffer.alloc(5))],
    ['RST_STREAM on stream 0', PROTOCOL_ERROR, reset(0)],
    ['RST_STREAM of another size', FRAME_SIZE_ERROR, Buffer.concat([headers(1), frame(FRAME.RST_STREAM, 0, 1, 'abc')])],
    ['RST_STREAM of a stream that never was', PROTOCOL_ERROR, reset(1)],
    ['SETTINGS on a stream', PROTOCOL_ERROR, frame(FRAME.SETTINGS, 0, 1)],
    ['SETTINGS of another size', FRAME_SIZE_ERROR, frame(FRAME.SETTINGS, 0, 0, 'abc')],
    ['an acknowledgement with settings', FRAME_SIZE_ERROR, frame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6))],
    ['ENABLE_PUSH of 2', PROTOCOL_ERROR, setting(SETTING.ENABLE_PUSH, 2)],
    ['INITIAL_WINDOW_SIZE of 2^31', FLOW_CONTROL_ERROR, setting(SETTING.INITIAL_WINDOW_SIZE, 2 ** 31)],
    ['MAX_FRAME_SIZE too small', PROTOCOL_ERROR, setting(SETTING.MAX_FRAME_SIZE, 16_383)],
    ['MAX_FRAME_SIZE too large', PROTOCOL_ERROR, setting(SETTING.MAX_FRAME_SIZE, 2 ** 24)],
    ['PUSH_PROMISE', PROTOCOL_ERROR, frame(FRAME.PUSH_PROMISE, OPEN, 1, words(2))],
    ['PING on a stream', PROTOCOL_ERROR, frame(FRAME.PING, 0, 1, Buffer.alloc(8))],
    ['PING of another size', FRAME_SIZE_ERROR, frame(FRAME.PING, 0, 0, 'short')],
    ['GOAWAY on a stream', PROTOCOL_ERROR, frame(FRAME.GOAWAY, 0, 1, words(0, 0))],
    ['GOAWAY of another size', FRAME_SIZE_ERROR, frame(FRAME.GOAWAY, 0, 0, words(0))],
    ['WINDOW_UPDATE of another size', FRAME_SIZE_ERROR, frame(FRAME.WINDOW_UPDATE, 0, 0, 'abc')],
    ['WINDOW_UPDATE of nothing', PROTOCOL_ERROR, update(0, 0)],
    ['WINDOW_UPDATE beyond 2^31-1', FLOW_CONTROL_ERROR, update(0, WINDOW_MAX)],
    ['WINDOW_UPDATE of a stream that never was', PROTOCOL_ERROR, update(1, 1)],
    ['DATA of a stream that never was', PROTOCOL_ERROR, data(1, 'x')],
    ['CONTINUATION alone', PROTOCOL_ERROR, frame(FRAME.CONTINUATION, OPEN, 1, block(...PSEUDO))],
    [
      'a frame within a header block',
      PROTOCOL_ERROR,
      Buffer.concat([headers(1, 0), frame(FRAME.PING, 0, 0, words(1, 2))]),
    ],
    [
      'CONTINUATION of another stream',
      PROTOCOL_ERROR,
      Buffer.concat([headers(1, 0), frame(FRAME.CONTINUATION, OPEN, 3)]),
    ],
    ['an even stream', PROTOCOL_ERROR, headers(2)],
    ['a stream below the last', PROTOCOL_ERROR, Buffer.concat([headers(5), headers(3)])],
    ['padding longer than HEADERS', PROTOCOL_ERROR, headers(1, END | FLAG.PADDED, Buffer.from([9, 0x82]))],
    ['padding longer than DATA', PROTOCOL_ERROR, Buffer.concat([headers(1, OPEN), data(1, '\x05abc', FLAG.PADDED)])],
    ['padded and empty', FRAME_SIZE_ERROR, Buffer.concat([headers(1, OPEN), data(1, '', FLAG.PADDED)])],
    ['HEADERS too short for their priority', FRAME_SIZE_ERROR, headers(1, END | FLAG.PRIORITY, Buffer.from('abc'))],
    [
      'a stream that depends on itself',
      PROTOCOL_ERROR,
      headers(1, END | FLAG.PRIORITY, Buffer.concat([words(1), Buffer.alloc(1)])),
    ],
    ['a block that is no HPACK', COMPRESSION_ERROR, headers(1, END, Buffer.from([0x80]))],
  ])('%s', (_title, code, bytes) => {
    const server = ServerHarness.greeted().receive(bytes)
    expect(server.goaway).toBe(code)
    expect(server.stream.isEnded).toBe(true)
    // And nothing is read behind it.
    const events = [...server.events]
    server.receive(headers(7))
    expect(server.events).toEqual(events)
  })

  it('a connection that begins otherwise', () => {
    expect(new ServerHarness().receive(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX')).goaway).toBe(PROTOCOL_ERROR)
    const early = new ServerHarness().receive(
      Buffer.concat([HELLO.subarray(0, 24), frame(FRAME.PING, 0, 0, words(1, 2))]),
    )
    expect(early.goaway).toBe(PROTOCOL_ERROR)
  })
})

describe('what ends a stream, and no other', () => {
  test.each<[string, number, Buffer]>([
    ['no method', PROTOCOL_ERROR, request(SCHEME, PATH, AUTHORITY)],
    ['no scheme', PROTOCOL_ERROR, request(METHOD, PATH, AUTHORITY)],
    ['no path', PROTOCOL_ERROR, request(METHOD, SCHEME, AUTHORITY)],
    ['an empty path', PROTOCOL_ERROR, request(METHOD, SCHEME, [':path', ''], AUTHORITY)],
    ['a path that is none', PROTOCOL_ERROR, request(METHOD, SCHEME, [':path', 'x'], AUTHORITY)],
    ['a path with a space', PROTOCOL_ERROR, request(METHOD, SCHEME, [':path', '/a b'], AUTHORITY)],
    ['a path with a fragment', PROTOCOL_ERROR, request(METHOD, SCHEME, [':path', '/a#b'], AUTHORITY)],
    ['the star for another method', PROTOCOL_ERROR, request(METHOD, SCHEME, [':path', '*'], AUTHORITY)],
    ['a method that is no token', PROTOCOL_ERROR, request([':method', 'GE T'], SCHEME, PATH, AUTHORITY)],
    ['a status', PROTOCOL_ERROR, request(...PSEUDO, [':status', '200'])],
    ['an authority with a user', PROTOCOL_ERROR, request(METHOD, SCHEME, PATH, [':authority', 'me@a.test'])],
    ['a Host that says otherwise', PROTOCOL_ERROR, request(...PSEUDO, ['host', 'b.test'])],
    ['CONNECT with a path', PROTOCOL_ERROR, request([':method', 'CONNECT'], PATH, AUTHORITY)],
    ['a field of connections', PROTOCOL_ERROR, request(...PSEUDO, ['transfer-encoding', 'chunked'])],
    ['a name in upper case', PROTOCOL_ERROR, request(...PSEUDO, ['X-A', 'b'])],
    ['a length where there is no body', PROTOCOL_ERROR, request(...PSEUDO, ['content-length', '3'])],
    ['fields beyond the limit', ENHANCE_YOUR_CALM, request(...PSEUDO, ...Array(101).fill(['x-a', 'b']))],
  ])('%s', (_title, code, bytes) => {
    const server = ServerHarness.greeted().receive(bytes)
    expect(server.resetOf(1)).toBe(code)
    expect(server.events).toEqual([])
    server.receive(headers(3))
    expect(server.events).toEqual(['3 POST a.test/ none end'])
  })

  const open = headers(1, OPEN)
  const withLength = headers(1, OPEN, block(...PSEUDO, ['content-length', '3']))
  test.each<[string, number, Buffer[]]>([
    ['more body than its length', PROTOCOL_ERROR, [withLength, data(1, 'abcd')]],
    ['less body than its length', PROTOCOL_ERROR, [withLength, data(1, 'ab', FLAG.END_STREAM)]],
    [
      'trailers before the body is as long as it said',
      PROTOCOL_ERROR,
      [withLength, headers(1, END, block(['x-a', 'b']))],
    ],
    ['trailers without an end', PROTOCOL_ERROR, [open, headers(1, OPEN, block(['x-a', 'b']))]],
    ['trailers with a pseudo field', PROTOCOL_ERROR, [open, headers(1, END, block([':path', '/']))]],
    ['trailers that frame', PROTOCOL_ERROR, [open, headers(1, END, block(['content-length', '0']))]],
    ['DATA behind its end', STREAM_CLOSED, [headers(1), data(1, 'x')]],
    ['HEADERS behind its end', STREAM_CLOSED, [headers(1), headers(1)]],
    ['an increment of 0', PROTOCOL_ERROR, [open, update(1, 0)]],
    ['a window beyond 2^31-1', FLOW_CONTROL_ERROR, [open, update(1, WINDOW_MAX)]],
    ['PRIORITY of another size', FRAME_SIZE_ERROR, [open, frame(FRAME.PRIORITY, 0, 1, 'abc')]],
    [
      'PRIORITY on itself',
      PROTOCOL_ERROR,
      [open, frame(FRAME.PRIORITY, 0, 1, Buffer.concat([words(1), Buffer.alloc(1)]))],
    ],
  ])('%s', (_title, code, parts) => {
    const server = ServerHarness.greeted().receive(Buffer.concat(parts))
    expect(server.resetOf(1)).toBe(code)
    expect(server.events.at(-1)).toBe('1 malformed')
    expect(server.goaway).toBeUndefined()
    // What crosses the reset on its way is nobody's fault.
    server.receive(Buffer.concat([data(1, 'late'), headers(1, END, block(['x-a', 'b'])), headers(3)]))
    expect(server.framesOf(FRAME.RST_STREAM)).toHaveLength(1)
    expect(server.events.at(-1)).toBe('3 POST a.test/ none end')
  })

  it('DATA and HEADERS of a stream that the client itself has reset', () => {
    const server = ServerHarness.greeted().receive(Buffer.concat([open, reset(1), data(1, 'x')]))
    expect(server.events.at(-1)).toBe('1 reset')
    expect(server.resetOf(1)).toBe(STREAM_CLOSED)
    const other = ServerHarness.greeted().receive(Buffer.concat([open, reset(1), headers(1)]))
    expect(other.goaway).toBe(STREAM_CLOSED)
  })
})

describe('a request', () => {
  it('is told with its body, without padding, and its trailers, without those that cannot be there', () => {
    const server = ServerHarness.greeted()
    const trailers = block(['x-a', 'b'], ['set-cookie', 'no'])
    const parts = [headers(1, OPEN), data(1, 'he'), data(1, '\x03lloPAD', FLAG.PADDED), headers(1, END, trailers)]
    server.receive(Buffer.concat(parts))
    expect(server.events).toEqual(['1 POST a.test/ chunked', '1 end "hello" [["x-a","b"]]'])
  })

  it.each([
    [
      'OPTIONS for all of the server',
      [[':method', 'OPTIONS'], SCHEME, [':path', '*'], AUTHORITY],
      '1 OPTIONS a.test* none end',
    ],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a.test:1'],
      ],
      '1 CONNECT a.test:1 none end',
    ],
    ['one that has Host alone', [METHOD, SCHEME, PATH, ['host', 'b.test']], '1 POST b.test/ none end'],
    ['one of nobody', [METHOD, SCHEME, PATH], '1 POST / none end'],
  ] as const)('may be %s', (_title, fields, told) => {
    expect(ServerHarness.greeted().receive(request(...fields)).events).toEqual([told])
  })

  it('may be cut anywhere, and lent', () => {
    const fields = block(...PSEUDO, ['x-long', 'y'.repeat(300)])
    const bytes = Buffer.concat([
      HELLO,
      headers(1, 0, fields.subarray(0, 9)),
      frame(FRAME.CONTINUATION, 0, 1, fields.subarray(9, 100)),
      frame(FRAME.CONTINUATION, OPEN, 1, fields.subarray(100)),
      data(1, '\x02helloPP', FLAG.PADDED),
      data(1, ' world', FLAG.END_STREAM),
    ])
    for (const size of [1, 2, 7, 9, 1000]) {
      const server = new ServerHarness().receive(bytes, () => size, true)
      expect(server.events).toEqual(['1 POST a.test/ chunked', '1 end "hello world"'])
    }
  })
})

describe('a response', () => {
  it('leaves in one piece: head, body and end', () => {
    const server = ServerHarness.greeted()
    const before = server.stream.written.length
    server.answer = ({ id }) => server.respond(id, 'hello')
    server.receive(headers(1))
    expect(server.stream.written.length).toBe(before + 1)
    const [head, body] = server.frames.slice(-2)
    expect([head!.type, head!.flags, body!.type, body!.flags]).toEqual([
      FRAME.HEADERS,
      OPEN,
      FRAME.DATA,
      FLAG.END_STREAM,
    ])
    expect(server.bodyOf(1)).toBe('hello')
  })

  it('without a body ends with its head, one with trailers with those', () => {
    const server = ServerHarness.greeted()
    server.answer = ({ id }) => server.respond(id, '', id === 3 ? new HeaderMap([['x-a', 'b']]) : undefined)
    server.receive(Buffer.concat([headers(1), headers(3)]))
    expect(server.framesOf(FRAME.HEADERS).map(({ stream, flags }) => [stream, flags])).toEqual([
      [1, END],
      [3, OPEN],
      [3, END],
    ])
    expect(server.framesOf(FRAME.DATA)).toEqual([])
  })

  it('to a request that has more to come ends with a reset that is no error; what is here already needs none', () => {
    const server = ServerHarness.greeted()
    server.receive(headers(1, OPEN))
    server.respond(1, 'no')
    server.receive(Buffer.concat([data(1, 'x'), headers(3, OPEN)]))
    expect(server.resetOf(1)).toBe(NO_ERROR)
    server.respond(3, 'no')
    server.receive(data(3, 'x', FLAG.END_STREAM))
    expect(server.resetOf(3)).toBeUndefined()
    expect(server.session.streamCount).toBe(0)
  })

  it('waits for windows, of its stream and of the connection, and tells when it went on', () => {
    const server = ServerHarness.greeted()
    server.receive(Buffer.concat([setting(SETTING.INITIAL_WINDOW_SIZE, 10), headers(1), headers(3)]))
    server.respond(1, 'x'.repeat(25))
    server.receive(update(1, 5))
    expect(server.bodyOf(1)).toBe('x'.repeat(15))
    server.receive(setting(SETTING.INITIAL_WINDOW_SIZE, 0))
    server.receive(update(1, 12)) // the window was 10 below nothing
    expect(server.bodyOf(1)).toBe('x'.repeat(17))
    server.receive(setting(SETTING.INITIAL_WINDOW_SIZE, 100_000))
    expect(server.bodyOf(1)).toBe('x'.repeat(25))
    expect(server.framesOf(FRAME.DATA, 1).at(-1)!.flags).toBe(FLAG.END_STREAM)
    server.respond(3, 'y'.repeat(90_000))
    server.receive(frame(FRAME.PING, 0, 0, words(1, 2)))
    expect(server.bodyOf(3).length).toBe(65_535 - 25)
    server.receive(update(0, 90_000))
    expect(server.bodyOf(3).length).toBe(90_000)
    expect(server.framesOf(FRAME.DATA).every(({ payload }) => payload.length <= 16_384)).toBe(true)
    expect(server.events.filter((event) => event.endsWith('drain'))).toEqual([])
  })

  it('is held back while the socket takes nothing, and goes on in turns', () => {
    const server = ServerHarness.greeted()
    server.receive(Buffer.concat([update(0, 1_000_000), headers(1), headers(3)]))
    for (const id of [1, 3]) {
      const stream = server.streams.get(id)!
      server.session.respond(
        stream,
        { status: 200, headers: new HeaderMap(), framing: 'chunked', contentLength: 0 },
        false,
      )
    }
    server.stream.hasRoom = false
    expect(server.streams.get(1)!.write(Buffer.alloc(40_000))).toBe(false)
    expect(server.streams.get(3)!.write(Buffer.alloc(10))).toBe(false)
    expect(server.bodyOf(1).length).toBe(16_384)
    server.stream.hasRoom = true
    server.session.onDrain()
    server.endTurn()
    expect([server.bodyOf(1).length, server.bodyOf(3).length]).toEqual([40_000, 10])
    expect(server.events.filter((event) => event.endsWith('drain'))).toEqual(['1 drain', '3 drain'])
  })
})

describe('what a client may send', () => {
  it('is granted again as it is taken, not while it is held back', () => {
    const server = ServerHarness.greeted()
    server.receive(headers(1, OPEN))
    server.streams.get(1)!.pause()
    const piece = 'x'.repeat(16_384)
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += piece.length) server.receive(data(1, piece))
    expect(server.framesOf(FRAME.WINDOW_UPDATE, 1)).toEqual([])
    expect(server.sinks.get(1)!.body).toBe('')
    server.streams.get(1)!.resume()
    server.endTurn()
    const granted = server.framesOf(FRAME.WINDOW_UPDATE, 1).map(({ payload }) => payload.readUInt32BE())
    expect(granted.reduce((sum, bytes) => sum + bytes, 0)).toBe(STREAM_WINDOW_BYTES)
    expect(server.sinks.get(1)!.body.length).toBe(STREAM_WINDOW_BYTES)
  })

  it('is bounded by the window of the stream, and of the connection', () => {
    const small = { streamWindowBytes: 1000, connectionWindowBytes: 65_535 }
    const server = ServerHarness.greeted(small)
    server.receive(Buffer.concat([headers(1, OPEN), headers(3, OPEN)]))
    server.streams.get(1)!.pause()
    server.receive(Buffer.concat([data(1, 'x'.repeat(1000)), data(1, 'x')]))
    expect(server.resetOf(1)).toBe(FLOW_CONTROL_ERROR)
    const other = ServerHarness.greeted({ streamWindowBytes: 100_000, connectionWindowBytes: 65_535 })
    other.receive(headers(1, OPEN))
    other.streams.get(1)!.pause()
    for (let sent = 0; sent < 5; sent += 1) other.receive(data(1, 'x'.repeat(16_000)))
    expect(other.goaway).toBe(FLOW_CONTROL_ERROR)
  })

  it('is granted to the others when a stream that held it is gone, or nobody reads it', () => {
    const server = ServerHarness.greeted()
    const piece = 'x'.repeat(16_384)
    let sent = 0
    for (let id = 1; sent < 3 * CONNECTION_WINDOW_BYTES; id += 2) {
      server.receive(headers(id, OPEN))
      server.streams.get(id)!.pause()
      for (let times = 0; times < 16; times += 1, sent += piece.length) server.receive(data(id, piece))
      server.receive(reset(id))
    }
    expect(server.goaway).toBeUndefined()
    expect(server.session.streamCount).toBe(0)
  })
})

describe('an end in order', () => {
  it('is announced, then final when the notice was seen; streams in between are served', () => {
    const server = ServerHarness.greeted()
    server.receive(headers(1))
    server.session.drain(1000)
    server.endTurn()
    const [notice] = server.framesOf(FRAME.GOAWAY)
    expect([notice!.payload.readUInt32BE(0), notice!.payload.readUInt32BE(4)]).toEqual([STREAM_ID_MAX, NO_ERROR])
    server.receive(headers(3))
    const ping = server.framesOf(FRAME.PING).at(-1)!
    server.receive(frame(FRAME.PING, FLAG.ACK, 0, ping.payload))
    expect(server.framesOf(FRAME.GOAWAY)[1]!.payload.readUInt32BE(0)).toBe(3)
    server.receive(Buffer.concat([headers(5, OPEN), data(5, 'x')]))
    server.respond(1, 'a')
    expect(server.stream.isEnded).toBe(false)
    server.respond(3, 'b')
    expect(server.stream.isEnded).toBe(true)
    expect(server.events).toEqual(['1 POST a.test/ none end', '3 POST a.test/ none end'])
    expect(server.framesOf(FRAME.RST_STREAM)).toEqual([])
  })

  it('does not wait for ever for the notice to be seen, nor for the client to hang up', async () => {
    const clock = new VirtualClock()
    const server = new ServerHarness({}, clock).receive(HELLO)
    server.session.drain(1000)
    await clock.advance(1000)
    expect(server.framesOf(FRAME.GOAWAY)).toHaveLength(2)
    expect(server.stream.isEnded).toBe(true)
    await clock.advance(1000)
    expect(server.stream.isReset).toBe(true)
  })

  it('of the client: who has sent all gets its answers', () => {
    const server = ServerHarness.greeted()
    server.receive(Buffer.concat([headers(1), headers(3, OPEN)]))
    server.session.onEnd()
    expect(server.events.at(-1)).toBe('3 gone')
    server.respond(1, 'a')
    expect(server.bodyOf(1)).toBe('a')
    expect(server.stream.isEnded).toBe(true)
  })

  it('tells every stream when the connection is cut', () => {
    const server = ServerHarness.greeted()
    server.receive(Buffer.concat([headers(1), headers(3, OPEN)]))
    server.session.onClose(undefined)
    expect(server.events.slice(-3)).toEqual(['1 gone', '3 gone', 'closed'])
  })
})

describe('what costs the client nothing', () => {
  const many = (count: number, bytes: (index: number) => Buffer) =>
    Buffer.concat(Array.from({ length: count }, (_, index) => bytes(index)))

  test.each<[string, (server: ServerHarness) => Buffer]>([
    [
      'streams that are opened and reset (CVE-2023-44487)',
      () => many(1100, (index) => Buffer.concat([headers(2 * index + 1), reset(2 * index + 1)])),
    ],
    ['PING', () => many(1100, () => frame(FRAME.PING, 0, 0, words(1, 2)))],
    ['SETTINGS', () => many(1100, () => frame(FRAME.SETTINGS, 0, 0))],
    ['acknowledgements of nothing', () => many(1100, () => frame(FRAME.SETTINGS, FLAG.ACK, 0))],
    ['PRIORITY', () => many(1100, () => frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(5)))],
    ['frames of no known type', () => many(1100, () => frame(0x42, 0, 0, 'what'))],
    ['empty DATA', () => Buffer.concat([headers(1, OPEN), many(1100, () => data(1, ''))])],
    ['DATA of padding alone', () => Buffer.concat([headers(1, OPEN), many(1100, () => data(1, '\x01P', FLAG.PADDED))])],
    ['WINDOW_UPDATE', () => many(1100, () => update(0, 1))],
    ['requests that are none', () => many(1100, (index) => headers(2 * index + 1, END, block(METHOD)))],
    ['streams beyond the limit', () => many(1200, (index) => headers(2 * index + 1, OPEN))],
    ['CONTINUATION of nothing', () => Buffer.concat([headers(1, 0), many(17, () => frame(FRAME.CONTINUATION, 0, 1))])],
    [
      'a header block without an end',
      () => Buffer.concat([headers(1, 0), many(5, () => frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_000)))]),
    ],
  ])('is limited: %s', (_title, bytes) => {
    const server = ServerHarness.greeted()
    server.receive(bytes(server), () => 16_384)
    expect(server.goaway).toBe(ENHANCE_YOUR_CALM)
    expect(server.stream.isEnded).toBe(true)
  })

  it('is allowed where it comes of what we send: gRPC measures with a PING for each DATA', () => {
    const server = ServerHarness.greeted()
    server.receive(update(0, 1_000_000))
    for (let id = 1; id < 4_000; id += 2) {
      server.receive(headers(id))
      server.respond(id, 'a')
      server.receive(Buffer.concat([frame(FRAME.PING, 0, 0, words(1, 2)), update(0, 1)]))
    }
    expect(server.goaway).toBeUndefined()
  })

  it('is allowed at the rate of honest clients', async () => {
    const clock = new VirtualClock()
    const server = new ServerHarness({}, clock).receive(HELLO)
    server.answer = ({ id }) => server.respond(id, 'a')
    for (let id = 1, second = 0; second < 100; second += 1) {
      server.receive(many(100, () => frame(FRAME.PING, 0, 0, words(1, 2))))
      for (let times = 0; times < 30; times += 1, id += 4) {
        server.receive(Buffer.concat([headers(id, OPEN), reset(id), headers(id + 2), update(0, 1)]))
      }
      await clock.advance(1000)
    }
    expect(server.goaway).toBeUndefined()
  })

  it('refuses streams beyond the limit so that they can be tried again', () => {
    const server = ServerHarness.greeted()
    server.receive(many(STREAMS_MAX + 1, (index) => headers(2 * index + 1, OPEN)))
    expect(server.session.streamCount).toBe(STREAMS_MAX)
    expect(server.resetOf(2 * STREAMS_MAX + 1)).toBe(REFUSED_STREAM)
  })

  it('ends when answers are asked for and not read', () => {
    const server = ServerHarness.greeted()
    server.stream.hasRoom = false
    server.answer = ({ id }) => {
      server.session.respond(
        server.streams.get(id)!,
        {
          ...{ status: 200, framing: 'none', contentLength: 0 },
          headers: new HeaderMap([['x-large', 'x'.repeat(1000)]]),
        } as const,
        true,
      )
    }
    for (let id = 1; id < 2 * (OUTPUT_BYTES_MAX / 1000) + 100 && !server.stream.isEnded; id += 2)
      server.receive(headers(id))
    expect(server.goaway).toBe(ENHANCE_YOUR_CALM)
  })

  it('cuts an answer whose window never opens', () => {
    const server = ServerHarness.greeted()
    server.receive(Buffer.concat([setting(SETTING.INITIAL_WINDOW_SIZE, 0), headers(1)]))
    server.respond(1, 'never')
    for (let look = 0; look < STALLED_LOOKS_MAX; look += 1) server.session.resetStalled()
    expect(server.session.streamCount).toBe(1)
    server.session.resetStalled()
    server.endTurn()
    expect(server.resetOf(1)).toBe(CANCEL)
    expect(server.session.streamCount).toBe(0)
    expect(server.events.at(-1)).toBe('1 stalled')
  })
})

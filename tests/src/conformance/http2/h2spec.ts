import { FLAG, hpack, type RawHttp2Client, settings, TYPE, u32 } from './raw-client.ts'

/** What a client does in one of h2spec's checks; what must come of it is in the case. */
export type Scenario = (client: RawHttp2Client) => void | Promise<void>

const END = FLAG.END_HEADERS | FLAG.END_STREAM
const OPEN = FLAG.END_HEADERS
const PSEUDO = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a.test'],
] as const
const REQUEST = hpack(...PSEUDO)
const WINDOW_MAX = 2 ** 31 - 1
const FRAME_MAX = 16_384
const SETTING = { INITIAL_WINDOW_SIZE: 4, MAX_FRAME_SIZE: 5, UNKNOWN: 0xff } as const

const get = (stream = 1, more: Uint8Array = Buffer.alloc(0)): Scenario => {
  return (client) => client.send(TYPE.HEADERS, END, stream, Buffer.concat([REQUEST, more]))
}
const open = (client: RawHttp2Client, stream = 1) => client.send(TYPE.HEADERS, OPEN, stream, REQUEST)
const frame = (...args: Parameters<RawHttp2Client['send']>): Scenario => {
  return (client) => client.send(...args)
}
/** A request whose block is this, alone. */
const block = (bytes: Uint8Array | readonly number[]) => frame(TYPE.HEADERS, END, 1, bytes)
/** After a request with END_STREAM. */
const halfClosed = (...args: Parameters<RawHttp2Client['send']>): Scenario => {
  return (client) => {
    client.send(TYPE.HEADERS, END, 1, REQUEST)
    client.send(...args)
  }
}
/** After a request whose END_STREAM has not come. */
const opened = (...args: Parameters<RawHttp2Client['send']>): Scenario => {
  return (client) => {
    open(client)
    client.send(...args)
  }
}
/** After a request that was answered. */
const closed = (...args: Parameters<RawHttp2Client['send']>): Scenario => {
  return async (client) => {
    client.send(TYPE.HEADERS, END, 1, REQUEST)
    await client.until(({ type, flags }) => type === TYPE.DATA && (flags & FLAG.END_STREAM) !== 0)
    client.send(...args)
  }
}
const afterReset = (...args: Parameters<RawHttp2Client['send']>): Scenario => {
  return (client) => {
    open(client)
    client.send(TYPE.RST_STREAM, 0, 1, u32(8))
    client.send(...args)
  }
}
const priority = (dependsOn: number, weight = 15) => Buffer.concat([u32(dependsOn), Buffer.from([weight])])
const literal = (first: number, ...rest: readonly (string | number)[]) =>
  Buffer.concat([
    Buffer.from([first]),
    ...rest.map((part) => (typeof part === 'string' ? text(part) : Buffer.from([part]))),
  ])
const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
/** `test` in the Huffman code of RFC 7541. */
const HUFFMAN_TEST = Buffer.from([0x83, 0x49, 0x50, 0x9f])
const USER_AGENT = 58

/** By the id of the case, without `h2spec/`. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'generic/2/1': frame(TYPE.PRIORITY, 0, 1, priority(0)),
  'generic/2/5': closed(TYPE.PRIORITY, 0, 1, priority(0)),
  'generic/3.1/1': opened(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test')),
  'generic/3.1/3': opened(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, 1, Buffer.from('\x03test\0\0\0')),
  'generic/3.10/2': (client) => {
    client.send(TYPE.HEADERS, FLAG.END_STREAM, 1, REQUEST)
    client.send(TYPE.CONTINUATION, 0, 1, hpack(['x-a', 'b']))
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-c', 'd']))
  },
  'generic/3.2/1': get(),
  'generic/3.2/3': frame(TYPE.HEADERS, END | FLAG.PRIORITY, 1, Buffer.concat([priority(0), REQUEST])),
  'generic/3.3/2': (client) => {
    client.send(TYPE.PRIORITY, 0, 1, priority(0, 255))
    client.send(TYPE.HEADERS, END, 1, REQUEST)
  },
  'generic/3.3/3': (client) => {
    client.send(TYPE.PRIORITY, 0, 1, priority(0x80000000 + 3))
    client.send(TYPE.HEADERS, END, 1, REQUEST)
  },
  'generic/3.3/5': (client) => {
    client.send(TYPE.PRIORITY, 0, 3, priority(0))
    client.send(TYPE.HEADERS, END, 1, REQUEST)
  },
  'generic/3.4/1': opened(TYPE.RST_STREAM, 0, 1, u32(8)),
  'generic/3.5/1': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 1_000])),
  'generic/3.8/1': frame(TYPE.GOAWAY, 0, 0, u32(0, 0)),
  'generic/3.9/1': frame(TYPE.WINDOW_UPDATE, 0, 0, u32(1)),
  'generic/4/1': block(hpack([':method', 'GET'], ...PSEUDO.slice(1))),
  'generic/4/2': block(hpack([':method', 'HEAD'], ...PSEUDO.slice(1))),
  'generic/4/4': (client) => {
    open(client)
    client.send(TYPE.DATA, 0, 1, Buffer.from('test'))
    client.send(TYPE.HEADERS, END, 1, hpack(['x-trailer', 'a']))
  },
  'generic/5/10': get(1, literal(0x1f, USER_AGENT - 15, 'test')),
  'generic/5/12': get(1, literal(0x10, 'user-agent', 'test')),
  'generic/5/13': get(1, Buffer.concat([literal(0x10, 'x-a'), HUFFMAN_TEST])),
  'generic/5/15': block(Buffer.concat([Buffer.from([0x20, 0x3f, 0xe1, 0x1f]), REQUEST])),
  'generic/5/2': get(1, literal(0x40 | USER_AGENT, 'test')),
  'generic/5/3': get(1, Buffer.concat([literal(0x40 | USER_AGENT), HUFFMAN_TEST])),
  'generic/5/4': get(1, literal(0x40, 'user-agent', 'test')),
  'generic/5/5': get(1, Buffer.concat([literal(0x40, 'x-a'), HUFFMAN_TEST])),
  'generic/5/8': get(1, literal(0x00, 'user-agent', 'test')),
  'hpack/2.3.3/2': get(1, literal(0x40 | 0x3f, 7, 'test')),
  'hpack/4.2/1': get(1, Buffer.from([0x20])),
  'hpack/5.2/1': get(1, Buffer.concat([literal(0x00, 'x-a'), Buffer.from([0x85, 0x49, 0x50, 0x9f, 0xff, 0xff])])),
  'hpack/6.1/1': get(1, Buffer.from([0x80])),
  'hpack/6.3/1': block(Buffer.concat([Buffer.from([0x3f, 0xe2, 0x1f]), REQUEST])),
  'http2/3.5/1': () => {},
  'http2/4.1/1': frame(0xff, 0, 0, Buffer.alloc(8)),
  'http2/4.1/2': frame(TYPE.PING, 0x16, 0, Buffer.from('undefine')),
  'http2/4.1/3': frame(TYPE.PING, 0, 0x80000000, Buffer.from('reserved')),
  'http2/4.2/2': opened(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.alloc(FRAME_MAX + 1)),
  'http2/4.2/3': frame(TYPE.HEADERS, END, 1, Buffer.alloc(FRAME_MAX + 1)),
  'http2/5.1.1/2': (client) => {
    client.send(TYPE.HEADERS, END, 5, REQUEST)
    client.send(TYPE.HEADERS, END, 3, REQUEST)
  },
  'http2/5.1.2/1': (client) => {
    for (let stream = 1; stream < 2 * (STREAMS_MAX + 2); stream += 2) open(client, stream)
  },
  'http2/5.1/10': afterReset(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b'])),
  'http2/5.1/11': closed(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test')),
  'http2/5.1/13': closed(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b'])),
  'http2/5.1/4': frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, REQUEST),
  'http2/5.1/5': halfClosed(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test')),
  'http2/5.1/6': halfClosed(TYPE.HEADERS, END, 1, REQUEST),
  'http2/5.1/7': halfClosed(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b'])),
  'http2/5.1/8': afterReset(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test')),
  'http2/5.3.1/1': frame(TYPE.HEADERS, END | FLAG.PRIORITY, 1, Buffer.concat([priority(1), REQUEST])),
  'http2/5.3.1/2': opened(TYPE.PRIORITY, 0, 1, priority(1)),
  'http2/6.1/1': frame(TYPE.DATA, FLAG.END_STREAM, 0, Buffer.from('test')),
  'http2/6.1/2': halfClosed(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test')),
  'http2/6.1/3': opened(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, 1, Buffer.from('\x06test')),
  'http2/6.10/1': (client) => {
    client.send(TYPE.HEADERS, FLAG.END_STREAM, 1, REQUEST)
    client.send(TYPE.CONTINUATION, 0, 1, hpack(['x-a', 'b']))
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-c', 'd']))
  },
  'http2/6.10/2': (client) => {
    client.send(TYPE.HEADERS, FLAG.END_STREAM, 1, REQUEST)
    client.send(TYPE.CONTINUATION, 0, 1, hpack(['x-a', 'b']))
    client.send(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('test'))
  },
  'http2/6.10/3': (client) => {
    client.send(TYPE.HEADERS, FLAG.END_STREAM, 1, REQUEST)
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 0, hpack(['x-a', 'b']))
  },
  'http2/6.10/4': opened(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b'])),
  'http2/6.10/5': (client) => {
    client.send(TYPE.HEADERS, 0, 1, REQUEST)
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b']))
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-c', 'd']))
  },
  'http2/6.10/6': (client) => {
    open(client)
    client.send(TYPE.DATA, 0, 1, Buffer.from('test'))
    client.send(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, hpack(['x-a', 'b']))
  },
  'http2/6.2/1': (client) => {
    client.send(TYPE.HEADERS, FLAG.END_STREAM, 1, REQUEST)
    client.send(TYPE.PRIORITY, 0, 1, priority(0))
  },
  'http2/6.2/3': frame(TYPE.HEADERS, END, 0, REQUEST),
  'http2/6.2/4': frame(TYPE.HEADERS, END | FLAG.PADDED, 1, Buffer.concat([Buffer.from([255]), REQUEST])),
  'http2/6.3/1': frame(TYPE.PRIORITY, 0, 0, priority(0)),
  'http2/6.3/2': opened(TYPE.PRIORITY, 0, 1, u32(0)),
  'http2/6.4/1': frame(TYPE.RST_STREAM, 0, 0, u32(8)),
  'http2/6.4/2': frame(TYPE.RST_STREAM, 0, 1, u32(8)),
  'http2/6.5.2/2': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, WINDOW_MAX + 1])),
  'http2/6.5.2/4': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.MAX_FRAME_SIZE, 2 ** 24])),
  'http2/6.5.2/5': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.UNKNOWN, 1])),
  'http2/6.5.3/2': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 100])),
  'http2/6.5/2': frame(TYPE.SETTINGS, 0, 1, settings([3, 16])),
  'http2/6.7/1': frame(TYPE.PING, 0, 0, Buffer.from('identity')),
  'http2/6.9.1/1': (client) => {
    client.send(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 1]))
    client.send(TYPE.HEADERS, END, 1, REQUEST)
  },
  'http2/6.9.1/3': (client) => {
    open(client)
    client.send(TYPE.WINDOW_UPDATE, 0, 1, u32(WINDOW_MAX))
    client.send(TYPE.WINDOW_UPDATE, 0, 1, u32(WINDOW_MAX))
  },
  'http2/6.9.2/2': async (client) => {
    client.send(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 3]))
    client.send(TYPE.HEADERS, END, 1, REQUEST)
    await client.until(({ type }) => type === TYPE.DATA)
    client.send(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 2]))
    client.send(TYPE.WINDOW_UPDATE, 0, 1, u32(2))
  },
  'http2/6.9.2/3': frame(TYPE.SETTINGS, 0, 0, settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])),
  'http2/6.9/2': opened(TYPE.WINDOW_UPDATE, 0, 1, u32(0)),
  'http2/6.9/3': frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 1])),
  'http2/7/1': frame(TYPE.GOAWAY, 0, 0, u32(0, 0xff)),
  'http2/7/2': opened(TYPE.RST_STREAM, 0, 1, u32(0xff)),
  'http2/8.1.2.1/3': (client) => {
    open(client)
    client.send(TYPE.HEADERS, END, 1, hpack([':method', 'GET']))
  },
  'http2/8.1.2.2/1': get(1, hpack(['connection', 'keep-alive'])),
  'http2/8.1.2.2/2': get(1, hpack(['te', 'trailers, deflate'])),
  'http2/8.1.2.3/4': block(hpack(PSEUDO[0], PSEUDO[1], PSEUDO[3])),
  'http2/8.1.2.3/5': block(hpack(...PSEUDO, PSEUDO[0])),
  'http2/8.1.2.3/6': block(hpack(...PSEUDO, PSEUDO[1])),
  'http2/8.1/1': (client) => {
    open(client)
    client.send(TYPE.HEADERS, OPEN, 1, REQUEST)
  },
  'http2/8.2/1': opened(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([u32(2), REQUEST])),
}

/** What the server under test allows. */
export const STREAMS_MAX = 8

import { CodedError, SeededRandom, VirtualClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeByteStream, Recorder, randomBytes, startWriting, turns } from '../stream/byte-stream.conformance.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { memoryPair } from '../stream/memory-stream.ts'
import { atMicrotask } from '../stream/turn-end.ts'
import { encodeConnect, encodeResponse } from './connect.ts'
import { Decoder } from './decoder.ts'
import { encodeFrame, encodeNumbers, FRAME, type FrameType, readText, readU32 } from './frame.ts'
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES_INITIAL, STREAM_WINDOW_BYTES_MAX } from './limits.ts'
import { MuxSession, type MuxSessionInit } from './mux-session.ts'
import type { ConnectRequest, IncomingConnect } from './transport.ts'

const ID = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'test' }
const ENDS = { local: ID, remote: ID, serverName: 'pod', remoteAddress: '10.0.0.1:1' }
const REQUEST: ConnectRequest = {
  authority: '10.244.1.5:9080',
  baggage: 'service.name=curl',
  forwarded: 'for="10.244.1.4:41000"',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
}

interface OpenInit extends Partial<MuxSessionInit> {
  readonly slicing?: { readonly random: SeededRandom; readonly bytesMax: number }
  /** Of the connection, one way. */
  readonly latencyMs?: number
}

/** A client and a server session on one connection in memory, which accept everything. */
function open(init: OpenInit = {}) {
  const clock = new VirtualClock()
  const { slicing, latencyMs = 0 } = init
  const [near, far] = memoryPair({ clock, latencyMs, ...(slicing && { slicing }) })
  const components = { clock, atTurnEnd: atMicrotask }
  const client = new MuxSession({ ...components, carrier: near }, { ...ENDS, ...init, role: 'client' })
  const server = new MuxSession({ ...components, carrier: far }, { ...ENDS, ...init, role: 'server' })
  const accepted: ByteStream[] = []
  const incoming: IncomingConnect[] = []
  server.onConnect((one) => {
    incoming.push(one)
    accepted.push(one.accept('service.name=reviews'))
  })
  const reasons: { client?: CodedError; server?: CodedError } = {}
  client.onClose((reason) => {
    reasons.client = reason
  })
  server.onClose((reason) => {
    reasons.server = reason
  })
  client.start()
  server.start()
  return { clock, client, server, near, far, accepted, incoming, reasons }
}

/** One end of a connection without a session: says what no session would say, and keeps what it is told. */
class RawPeer {
  readonly frames: { type: FrameType; stream: number; payload: Uint8Array }[] = []
  dataBytes = 0
  isClosed = false
  readonly #stream: ByteStream
  readonly #masked: boolean

  constructor(stream: ByteStream, role: 'client' | 'server') {
    this.#stream = stream
    this.#masked = role === 'client'
    const ignore = () => {}
    const decoder = new Decoder(
      {
        onFrame: (type, id, payload) => this.frames.push({ type, stream: id, payload: payload.slice() }),
        onDataHead: ignore,
        onData: (_, piece) => {
          this.dataBytes += piece.length
        },
        onWebSocketPing: ignore,
        onWebSocketClose: ignore,
      },
      role === 'server',
    )
    stream.start({
      onData: (chunk) => decoder.push(chunk),
      onEnd: ignore,
      onDrain: ignore,
      onClose: () => {
        this.isClosed = true
      },
    })
  }

  say(type: FrameType, stream: number, payload: Uint8Array = new Uint8Array(0)): this {
    this.#stream.write(encodeFrame(this.#masked, type, stream, payload))
    return this
  }

  settings(streamsMax = 200, streamWindow = 65_536, connectionWindow = 1_000_000): this {
    return this.say(FRAME.SETTINGS, 0, encodeNumbers([streamsMax, streamWindow, connectionWindow]))
  }

  connect(stream: number): this {
    return this.say(FRAME.CONNECT, stream, encodeConnect(REQUEST))
  }

  data(stream: number, bytes: number): this {
    return this.say(FRAME.DATA, stream, Buffer.alloc(bytes, 'd'))
  }

  heard(type: FrameType) {
    return this.frames.filter((frame) => frame.type === type)
  }
}

/** A session in the role of a server (or client) with a raw peer. */
function openRaw(role: 'client' | 'server' = 'server', init: Partial<MuxSessionInit> = {}) {
  const clock = new VirtualClock()
  const [near, far] = memoryPair({ clock })
  const session = new MuxSession({ clock, carrier: near, atTurnEnd: atMicrotask }, { ...ENDS, ...init, role })
  const incoming: IncomingConnect[] = []
  session.onConnect((one) => incoming.push(one))
  let reason: CodedError | undefined
  session.onClose((value) => {
    expect(reason).toBeUndefined()
    reason = value
  })
  session.start()
  const peer = new RawPeer(far, role === 'server' ? 'client' : 'server')
  return { clock, session, peer, incoming, reason: () => reason }
}

describeByteStream('MuxStream', async () => {
  const { client, accepted } = open()
  const { stream } = await client.connect(REQUEST)
  return { near: stream, far: accepted[0]!, dispose() {} }
})

describeByteStream('MuxStream over a network that cuts', async () => {
  const { client, accepted } = open({ slicing: { random: new SeededRandom(5), bytesMax: 4000 } })
  const { stream } = await client.connect(REQUEST)
  return { near: accepted[0]!, far: stream, dispose() {} }
})

describe('MuxSession: the CONNECT exchange', () => {
  it('carries the fields both ways', async () => {
    const { client, incoming } = open()
    const { baggage } = await client.connect(REQUEST)
    expect(incoming[0]!.request).toEqual(REQUEST)
    expect(baggage).toBe('service.name=reviews')
  })

  it.each([400, 401, 503] as const)('tells a %i with its reason', async (status) => {
    const { client, server } = open()
    server.onConnect((incoming) => incoming.reject(status, 'because'))
    await expect(client.connect(REQUEST)).rejects.toMatchObject({ code: 'CONNECT_REJECTED', status, reason: 'because' })
    expect([client.openStreams, server.openStreams]).toEqual([0, 0])
  })

  it('tells the accepting end when a pending CONNECT is given up, and ignores the late answer', async () => {
    const { client, server } = open()
    let pending: IncomingConnect | undefined
    server.onConnect((incoming) => {
      pending = incoming
    })
    const abort = new AbortController()
    const connecting = client.connect(REQUEST, abort.signal)
    await turns()
    const why = new CodedError('APP_GONE', 'the application hung up')
    abort.abort(why)
    await expect(connecting).rejects.toBe(why)
    await turns()
    expect(pending!.signal.aborted).toBe(true)
    // The slot stays taken until whoever works on it is done: giving up fast must not buy unlimited work.
    expect([client.openStreams, server.openStreams]).toEqual([0, 1])
    const sink = new Recorder()
    pending!.accept('').start(sink)
    await turns()
    expect(sink.events).toEqual(['close'])
    expect(server.openStreams).toBe(0)
    expect(client.acceptsStreams).toBe(true)
  })

  it('ignores an answer, and bytes, that crossed our giving up', async () => {
    const { session, peer, clock } = openRaw('client')
    peer.settings()
    const abort = new AbortController()
    const connecting = session.connect(REQUEST, abort.signal)
    connecting.catch(() => {})
    await clock.advance(1)
    abort.abort(new Error('enough'))
    peer
      .say(FRAME.RESPONSE, 1, encodeResponse({ status: 200, baggage: '', reason: '' }))
      .data(1, 1000)
      .say(FRAME.FIN, 1)
    await clock.advance(1)
    expect(session.acceptsStreams).toBe(true)
  })

  it('opens no more streams than the peer allows', async () => {
    const { client, server } = open({ streamsAcceptedMax: 3 })
    await client.connect(REQUEST)
    await client.connect(REQUEST)
    await client.connect(REQUEST)
    expect(client.isFull).toBe(true)
    await expect(client.connect(REQUEST)).rejects.toMatchObject({ code: 'SESSION_FULL', retry: 'yes' })
    expect(server.openStreams).toBe(3)
  })

  it('lets either end open streams', async () => {
    const { client, server } = open()
    client.onConnect((incoming) => incoming.accept('from the client'))
    expect((await server.connect(REQUEST)).baggage).toBe('from the client')
  })
})

describe('MuxSession: flow control', () => {
  it('lets a thousand streams share one tunnel, none starved by the others', async () => {
    const { client, accepted } = open({ streamsOpenedMax: 1000, streamsAcceptedMax: 1000 })
    const content = randomBytes(9, 100_000)
    const streams: ByteStream[] = []
    for (let index = 0; index < 1000; index += 1) streams.push((await client.connect(REQUEST)).stream)
    const pastMiddle = new Set<number>()
    let pastMiddleAtFirstEnd: number | undefined
    const sinks = accepted.map((stream, index) => {
      const sink = new Recorder()
      sink.onBytes = () => {
        if (sink.bytes >= content.length / 2) pastMiddle.add(index)
        if (sink.bytes === content.length) pastMiddleAtFirstEnd ??= pastMiddle.size
      }
      stream.start(sink)
      stream.end()
      return sink
    })
    for (const stream of streams) startWriting(stream, new Recorder(), content)
    await eventually(() => sinks.every((sink) => sink.isClosed))
    expect(sinks.every((sink) => sink.content.equals(content))).toBe(true)
    expect(pastMiddleAtFirstEnd).toBeGreaterThan(900)
  })

  it('grants no more than the window while nobody reads, and holds no more than that', async () => {
    const { session, peer, clock, incoming, reason } = openRaw()
    peer.settings().connect(1)
    await clock.advance(1)
    incoming[0]!.accept('')
    for (let sent = 0; sent < STREAM_WINDOW_BYTES_INITIAL; sent += 65_536) peer.data(1, 65_536)
    await clock.advance(1)
    expect(peer.heard(FRAME.WINDOW)).toEqual([])
    expect(reason()).toBeUndefined()
    peer.data(1, 1)
    await clock.advance(1)
    expect(reason()).toMatchObject({ code: 'FLOW_CONTROL' })
    expect(session.openStreams).toBe(0)
  })

  it('bounds the connection as a whole', async () => {
    const { peer, clock, incoming, reason } = openRaw('server', { streamsAcceptedMax: 1000 })
    const streams = CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES_INITIAL
    peer.settings()
    for (let index = 0; index <= streams; index += 1) peer.connect(2 * index + 1)
    await clock.advance(1)
    for (const one of incoming) one.accept('')
    for (let index = 0; index < streams; index += 1) peer.data(2 * index + 1, STREAM_WINDOW_BYTES_INITIAL)
    await clock.advance(1)
    expect(reason()).toBeUndefined()
    peer.data(2 * streams + 1, 1)
    await clock.advance(1)
    expect(reason()).toMatchObject({ code: 'FLOW_CONTROL' })
  })

  it('widens the window of a stream whose reader keeps up', async () => {
    const { peer, clock, incoming } = openRaw()
    peer.settings().connect(1)
    await clock.advance(1)
    incoming[0]!.accept('').start(new Recorder())
    for (let round = 0; round < 40; round += 1) {
      peer.data(1, 100_000)
      await clock.advance(1)
    }
    const granted = peer.heard(FRAME.WINDOW).filter(({ stream }) => stream === 1)
    const sum = granted.reduce((total, { payload }) => total + readU32(payload, 0), STREAM_WINDOW_BYTES_INITIAL)
    expect(sum).toBeGreaterThan(4_000_000 + STREAM_WINDOW_BYTES_MAX / 2)
  })

  it('sends no more than it was granted', async () => {
    const { session, peer, clock } = openRaw('client')
    peer.settings(10, 1000, 1500)
    const connecting = Promise.all([session.connect(REQUEST), session.connect(REQUEST)])
    await clock.advance(1)
    for (const id of [1, 3]) peer.say(FRAME.RESPONSE, id, encodeResponse({ status: 200, baggage: '', reason: '' }))
    const [one, other] = await connecting
    for (const { stream } of [one, other]) {
      stream.start(new Recorder())
      stream.write(Buffer.alloc(5000))
      stream.end()
    }
    await clock.advance(1)
    expect(peer.dataBytes).toBe(1500)
    peer.say(FRAME.WINDOW, 0, encodeNumbers([100_000]))
    await clock.advance(1)
    expect(peer.dataBytes).toBe(2000)
    peer.say(FRAME.WINDOW, 1, encodeNumbers([3000]))
    await clock.advance(1)
    expect(peer.dataBytes).toBe(5000)
    expect(peer.heard(FRAME.FIN)).toEqual([])
    peer.say(FRAME.WINDOW, 1, encodeNumbers([1000])).say(FRAME.WINDOW, 3, encodeNumbers([10_000]))
    await clock.advance(1)
    expect(peer.dataBytes).toBe(10_000)
    expect(
      peer
        .heard(FRAME.FIN)
        .map(({ stream }) => stream)
        .sort(),
    ).toEqual([1, 3])
  })

  it('gives the connection its credit back for bytes of streams that were reset', async () => {
    const { peer, clock, incoming, reason } = openRaw()
    peer.settings()
    const why = new CodedError('TEST', 'not wanted')
    // Ten times the connection's window passes through streams whose bytes nobody reads.
    let sent = 0
    for (let id = 1; sent < 10 * CONNECTION_WINDOW_BYTES; id += 2) {
      peer.connect(id)
      await clock.advance(1)
      const stream = incoming.at(-1)!.accept('')
      peer.data(id, STREAM_WINDOW_BYTES_INITIAL / 2)
      await clock.advance(1)
      stream.reset(why)
      peer.data(id, STREAM_WINDOW_BYTES_INITIAL / 2)
      sent += STREAM_WINDOW_BYTES_INITIAL
    }
    await clock.advance(1)
    expect(reason()).toBeUndefined()
    const granted = peer.heard(FRAME.WINDOW).reduce((sum, { payload }) => sum + readU32(payload, 0), 0)
    expect(granted).toBeGreaterThanOrEqual(sent - CONNECTION_WINDOW_BYTES)
  })

  it('reuses no memory that the stream of another tunnel, which carries it, still holds', async () => {
    const outer = open({ latencyMs: 20 })
    const opening = outer.client.connect(REQUEST)
    await outer.clock.advance(200)
    const carriers = [(await opening).stream, outer.accepted[0]!] as const
    const components = { clock: outer.clock, atTurnEnd: atMicrotask }
    const client = new MuxSession({ ...components, carrier: carriers[0] }, { ...ENDS, role: 'client' })
    const server = new MuxSession({ ...components, carrier: carriers[1] }, { ...ENDS, role: 'server' })
    const received = new Recorder()
    server.onConnect((one) => one.accept('').start(received))
    client.start()
    server.start()
    const connecting = client.connect(REQUEST)
    await outer.clock.advance(200)
    const content = randomBytes(5, 2 * 1024 * 1024)
    const { stream } = await connecting
    startWriting(stream, new Recorder(), content)
    for (let turn = 0; turn < 1000 && received.bytes < content.length; turn += 1) await outer.clock.advance(20)
    expect(received.bytes).toBe(content.length)
    expect(received.content.equals(content)).toBe(true)
    client.close(new CodedError('SESSION_CLOSED', 'the test is over'))
    outer.client.close(new CodedError('SESSION_CLOSED', 'the test is over'))
  })

  it('holds its own writers back when the peer grants nothing', async () => {
    const { session, peer, clock } = openRaw('client')
    peer.settings(10, 1000, 1000)
    const connecting = session.connect(REQUEST)
    await clock.advance(1)
    peer.say(FRAME.RESPONSE, 1, encodeResponse({ status: 200, baggage: '', reason: '' }))
    const { stream } = await connecting
    let written = 0
    while (stream.write(Buffer.alloc(10_000))) written += 10_000
    expect(written).toBeLessThan(300_000)
  })
})

describe('MuxSession: a peer that breaks the rules', () => {
  const rules: readonly { what: string; code: string; act: (peer: RawPeer) => void }[] = [
    { what: 'anything before SETTINGS', code: 'STREAM_PROTOCOL', act: (peer) => peer.connect(1) },
    { what: 'SETTINGS twice', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().settings() },
    { what: 'SETTINGS that grant too much', code: 'FLOW_CONTROL', act: (peer) => peer.settings(1, 0xffff_ffff) },
    { what: 'a stream id of ours', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().connect(2) },
    { what: 'a stream id twice', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().connect(1).connect(1) },
    { what: 'a stream id downwards', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().connect(5).connect(3) },
    { what: 'DATA on a stream that never was', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().data(1, 1) },
    { what: 'DATA before the answer', code: 'STREAM_PROTOCOL', act: (peer) => peer.settings().connect(1).data(1, 1) },
    {
      what: 'FIN before the answer',
      code: 'STREAM_PROTOCOL',
      act: (peer) => peer.settings().connect(1).say(FRAME.FIN, 1),
    },
    {
      what: 'WINDOW on a stream that never was',
      code: 'STREAM_PROTOCOL',
      act: (peer) => peer.settings().say(FRAME.WINDOW, 7, encodeNumbers([1])),
    },
    {
      what: 'WINDOW of nothing',
      code: 'FLOW_CONTROL',
      act: (peer) => peer.settings().say(FRAME.WINDOW, 0, encodeNumbers([0])),
    },
    {
      what: 'WINDOW beyond 2 GiB',
      code: 'FLOW_CONTROL',
      act: (peer) => peer.settings().say(FRAME.WINDOW, 0, encodeNumbers([0x7fff_ffff])),
    },
    {
      what: 'RESET of a stream that never was',
      code: 'STREAM_PROTOCOL',
      act: (peer) => peer.settings().say(FRAME.RESET, 9, encodeNumbers([8])),
    },
    {
      what: 'RESPONSE to a question nobody asked',
      code: 'STREAM_PROTOCOL',
      act: (peer) => peer.settings().say(FRAME.RESPONSE, 2, encodeResponse({ status: 200, baggage: '', reason: '' })),
    },
    {
      what: 'CONNECT that is no JSON',
      code: 'FRAME_MALFORMED',
      act: (peer) => peer.settings().say(FRAME.CONNECT, 1, Buffer.from('{:authority')),
    },
    {
      what: 'CONNECT that is no object',
      code: 'FRAME_MALFORMED',
      act: (peer) => peer.settings().say(FRAME.CONNECT, 1, Buffer.from('["a"]')),
    },
    {
      what: 'CONNECT with a field that is no text',
      code: 'FRAME_MALFORMED',
      act: (peer) => peer.settings().say(FRAME.CONNECT, 1, Buffer.from('{":authority":7}')),
    },
    {
      what: 'CONNECT with a line break in a field',
      code: 'FRAME_MALFORMED',
      act: (peer) => peer.settings().say(FRAME.CONNECT, 1, Buffer.from('{"baggage":"a\\nb"}')),
    },
  ]
  it.each(rules)('$what ends the session with $code and GOAWAY', async ({ act, code }) => {
    const { peer, clock, reason } = openRaw()
    act(peer)
    await clock.advance(1)
    expect(reason()).toMatchObject({ code })
    expect(peer.heard(FRAME.GOAWAY)).toHaveLength(1)
    expect(readText(peer.heard(FRAME.GOAWAY)[0]!.payload, 8)).toBe(reason()!.message)
    await clock.advance(2000)
    expect(peer.isClosed).toBe(true)
  })

  it('says what it says after a FIN in vain: DATA and FIN again are refused', async () => {
    for (const again of [(peer: RawPeer) => peer.data(1, 1), (peer: RawPeer) => peer.say(FRAME.FIN, 1)]) {
      const { peer, clock, incoming, reason } = openRaw()
      peer.settings().connect(1)
      await clock.advance(1)
      incoming[0]!.accept('')
      again(peer.say(FRAME.FIN, 1))
      await clock.advance(1)
      expect(reason()).toMatchObject({ code: 'STREAM_PROTOCOL' })
    }
  })

  it('refuses streams beyond its limit one by one, and keeps the session', async () => {
    const { peer, clock, reason } = openRaw('server', { streamsAcceptedMax: 2 })
    peer.settings().connect(1).connect(3).connect(5)
    await clock.advance(1)
    expect(peer.heard(FRAME.RESET).map(({ stream, payload }) => [stream, readU32(payload, 0)])).toEqual([[5, 7]])
    expect(reason()).toBeUndefined()
  })

  it('is not let to buy work by opening and resetting', async () => {
    const { peer, clock, incoming } = openRaw('server', { streamsAcceptedMax: 10 })
    peer.settings()
    for (let id = 1; id < 2000; id += 2) peer.connect(id).say(FRAME.RESET, id, encodeNumbers([8]))
    await clock.advance(1)
    expect(incoming).toHaveLength(10)
  })

  it('may send a hundred thousand tiny frames', async () => {
    const { peer, clock, incoming, reason } = openRaw()
    peer.settings().connect(1)
    await clock.advance(1)
    const stream = incoming[0]!.accept('')
    const sink = new Recorder()
    for (let index = 0; index < 100_000; index += 1) peer.data(1, 1)
    await clock.advance(1)
    stream.start(sink)
    await clock.advance(1)
    expect(reason()).toBeUndefined()
    expect(sink.bytes).toBe(100_000)
  })

  it('is cut when it pings without reading the answers', async () => {
    const clock = new VirtualClock()
    const [near, far] = memoryPair({ clock })
    const session = new MuxSession({ clock, carrier: near, atTurnEnd: atMicrotask }, { ...ENDS, role: 'server' })
    let reason: CodedError | undefined
    session.onClose((value) => {
      reason = value
    })
    session.start()
    far.start(new Recorder())
    far.pause()
    far.write(encodeFrame(true, FRAME.SETTINGS, 0, encodeNumbers([1, 1, 1])))
    for (let round = 0; round < 1000 && !reason; round += 1) {
      for (let index = 0; index < 1000; index += 1) far.write(encodeFrame(true, FRAME.PING, 0, new Uint8Array(8)))
      await clock.advance(1)
    }
    expect(reason).toMatchObject({ code: 'CONTROL_FLOOD' })
  })

  it('gets no further with any sequence of frames than a coded error', async () => {
    const step = fc.record({
      type: fc.integer({ min: 0, max: 9 }),
      stream: fc.integer({ min: 0, max: 6 }),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        fc.constant(encodeConnect(REQUEST)),
        fc.constant(Buffer.alloc(4, 1)),
        fc.constant(encodeResponse({ status: 200, baggage: '', reason: '' })),
      ),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('client' as const, 'server' as const),
        fc.array(step, { maxLength: 30 }),
        async (role, steps) => {
          const { session, peer, clock, reason } = openRaw(role)
          session.onConnect((incoming) => incoming.accept('').start(new Recorder()))
          if (role === 'client')
            void session.connect(REQUEST).then(
              ({ stream }) => stream.start(new Recorder()),
              () => {},
            )
          peer.settings()
          for (const { type, stream, payload } of steps) peer.say(type as FrameType, stream, payload)
          await clock.advance(1)
          if (reason()) expect(CodedError.is(reason())).toBe(true)
        },
      ),
      { numRuns: 300, seed: 3 },
    )
  })
})

describe('MuxSession: its end', () => {
  it('pings every 10 s, and gives a silent peer 20 s more', async () => {
    const { peer, clock, reason, session } = openRaw()
    peer.settings()
    await clock.advance(10_000)
    expect(peer.heard(FRAME.PING)).toHaveLength(1)
    peer.say(FRAME.PONG, 0, new Uint8Array(8))
    await clock.advance(10_000)
    expect(peer.heard(FRAME.PING)).toHaveLength(2)
    await clock.advance(19_999)
    expect(session.acceptsStreams).toBe(true)
    await clock.advance(1)
    expect(reason()).toMatchObject({ code: 'PING_TIMEOUT' })
  })

  it('two of them keep each other alive', async () => {
    const { clock, client, server } = open()
    await clock.advance(3_600_000)
    expect([client.acceptsStreams, server.acceptsStreams]).toEqual([true, true])
  })

  it('answers a ping with its bytes', async () => {
    const { peer, clock } = openRaw()
    peer.settings().say(FRAME.PING, 0, Buffer.from('12345678'))
    await clock.advance(1)
    expect(Buffer.from(peer.heard(FRAME.PONG)[0]!.payload).toString()).toBe('12345678')
  })

  it('drains: says so, refuses new streams at both ends, lets old ones go on, closes behind the last', async () => {
    const { clock, client, server, accepted, reasons } = open()
    const { stream } = await client.connect(REQUEST)
    const [near, far] = [new Recorder(), new Recorder()]
    stream.start(near)
    accepted[0]!.start(far)
    server.drain()
    await clock.advance(1)
    expect(client.acceptsStreams).toBe(false)
    await expect(client.connect(REQUEST)).rejects.toMatchObject({ code: 'SESSION_DRAINING', retry: 'yes' })
    stream.write(Buffer.from('still'))
    await clock.advance(1)
    expect(far.content.toString()).toBe('still')
    stream.end()
    accepted[0]!.end()
    await clock.advance(1)
    expect([near.events.at(-1), far.events.at(-1)]).toEqual(['close', 'close'])
    expect(reasons.client).toBeDefined()
    expect(reasons.server).toBeDefined()
  })

  it('refuses a CONNECT that crossed the GOAWAY, so that it may be tried elsewhere', async () => {
    const { client, server } = open()
    const held = server.connect(REQUEST)
    held.catch(() => {})
    server.drain()
    await expect(client.connect(REQUEST)).rejects.toMatchObject({ code: 'STREAM_REFUSED', retry: 'yes' })
  })

  it('takes its streams and pending CONNECTs with it', async () => {
    const { clock, client, server, near, accepted, reasons } = open()
    const { stream } = await client.connect(REQUEST)
    const [nearSink, farSink] = [new Recorder(), new Recorder()]
    stream.start(nearSink)
    accepted[0]!.start(farSink)
    server.onConnect(() => {})
    const pending = client.connect(REQUEST)
    pending.catch(() => {})
    await clock.advance(1)
    near.reset(new CodedError('STREAM_RESET', 'cable pulled'))
    await clock.advance(1)
    await expect(pending).rejects.toMatchObject({ code: 'SESSION_CLOSED', retry: 'if-reused' })
    expect(nearSink.reason).toMatchObject({ code: 'SESSION_CLOSED' })
    expect(farSink.reason).toMatchObject({ code: 'SESSION_CLOSED' })
    expect(reasons.server).toMatchObject({ code: 'SESSION_CLOSED' })
    expect([client.openStreams, server.openStreams]).toEqual([0, 0])
    expect(clock.pending).toBe(0)
  })

  it('lets go of a connection whose peer neither reads nor hangs up', async () => {
    const clock = new VirtualClock()
    const [near, far] = memoryPair({ clock })
    const session = new MuxSession({ clock, carrier: near, atTurnEnd: atMicrotask }, { ...ENDS, role: 'server' })
    const sink = new Recorder()
    far.start(sink)
    far.pause()
    session.start()
    session.close(new CodedError('TEST', 'enough'))
    await clock.advance(1000)
    expect(sink.isClosed).toBe(true)
  })
})

import { type Clock, VirtualClock } from '@ambient-lab/std'
import { HeaderMap } from '../http1/headers.ts'
import type { ResponseHead } from '../http1/response-decoder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { Http2ClientSession, type Http2ClientStream, type Http2ResponseSink } from './client-session.ts'
import { FLAG, FRAME, PREFACE, readUint31, writeUint32 } from './frame.ts'
import type { Http2SessionInit } from './http2-session-init.ts'
import type { Http2Stream, Http2StreamSink, StreamFailure } from './http2-stream.ts'
import { type Http2RequestHandler, type Http2RequestHead, Http2ServerSession } from './server-session.ts'

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, stream: number, payload: string | Uint8Array = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1')
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  writeUint32(head, 5, stream)
  return Buffer.concat([head, body])
}

export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) writeUint32(bytes, 4 * index, value)
  return bytes
}

/** As name, value: literals without a table and without Huffman's code. */
export function block(...fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string) => Buffer.concat([length(value.length), Buffer.from(value, 'latin1')])
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

function length(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

export const PSEUDO = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a.test'],
] as const
export const END = FLAG.END_HEADERS | FLAG.END_STREAM

export function headers(stream: number, flags: number = END, fields: Uint8Array = block(...PSEUDO)): Buffer {
  return frame(FRAME.HEADERS, flags, stream, fields)
}

export function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6)
  payload[1] = id
  writeUint32(payload, 2, value)
  return frame(FRAME.SETTINGS, 0, 0, payload)
}

/** What a client begins with. */
export const HELLO = Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)])

export function parseFrames(bytes: Buffer): RawFrame[] {
  const frames: RawFrame[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      stream: readUint31(bytes, at + 5),
      payload: bytes.subarray(at + 9, end),
    })
    at = end
  }
  return frames
}

/** A stream that keeps what is written to it: the test is its other end. */
export class KeepingStream implements ByteStream {
  readonly written: Buffer[] = []
  hasRoom = true
  bufferedBytes = 0
  isEnded = false
  isReset = false

  start(): void {}

  write(chunk: Uint8Array): boolean {
    this.written.push(Buffer.from(chunk))
    if (!this.hasRoom) this.bufferedBytes += chunk.length
    return this.hasRoom
  }

  end(): void {
    this.isEnded = true
  }

  pause(): void {}

  resume(): void {}

  reset(): void {
    this.isReset = true
  }
}

/** A session whose turns end when the test says so. */
abstract class Harness {
  readonly stream = new KeepingStream()
  readonly events: string[] = []
  readonly clock: Clock
  protected readonly turn: (() => void)[] = []
  protected abstract readonly session: Http2ServerSession | Http2ClientSession
  /** Bytes of what the session wrote that are no frame. */
  protected readonly skipped: number

  constructor(clock: Clock, skipped: number) {
    this.clock = clock
    this.skipped = skipped
  }

  protected get components() {
    return {
      stream: this.stream,
      clock: this.clock,
      atTurnEnd: (callback: () => void) => void this.turn.push(callback),
    }
  }

  endTurn(): void {
    for (const callback of this.turn.splice(0)) callback()
  }

  /** All in one turn, cut as `cut` says, borrowed or not. */
  receive(bytes: Uint8Array, cut: (left: number) => number = (left) => left, isBorrowed = false): this {
    for (let at = 0; at < bytes.length; ) {
      const size = Math.max(1, Math.min(bytes.length - at, cut(bytes.length - at)))
      const chunk = Buffer.from(bytes.subarray(at, at + size))
      if (isBorrowed) {
        this.session.onBorrowed(chunk)
        chunk.fill(0x2a) // whoever kept a view sees it
      } else {
        this.session.onData(chunk)
      }
      at += size
    }
    this.endTurn()
    return this
  }

  get frames(): RawFrame[] {
    return parseFrames(Buffer.concat(this.stream.written).subarray(this.skipped))
  }

  framesOf(type: number, stream?: number): RawFrame[] {
    return this.frames.filter((one) => one.type === type && (stream === undefined || one.stream === stream))
  }

  /** The code of the GOAWAY that ended it. */
  get goaway(): number | undefined {
    return this.framesOf(FRAME.GOAWAY).at(-1)?.payload.readUInt32BE(4)
  }

  /** The code with which a stream was reset. */
  resetOf(stream: number): number | undefined {
    return this.framesOf(FRAME.RST_STREAM, stream)[0]?.payload.readUInt32BE(0)
  }

  /** Of the DATA of a stream. */
  bodyOf(stream: number): string {
    return Buffer.concat(this.framesOf(FRAME.DATA, stream).map(({ payload }) => payload)).toString('latin1')
  }
}

export class TestSink implements Http2StreamSink {
  readonly #events: string[]
  readonly #id: number
  body = ''
  onEnded: (trailers: HeaderMap | undefined) => void = () => {}

  constructor(events: string[], id: number) {
    this.#events = events
    this.#id = id
  }

  onData(piece: Uint8Array): void {
    this.body += Buffer.from(piece).toString('latin1')
  }

  onEnd(trailers: HeaderMap | undefined): void {
    const told = trailers ? ` ${JSON.stringify([...trailers])}` : ''
    this.#events.push(`${this.#id} end ${shown(this.body)}${told}`)
    this.onEnded(trailers)
  }

  onDrain(): void {
    this.#events.push(`${this.#id} drain`)
  }

  onFailure(failure: StreamFailure): void {
    this.#events.push(`${this.#id} ${failure}`)
  }
}

function shown(body: string): string {
  return body.length > 40 ? `${body.length} bytes` : JSON.stringify(body)
}

/** A server that notes what it is told, and answers when the test, or `answer`, says so. */
export class ServerHarness extends Harness implements Http2RequestHandler {
  readonly session: Http2ServerSession
  readonly streams = new Map<number, Http2Stream>()
  readonly sinks = new Map<number, TestSink>()
  /** What to do with a request that is complete. */
  answer: (stream: Http2Stream) => void = () => {}

  constructor(init: Http2SessionInit = {}, clock: Clock = new VirtualClock()) {
    super(clock, 0)
    this.session = new Http2ServerSession(this.components, { ...init, handler: this })
  }

  /** After the hello. */
  static greeted(init: Http2SessionInit = {}): ServerHarness {
    const server = new ServerHarness(init)
    server.receive(HELLO)
    return server
  }

  onRequest(stream: Http2Stream, head: Http2RequestHead, endStream: boolean): void {
    const { method, path, authority, framing } = head
    this.events.push(`${stream.id} ${method} ${authority}${path} ${framing}${endStream ? ' end' : ''}`)
    const sink = new TestSink(this.events, stream.id)
    stream.sink = sink
    this.streams.set(stream.id, stream)
    this.sinks.set(stream.id, sink)
    sink.onEnded = () => this.answer(stream)
    if (endStream) this.answer(stream)
  }

  onClosed(): void {
    this.events.push('closed')
  }

  /** 200 and a body, all at once. */
  respond(id: number, body = '', trailers?: HeaderMap): void {
    const stream = this.streams.get(id)!
    this.session.respond(stream, { status: 200, headers: new HeaderMap(), framing: 'chunked', contentLength: 0 }, false)
    if (body !== '') stream.write(Buffer.from(body, 'latin1'))
    stream.end(trailers)
  }
}

/** A client that notes what it is told. */
export class ClientHarness extends Harness {
  readonly session: Http2ClientSession

  constructor(init: Http2SessionInit = {}, clock: Clock = new VirtualClock()) {
    super(clock, PREFACE.length)
    const owner = { onRoom: () => {}, onClosed: () => this.events.push('closed') }
    this.session = new Http2ClientSession(this.components, { ...init, owner })
  }

  /** @param inTurn done before the turn ends in which the head is sent */
  request(
    method = 'GET',
    fields: readonly (readonly [string, string])[] = [['host', 'a.test']],
    inTurn: (stream: Http2ClientStream) => void = () => {},
  ): Http2ClientStream {
    const id = 2 * this.events.filter((event) => event.endsWith(' sent')).length + 1
    this.events.push(`${id} sent`)
    const sink = new TestSink(this.events, id)
    const onHead = ({ status, framing, headers }: ResponseHead) =>
      void this.events.push(`${id} ${status} ${framing} ${JSON.stringify([...headers])}`)
    const told: Http2ResponseSink = Object.assign(sink, { onHead })
    const request = {
      method,
      target: '/',
      headers: new HeaderMap(fields),
      framing: 'chunked',
      contentLength: 0,
    } as const
    const stream = this.session.request(request, 'http', told)
    inTurn(stream)
    this.endTurn()
    return stream
  }
}

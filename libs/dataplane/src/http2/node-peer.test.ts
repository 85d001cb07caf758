import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { type Random, SeededRandom, systemClock } from '@ambient-lab/std'
import { afterEach, describe, expect, it } from 'vitest'
import { HeaderMap } from '../http1/headers.ts'
import type { ResponseHead } from '../http1/response-decoder.ts'
import { dialNodeStream, NodeStream } from '../stream/node-stream.ts'
import { Http2ClientSession } from './client-session.ts'
import { HTTP2_ERROR } from './errors.ts'
import type { Http2Stream } from './http2-stream.ts'
import { type Http2RequestHead, Http2ServerSession } from './server-session.ts'

/** Exchanges in each direction. `HTTP2_FUZZ_RUNS` and `HTTP2_FUZZ_SEED` are for longer nights. */
const RUNS = Number(process.env.HTTP2_FUZZ_RUNS ?? 150)
const SEED = Number(process.env.HTTP2_FUZZ_SEED ?? 1)
const AT_ONCE = 20

/** What one side says: the other must have been told just that. */
interface Message {
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
  readonly trailers: readonly (readonly [string, string])[]
  /** The other side resets it instead of an answer. */
  readonly isReset: boolean
}

const SIZES = [0, 0, 1, 100, 5_000, 16_384, 70_000, 300_000]

function randomMessage(random: Random): Message {
  const fields = Array.from({ length: random.integer(8) }, (): [string, string] => {
    const name = ['x-a', 'x-b', 'accept', 'user-agent', `x-${random.integer(30)}`][random.integer(5)]!
    return [name, `${'v'.repeat(random.integer(60))}${random.integer(4)}`]
  })
  // A name comes once: Node joins what is repeated.
  const unique = [...new Map(fields)]
  const body = Buffer.alloc(SIZES[random.integer(SIZES.length)]!, `${random.integer(1_000_000)} `)
  const trailers: [string, string][] = random.integer(3) === 0 ? [['x-trailer', String(random.integer(9))]] : []
  return { fields: unique, body, trailers, isReset: random.integer(12) === 0 }
}

interface Told {
  fields: Record<string, unknown>
  /** As text: two of those are compared fast. */
  body: string
  trailers: Record<string, unknown>
}

function wanted({ fields, body, trailers }: Message): Told {
  return { fields: Object.fromEntries(fields), body: body.toString('latin1'), trailers: Object.fromEntries(trailers) }
}

function own(headers: IncomingHttpHeaders | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !name.startsWith(':') && name !== 'date'))
}

/** Writes as a sink of ours must: no more until there is room; sometimes it stops to read for a while. */
class Speaker {
  readonly #stream: Http2Stream
  readonly #message: Message
  #at = 0

  constructor(stream: Http2Stream, message: Message) {
    this.#stream = stream
    this.#message = message
  }

  readonly go = (): void => {
    const { body, trailers } = this.#message
    while (this.#at < body.length) {
      const piece = body.subarray(this.#at, this.#at + 30_000)
      this.#at += piece.length
      if (!this.#stream.write(piece)) return
    }
    if (this.#at > body.length) return
    this.#at += 1
    this.#stream.end(trailers.length > 0 ? new HeaderMap(trailers) : undefined)
  }
}

class Listener {
  readonly #pieces: Buffer[] = []
  readonly #stream: () => Http2Stream
  readonly #pauses: boolean

  constructor(stream: () => Http2Stream, pauses: boolean) {
    this.#stream = stream
    this.#pauses = pauses
  }

  take(piece: Uint8Array): void {
    this.#pieces.push(Buffer.from(piece))
    if (!this.#pauses) return
    const stream = this.#stream()
    stream.pause()
    setImmediate(() => stream.resume())
  }

  get body(): string {
    return Buffer.concat(this.#pieces).toString('latin1')
  }
}

let cleanUp: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
  cleanUp = []
})

async function listening(server: Server | Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(() => server.close())
  return (server.address() as AddressInfo).port
}

/** So many at a time, each with chances of its own. */
async function inParallel(exchange: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < RUNS) {
      next += 1
      await exchange(next)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

describe(`with Node's HTTP/2 at the other end (seed ${SEED})`, () => {
  it('a server of ours is told what its client said, and says what that hears', async () => {
    const messages = new Map<string, { asked: Message; answered: Message; pauses: boolean }>()
    const told = new Map<string, Told>()
    const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const stream = new NodeStream(socket)
      const session = new Http2ServerSession(
        { stream, clock: systemClock },
        { handler: { onRequest: (one, head) => serve(session, one, head), onClosed: () => {} } },
      )
      stream.start(session)
    })
    function serve(session: Http2ServerSession, stream: Http2Stream, head: Http2RequestHead): void {
      const { answered, pauses } = messages.get(head.path)!
      const listener = new Listener(() => stream, pauses)
      const speaker = new Speaker(stream, answered)
      if (answered.isReset) return stream.reset(HTTP2_ERROR.CANCEL)
      const answer = (trailers: HeaderMap | undefined) => {
        head.headers.delete('host')
        told.set(head.path, {
          fields: Object.fromEntries(head.headers),
          body: listener.body,
          trailers: Object.fromEntries(trailers ?? []),
        })
        const headers = new HeaderMap(answered.fields)
        session.respond(stream, { status: 200, headers, framing: 'chunked', contentLength: 0 }, false)
        speaker.go()
      }
      stream.sink = { onData: (piece) => listener.take(piece), onEnd: answer, onDrain: speaker.go, onFailure: () => {} }
      // What has no body has ended with its head.
      if (head.framing === 'none') answer(undefined)
    }
    const h2 = await client(await listening(server))
    let resets = 0
    await inParallel(async (index) => {
      const random = new SeededRandom(SEED).fork(`to us ${index}`)
      const [asked, answered] = [randomMessage(random), randomMessage(random)]
      const path = `/${index}`
      messages.set(path, { asked, answered, pauses: random.integer(3) === 0 })
      const reply = await askNode(h2, path, asked, random.integer(3) === 0)
      if (reply.code !== constants.NGHTTP2_NO_ERROR) {
        expect([answered.isReset, reply.code]).toEqual([true, HTTP2_ERROR.CANCEL])
        resets += 1
        return
      }
      expect(told.get(path)).toEqual(wanted(asked))
      expect({ fields: reply.fields, body: reply.body, trailers: reply.trailers }).toEqual(wanted(answered))
    })
    expect(resets).toBeGreaterThan(0)
  })

  it('a client of ours hears what its server said, and says what that is told', async () => {
    const messages = new Map<string, { answered: Message; pauses: boolean }>()
    const told = new Map<string, Told>()
    const server = createServer({ settings: { maxConcurrentStreams: 200, initialWindowSize: 20_000 } })
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const path = headers[':path']!
      const { answered, pauses } = messages.get(path)!
      stream.on('error', () => {})
      if (answered.isReset) return stream.close(constants.NGHTTP2_REFUSED_STREAM)
      void heard(stream, pauses).then(({ body, trailers }) => {
        told.set(path, { fields: own(headers), body, trailers })
        const hasTrailers = answered.trailers.length > 0
        stream.respond(Object.fromEntries(answered.fields) as OutgoingHttpHeaders, { waitForTrailers: hasTrailers })
        stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(answered.trailers)))
        stream.end(answered.body)
      })
    })
    const port = await listening(server)
    const stream = await dialNodeStream({ host: '127.0.0.1', port })
    const session = new Http2ClientSession(
      { stream, clock: systemClock },
      { owner: { onRoom: () => {}, onClosed: () => {} } },
    )
    stream.start(session)
    cleanUp.push(() => session.drain())
    let refused = 0
    await inParallel(async (index) => {
      const random = new SeededRandom(SEED).fork(`from us ${index}`)
      const [asked, answered] = [randomMessage(random), randomMessage(random)]
      const path = `/${index}`
      messages.set(path, { answered, pauses: random.integer(3) === 0 })
      const reply = await askOurs(session, path, asked, random.integer(3) === 0)
      if (reply === 'refused') {
        expect(answered.isReset).toBe(true)
        refused += 1
        return
      }
      expect(told.get(path)).toEqual(wanted(asked))
      expect(reply).toEqual(wanted(answered))
    })
    expect(refused).toBeGreaterThan(0)
  })
})

async function client(port: number): Promise<ClientHttp2Session> {
  const h2 = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 30_000 } })
  cleanUp.push(() => h2.destroy())
  h2.on('error', () => {})
  await once(h2, 'connect')
  return h2
}

async function heard(
  stream: NodeJS.ReadableStream & { once(name: 'trailers', listener: (headers: IncomingHttpHeaders) => void): unknown },
  pauses: boolean,
): Promise<{ body: string; trailers: Record<string, unknown> }> {
  const pieces: Buffer[] = []
  let trailers: Record<string, unknown> = {}
  stream.once('trailers', (headers) => {
    trailers = own(headers)
  })
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece)
    if (!pauses) return
    stream.pause()
    setImmediate(() => stream.resume())
  })
  await once(stream, 'end')
  return { body: Buffer.concat(pieces).toString('latin1'), trailers }
}

async function askNode(
  h2: ClientHttp2Session,
  path: string,
  { fields, body, trailers }: Message,
  pauses: boolean,
): Promise<Told & { readonly code: number }> {
  const hasEnd = body.length === 0 && trailers.length === 0
  const stream = h2.request(
    { ':method': 'POST', ':path': path, ...Object.fromEntries(fields) },
    { endStream: hasEnd, waitForTrailers: trailers.length > 0 },
  )
  let answered: IncomingHttpHeaders | undefined
  stream.on('error', () => {})
  stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailers)))
  stream.on('response', (headers) => {
    answered = headers
  })
  const hears = heard(stream, pauses).catch(() => ({ body: '', trailers: {} }))
  if (!hasEnd) stream.end(body)
  await once(stream, 'close')
  return { ...(await hears), fields: own(answered), code: stream.rstCode }
}

function askOurs(
  session: Http2ClientSession,
  path: string,
  message: Message,
  pauses: boolean,
): Promise<Told | 'refused'> {
  const { promise, resolve } = Promise.withResolvers<Told | 'refused'>()
  let fields: Record<string, unknown> = {}
  const listener = new Listener(() => stream, pauses)
  const headers = new HeaderMap([['host', 'a.test'], ...message.fields])
  const stream = session.request(
    { method: 'POST', target: path, headers, framing: 'chunked', contentLength: 0 },
    'http',
    {
      onHead: (head: ResponseHead) => {
        head.headers.delete('date')
        fields = Object.fromEntries(head.headers)
      },
      onData: (piece) => listener.take(piece),
      onEnd: (trailers) => resolve({ fields, body: listener.body, trailers: Object.fromEntries(trailers ?? []) }),
      onDrain: () => speaker.go(),
      onFailure: (failure) => {
        expect(failure).toBe('refused')
        resolve('refused')
      },
    },
  )
  const speaker = new Speaker(stream, message)
  speaker.go()
  return promise
}

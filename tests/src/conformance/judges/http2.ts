import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { allOf, same } from '../expectation.ts'
import { SCENARIOS, STREAMS_MAX } from '../http2/h2spec.ts'
import { FLAG, type Frame, RawHttp2Client, TYPE } from '../http2/raw-client.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'

export interface Http2Case extends CorpusCase {
  readonly kind: string
  /** Of h2spec. */
  readonly description?: string
  readonly expected?: { readonly outcome: readonly string[]; readonly errorCodes: readonly string[] }
  /** One frame, in hexadecimal, and the codes with which it may be refused. */
  readonly wire?: string
  readonly error?: readonly number[] | null
  readonly file?: string
}

/** RFC 9113 §7, by h2spec's names. */
const CODES = [
  'No',
  'Protocol',
  'Internal',
  'FlowControl',
  'SettingsTimeout',
  'StreamClosed',
  'FrameSize',
  'RefusedStream',
  'Cancel',
  'Compression',
] as const

/** Frames that say nothing by themselves: what else they need. */
const NOT_ALONE: Readonly<Record<string, string>> = {
  'frame/headers/normal': 'the block in it is no HPACK: an endpoint cannot take it',
  'frame/rst_stream/normal': 'it resets a stream that never was, which is an error of its own',
  'frame/window_update/normal': 'it is for a stream of the server that never was, which is an error of its own',
}

/** What nghttp2 passes over in silence, and why that is no harm to a proxy behind it. */
const IGNORED: Readonly<Record<string, string>> = {
  'frame/error/priority-frame-stream': 'nghttp2 reads no PRIORITY at all: RFC 9113 §5.3.2 has done away with it',
  'h2spec/http2/6.3/1': 'nghttp2 reads no PRIORITY at all: RFC 9113 §5.3.2 has done away with it',
  'h2spec/http2/5.3.1/2': 'nghttp2 reads no PRIORITY at all: RFC 9113 §5.3.2 has done away with it',
  'h2spec/http2/5.1.1/2': 'nghttp2 drops HEADERS of a stream that is closed, unread, as if they had crossed its reset',
  'h2spec/http2/5.1/8': 'nghttp2 drops DATA of a stream that the client has reset, unread, instead of a second reset',
}

/** Fields that HTTP/1.1 has and HTTP/2 refuses: who decodes them is not told. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'upgrade'])

/** HTTP/2 is Node's (nghttp2): what it makes of frames, HPACK and the checks of h2spec. */
export default defineJudge<Http2Case>({
  corpus: 'http2',
  async judge(item, context) {
    switch (item.kind) {
      case 'h2spec':
        return judgeH2spec(item, context)
      case 'frame':
        return judgeFrame(item, context)
      case 'hpack':
        return judgeHpack(context.folder.json<HpackStory>(item.file!))
      default:
        return skipped(`no judge for kind "${item.kind}"`)
    }
  },
})

async function judgeH2spec({ id, expected }: Http2Case, context: JudgeContext): Promise<Verdict> {
  const name = id.replace(/^h2spec\//, '')
  const { port } = await context.once(startServer)
  if (name === 'http2/3.5/2') return judgePreface(port)
  const scenario = SCENARIOS[name]
  if (!scenario) return skipped('nobody has written the scenario')
  await using client = await RawHttp2Client.open(port)
  await scenario(client)
  await client.settled()
  const { outcome, errorCodes } = expected!
  // Two checks say in words what must come.
  if (name === 'http2/3.5/1') return same(client.frames[0]?.type, TYPE.SETTINGS)
  const wanted = outcome.length > 0 ? outcome : ['StreamError']
  if (wanted.some((one) => isMet(one, client, errorCodes))) return PASSED
  return ignored(id, client) ?? failed(`want ${wanted.join(' or ')} ${errorCodes.join(', ')}\ngot  ${describe(client)}`)
}

/** Known not to be answered, and indeed nothing came of it. */
function ignored(id: string, client: RawHttp2Client): Verdict | undefined {
  const reason = IGNORED[id]
  const isAnswered = client.closed || client.frames.some(({ type }) => type === TYPE.GOAWAY || type === TYPE.RST_STREAM)
  return reason === undefined || isAnswered ? undefined : skipped(reason)
}

function isMet(outcome: string, client: RawHttp2Client, errorCodes: readonly string[]): boolean {
  const { frames, closed } = client
  const hasCode = ({ payload }: Frame, at: number) => errorCodes.includes(CODES[payload.readUInt32BE(at)] ?? '')
  const goaway = frames.find(({ type }) => type === TYPE.GOAWAY)
  const isAnswered = frames.some(({ type, flags, payload }) => {
    return type === TYPE.PING && (flags & FLAG.ACK) !== 0 && payload.length === 8
  })
  switch (outcome) {
    case 'ConnectionError':
      return closed || (goaway !== undefined && hasCode(goaway, 4))
    case 'StreamError':
      return (
        frames.some((frame) => frame.type === TYPE.RST_STREAM && hasCode(frame, 0)) ||
        isMet('ConnectionError', client, errorCodes)
      )
    case 'StreamClose':
      return closed || frames.some(({ type, flags }) => isStreamEnd(type, flags))
    case 'HeadersFrame':
      return frames.some(({ type }) => type === TYPE.HEADERS)
    case 'PingFrameWithAck':
    case 'EventType':
      return isAnswered
    case 'PingFrameOrConnectionClose':
      return isAnswered || closed
    case 'SettingsFrameWithAck':
      return frames.some(({ type, flags }) => type === TYPE.SETTINGS && (flags & FLAG.ACK) !== 0)
    default:
      throw new Error(`an outcome that is not known: ${outcome}`)
  }
}

function isStreamEnd(type: number, flags: number): boolean {
  return type === TYPE.RST_STREAM || ((type === TYPE.DATA || type === TYPE.HEADERS) && (flags & FLAG.END_STREAM) !== 0)
}

async function judgePreface(port: number): Promise<Verdict> {
  await using client = await RawHttp2Client.dial(port)
  client.raw(Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n'))
  await client.end()
  return PASSED
}

async function judgeFrame({ id, wire, error }: Http2Case, context: JudgeContext): Promise<Verdict> {
  const reason = NOT_ALONE[id]
  if (reason) return skipped(reason)
  const { port } = await context.once(startServer)
  await using client = await RawHttp2Client.open(port)
  client.raw(Buffer.from(wire!, 'hex'))
  await client.settled()
  const codes = error?.map((code) => CODES[code]!) ?? []
  const isRight = error ? isMet('ConnectionError', client, codes) : isMet('PingFrameOrConnectionClose', client, [])
  if (isRight) return PASSED
  return ignored(id, client) ?? failed(`want ${codes.join(' or ') || 'no error'}\ngot  ${describe(client)}`)
}

interface HpackStory {
  readonly cases: readonly {
    readonly wire: string
    readonly headers: readonly Readonly<Record<string, string>>[]
    readonly header_table_size?: number
  }[]
}

/** Each block is a request: what the server is told of it is what it decoded. */
async function judgeHpack({ cases }: HpackStory): Promise<Verdict> {
  const headerTableSize = Math.max(4096, ...cases.map((one) => one.header_table_size ?? 0))
  const got = new Map<number, readonly string[]>()
  await using server = await listen(createServer({ settings: { headerTableSize } }))
  server.server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, rawHeaders) => {
    got.set(stream.id!, rawHeaders as unknown as string[])
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  await using client = await RawHttp2Client.open(server.port)
  for (const [index, { wire }] of cases.entries()) {
    client.send(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, streamOf(index), Buffer.from(wire, 'hex'))
  }
  await client.settled()
  const wanted = cases.map(({ headers }) => headers.flatMap((field) => Object.entries(field)[0]!))
  const isTold = (fields: readonly string[]) => !fields.some((name, at) => at % 2 === 0 && OF_CONNECTIONS.has(name))
  const verdict = allOf(
    same(client.frames.find(({ type }) => type === TYPE.GOAWAY)?.payload.toString('hex'), undefined),
    ...wanted.map((fields, index) => () => same(got.get(streamOf(index)), isTold(fields) ? fields : undefined)),
  )
  if (verdict.result !== 'passed' || wanted.some(isTold)) return verdict
  return skipped('every block of it has a field that HTTP/2 refuses: what it decodes to is told to nobody')
}

function streamOf(index: number): number {
  return 2 * index + 1
}

interface Listening extends AsyncDisposable {
  readonly server: Http2Server
  readonly port: number
}

/** Answers each request when it is complete. */
async function startServer(): Promise<Listening> {
  const server = createServer({ settings: { maxConcurrentStreams: STREAMS_MAX } })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {})
    stream.on('end', () => {
      if (stream.destroyed) return
      stream.respond({ ':status': 200 })
      stream.end('hello')
    })
    stream.resume()
  })
  return await listen(server)
}

async function listen(server: Http2Server): Promise<Listening> {
  server.on('sessionError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    server,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

function describe({ frames, closed }: RawHttp2Client): string {
  const told = frames.map(({ type, flags, stream, payload }) => {
    return `${type}/${flags.toString(16)}#${stream}:${payload.subarray(0, 12).toString('hex')}`
  })
  return `${told.join(' ')}${closed ? ' closed' : ''}`
}

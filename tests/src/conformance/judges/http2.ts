import { type FieldSink, FrameReader, HpackDecoder } from '@ambient-lab/dataplane'
import { allOf, same } from '../expectation.ts'
import { SCENARIOS, STREAMS_MAX } from '../http2/h2spec.ts'
import { FLAG, type Frame, RawHttp2Client, TYPE } from '../http2/raw-client.ts'
import { startServer } from '../http2/server.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'

export interface Http2Case extends CorpusCase {
  readonly kind: string
  /** Of h2spec. */
  readonly description?: string
  readonly expected?: { readonly outcome: readonly string[]; readonly errorCodes: readonly string[] }
  /** One frame, in hexadecimal, and the codes with which it may be refused. */
  readonly wire?: string
  readonly error?: readonly number[] | null
  readonly frame?: {
    readonly length: number
    readonly type: number
    readonly flags: number
    readonly stream_identifier: number
  } | null
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

/** Frames that nobody can take by themselves, and what else they need: they are read, and not acted upon. */
const NOT_ALONE: ReadonlySet<string> = new Set([
  'frame/headers/normal', // the block in it is no HPACK
  'frame/rst_stream/normal', // of a stream that never was
  'frame/window_update/normal', // likewise
])

/** Our codec of HTTP/2: what it makes of frames, HPACK and, with a server behind it, of the checks of h2spec. */
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
  const { port } = await context.once(startHello)
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
  return failed(`want ${wanted.join(' or ')} ${errorCodes.join(', ')}\ngot  ${describe(client)}`)
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

async function judgeFrame({ id, wire, error, frame }: Http2Case, context: JudgeContext): Promise<Verdict> {
  const bytes = Buffer.from(wire!, 'hex')
  if (frame) {
    const { length, type, flags, stream_identifier: stream } = frame
    const verdict = same(readFrames(bytes), [{ type, flags, stream, payload: bytes.subarray(-length).toString('hex') }])
    if (verdict.result !== 'passed' || NOT_ALONE.has(id)) return verdict
  }
  const { port } = await context.once(startHello)
  await using client = await RawHttp2Client.open(port)
  client.raw(bytes)
  await client.settled()
  const codes = error?.map((code) => CODES[code]!) ?? []
  const isRight = error ? isMet('ConnectionError', client, codes) : isMet('PingFrameOrConnectionClose', client, [])
  return isRight ? PASSED : failed(`want ${codes.join(' or ') || 'no error'}\ngot  ${describe(client)}`)
}

interface ReadFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: string
}

/** Of a connection without DATA. */
function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = []
  const reader = new FrameReader({
    onFrameHead: () => {},
    onDataPiece: () => {},
    onDataEnd: () => {},
    onFrame: (type, flags, stream, read, from, to) => {
      frames.push({ type, flags, stream, payload: Buffer.from(read.subarray(from, to)).toString('hex') })
    },
  })
  reader.read(bytes, 0)
  return frames
}

interface HpackStory {
  readonly cases: readonly {
    readonly wire: string
    readonly headers: readonly Readonly<Record<string, string>>[]
    readonly header_table_size?: number
  }[]
}

/** One connection: what its blocks become, field by field. */
function judgeHpack({ cases }: HpackStory): Verdict {
  const decoder = new HpackDecoder(Math.max(4096, ...cases.map((one) => one.header_table_size ?? 0)))
  return allOf(
    ...cases.map(({ wire, headers }) => () => {
      const fields: (readonly [string, string])[] = []
      const sink: FieldSink = { add: (name, value) => void fields.push([name, value]) }
      const bytes = Buffer.from(wire, 'hex')
      decoder.decode(bytes, 0, bytes.length, sink)
      return same(
        fields,
        headers.map((field) => Object.entries(field)[0]!),
      )
    }),
  )
}

/** Answers each request when it is complete. */
function startHello() {
  return startServer('hello', { streamsMax: STREAMS_MAX })
}

function describe({ frames, closed }: RawHttp2Client): string {
  const told = frames.map(({ type, flags, stream, payload }) => {
    return `${type}/${flags.toString(16)}#${stream}:${payload.subarray(0, 12).toString('hex')}`
  })
  return `${told.join(' ')}${closed ? ' closed' : ''}`
}

/**
 * HTTP/2 requests through a session, from the bytes of the client to those of the answer. Run it with
 * `node --conditions=@ambient-lab/source libs/dataplane/bench/http2.bench.ts [--rounds 5]`.
 * One thread, no sockets; figures are per second of processor time, so that a shared machine disturbs them little.
 */
import { parseArgs } from 'node:util'
import { systemClock } from '@ambient-lab/std'
import { HeaderMap } from '../src/http1/index.ts'
import { FRAME, PREFACE } from '../src/http2/frame.ts'
import { FrameWriter } from '../src/http2/frame-writer.ts'
import { encodeHeaders, HpackEncoder } from '../src/http2/hpack-encoder.ts'
import { Http2ServerSession, type Http2Stream } from '../src/http2/index.ts'
import type { ByteStream } from '../src/stream/byte-stream.ts'

const REQUEST = new HeaderMap([
  ['user-agent', 'grpc-go/1.70.0'],
  ['accept-encoding', 'gzip, deflate, br'],
  ['accept-language', 'en-US,en;q=0.5'],
  ['cookie', 'session=eyJ1c2VyIjoiamFzb24ifQ'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
])
const CHANGING = ['x-request-id', 'traceparent']
const BODY = Buffer.alloc(1024, 'x')
const WORK_COUNT = 20_000
const STREAMS_A_READ = 10

let told = 0

/** Keeps nothing. */
class Discard implements ByteStream {
  readonly bufferedBytes = 0
  start(): void {}
  write(chunk: Uint8Array): boolean {
    told += chunk.length
    return true
  }
  end(): void {}
  pause(): void {}
  resume(): void {}
  reset(): void {}
}

const turn: (() => void)[] = []
const atTurnEnd = (callback: () => void) => void turn.push(callback)

/** What a client sends on one connection, a read for each so many streams. */
function requests(count: number, body: Buffer): Buffer[] {
  const reads: Buffer[] = []
  let pieces: Buffer[] = []
  const keep: ByteStream = Object.assign(new Discard(), {
    write: (chunk: Uint8Array) => pieces.push(Buffer.from(chunk)) > 0,
  })
  const writer = new FrameWriter({ stream: keep, atTurnEnd: () => {} }, { beforeFlush: () => {} })
  const encoder = new HpackEncoder()
  writer.settings([])
  for (let index = 0; index < count; index += 1) {
    const id = 2 * index + 1
    encoder.begin()
    encoder.field(':method', 'POST')
    encoder.field(':scheme', 'http')
    encoder.field(':path', '/productpage?u=normal')
    encoder.field(':authority', 'productpage.bookinfo.svc.cluster.local:9080')
    encodeHeaders(encoder, REQUEST)
    for (const name of CHANGING) encoder.field(name, `7f0c2e0e-3d6f-4c55-9a3c-${String(index).padStart(12, '0')}`)
    writer.headers(id, encoder, 16_384, body.length === 0)
    if (body.length > 0) writer.data(id, body, true)
    if (index % STREAMS_A_READ < STREAMS_A_READ - 1) continue
    writer.frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0, 1, 0, 0]))
    writer.flush()
    reads.push(Buffer.concat(pieces))
    pieces = []
  }
  return reads
}

/** Serves them all, with a head of five fields, a body and trailers. */
function serve(reads: readonly Buffer[]): void {
  const session: Http2ServerSession = new Http2ServerSession(
    { stream: new Discard(), clock: systemClock, atTurnEnd },
    {
      handler: {
        onRequest: (stream, _head, endStream) => {
          stream.sink = { onData, onEnd: () => answer(session, stream), onDrain: nothing, onFailure: nothing }
          if (endStream) answer(session, stream)
        },
        onClosed: nothing,
      },
    },
  )
  session.onBorrowed(PREFACE)
  for (const read of reads) {
    session.onBorrowed(read)
    for (const callback of turn.splice(0)) callback()
  }
  if (session.over) throw new Error('the session ended')
}

function answer(session: Http2ServerSession, stream: Http2Stream): void {
  const headers = new HeaderMap([
    ['content-type', 'application/grpc'],
    ['server', 'istio-envoy'],
    ['date', 'Wed, 25 Nov 2026 12:00:00 GMT'],
    ['x-envoy-upstream-service-time', '3'],
  ])
  session.respond(stream, { status: 200, headers, framing: 'chunked', contentLength: 0 }, false)
  stream.write(BODY)
  stream.end(new HeaderMap([['grpc-status', '0']]))
}

function nothing(): void {}

function onData(piece: Uint8Array): void {
  told += piece.length
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
const works = [
  { name: 'a request without a body, answered', reads: requests(WORK_COUNT, Buffer.alloc(0)) },
  { name: 'a request with 1 KiB, answered', reads: requests(WORK_COUNT, BODY) },
]
const figures = works.map((): number[] => [])
for (const { reads } of works) serve(reads)
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const [index, { reads }] of works.entries()) {
    const before = process.cpuUsage()
    serve(reads)
    const { user, system } = process.cpuUsage(before)
    figures[index]!.push((WORK_COUNT * 1e6) / (user + system))
  }
}
for (const [index, { name }] of works.entries()) {
  const sorted = figures[index]!.sort((a, b) => a - b)
  const thousands = (value: number) => (value / 1000).toFixed(0).padStart(6)
  process.stdout.write(
    `${name.padEnd(40)} median ${thousands(sorted[sorted.length >> 1]!)} best ${thousands(sorted.at(-1)!)} thousand/s\n`,
  )
}
if (told === 0) throw new Error('nothing was done')

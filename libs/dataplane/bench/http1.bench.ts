/**
 * HTTP/1.1 heads decoded and encoded, against Node's binding of llhttp in the same run. Run it with
 * `node --conditions=@ambient-lab/source libs/dataplane/bench/http1.bench.ts [--rounds 5] [--only decode]`.
 * One thread, no sockets; rounds are interleaved, and figures are per second of processor time, so that a shared
 * machine disturbs them little. What llhttp has to be given to be comparable: callbacks that take head, body and end.
 */
import { parseArgs } from 'node:util'
import { HeaderMap, RequestDecoder, RequestEncoder, ResponseDecoder, ResponseEncoder } from '../src/http1/index.ts'

interface Work {
  readonly name: string
  readonly unit: string
  /** Whose figure it is compared with. */
  readonly peer?: string
  /** Does it `count` times. */
  run(count: number): void
}

const REQUEST = Buffer.from(
  [
    'GET /productpage?u=normal HTTP/1.1',
    'Host: productpage.bookinfo.svc.cluster.local:9080',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Encoding: gzip, deflate, br',
    'Accept-Language: en-US,en;q=0.5',
    'Cookie: session=eyJ1c2VyIjoiamFzb24ifQ',
    'X-Request-Id: 7f0c2e0e-3d6f-4c55-9a3c-d0b6f1a3e1c2',
    'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'Connection: keep-alive',
    '',
    '',
  ].join('\r\n'),
)
const BODY = Buffer.alloc(1024, 'x')
const RESPONSE = Buffer.concat([
  Buffer.from(
    [
      'HTTP/1.1 200 OK',
      'Content-Type: text/html; charset=utf-8',
      `Content-Length: ${BODY.length}`,
      'Server: gunicorn',
      'Date: Wed, 25 Nov 2026 12:00:00 GMT',
      'X-Envoy-Upstream-Service-Time: 3',
      '',
      '',
    ].join('\r\n'),
  ),
  BODY,
])
const CHUNKED = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n${`100\r\n${'x'.repeat(256)}\r\n`.repeat(4)}0\r\n\r\n`,
)
/** As one read of a socket may bring them. */
const PIPELINED = Buffer.concat(Array.from({ length: 16 }, () => REQUEST))

let told = 0

class CountingSink {
  onHead(): void {
    told += 1
  }
  onInterimHead(): void {}
  onBody(piece: Uint8Array): void {
    told += piece.length
  }
  onTrailers(): void {}
  onMessageEnd(): void {}
  onError(error: Error): void {
    throw error
  }
}

const discard = {
  write(chunk: Uint8Array): boolean {
    told += chunk.length
    return true
  },
}

function decodeRequests(bytes: Uint8Array, heads: number): (count: number) => void {
  const decoder = new RequestDecoder(new CountingSink())
  return (count) => {
    for (let done = 0; done < count; done += heads) decoder.push(bytes)
  }
}

function decodeResponses(bytes: Uint8Array): (count: number) => void {
  const decoder = new ResponseDecoder(new CountingSink())
  return (count) => {
    for (let done = 0; done < count; done += 1) {
      decoder.expect({ method: 'GET' })
      decoder.push(bytes)
    }
  }
}

/** Two writes of the network for each head. */
function decodeHalves(bytes: Uint8Array): (count: number) => void {
  const decoder = new RequestDecoder(new CountingSink())
  const [first, second] = [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)]
  return (count) => {
    for (let done = 0; done < count; done += 1) {
      decoder.push(first)
      decoder.push(second)
    }
  }
}

function llhttp(type: 'REQUEST' | 'RESPONSE', bytes: Uint8Array, heads = 1): (count: number) => void {
  // Without declarations: the binding is Node's own.
  const { HTTPParser } = process.getBuiltinModule('_http_common') as unknown as { HTTPParser: LlhttpClass }
  const parser = new HTTPParser()
  parser.initialize(HTTPParser[type], {})
  parser[HTTPParser.kOnHeadersComplete] = () => {
    told += 1
  }
  parser[HTTPParser.kOnBody] = (piece: Uint8Array) => {
    told += piece.length
  }
  parser[HTTPParser.kOnMessageComplete] = () => {}
  return (count) => {
    for (let done = 0; done < count; done += heads) parser.execute(bytes)
  }
}

interface LlhttpClass {
  new (): { initialize(type: number, resource: object): void; execute(bytes: Uint8Array): number } & Record<
    number,
    unknown
  >
  readonly REQUEST: number
  readonly RESPONSE: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

/** What a proxy does with a request: decode it, change a field, encode it. */
function forward(): (count: number) => void {
  const encoder = new RequestEncoder(discard)
  const sink = new (class extends CountingSink {
    override onHead(head?: Parameters<ConstructorParameters<typeof RequestDecoder>[0]['onHead']>[0]): void {
      const { method, path, headers, framing, contentLength } = head!
      headers.set('x-forwarded-proto', 'http')
      encoder.writeHead({ method, target: path, headers, framing, contentLength })
    }
    override onMessageEnd(): void {
      encoder.end()
    }
  })()
  const decoder = new RequestDecoder(sink)
  return (count) => {
    for (let done = 0; done < count; done += 1) decoder.push(REQUEST)
  }
}

function encodeResponses(): (count: number) => void {
  const encoder = new ResponseEncoder(discard)
  const headers = new HeaderMap([
    ['content-type', 'text/html; charset=utf-8'],
    ['server', 'istio-envoy'],
    ['date', 'Wed, 25 Nov 2026 12:00:00 GMT'],
    ['x-envoy-upstream-service-time', '3'],
  ])
  const request = { method: 'GET', version: '1.1' } as const
  return (count) => {
    for (let done = 0; done < count; done += 1) {
      encoder.writeHead({
        status: 200,
        headers,
        framing: 'length',
        contentLength: BODY.length,
        request,
        keepAlive: true,
      })
      encoder.writeBody(BODY)
      encoder.end()
    }
  }
}

const WORKS: readonly Work[] = [
  { name: 'decode-request', unit: 'heads', peer: 'llhttp-request', run: decodeRequests(REQUEST, 1) },
  { name: 'llhttp-request', unit: 'heads', run: llhttp('REQUEST', REQUEST) },
  { name: 'decode-pipelined', unit: 'heads', peer: 'llhttp-pipelined', run: decodeRequests(PIPELINED, 16) },
  { name: 'llhttp-pipelined', unit: 'heads', run: llhttp('REQUEST', PIPELINED, 16) },
  { name: 'decode-in-halves', unit: 'heads', peer: 'llhttp-request', run: decodeHalves(REQUEST) },
  { name: 'decode-response', unit: 'messages', peer: 'llhttp-response', run: decodeResponses(RESPONSE) },
  { name: 'llhttp-response', unit: 'messages', run: llhttp('RESPONSE', RESPONSE) },
  { name: 'decode-chunked', unit: 'messages', peer: 'llhttp-chunked', run: decodeResponses(CHUNKED) },
  { name: 'llhttp-chunked', unit: 'messages', run: llhttp('RESPONSE', CHUNKED) },
  { name: 'encode-response', unit: 'messages', run: encodeResponses() },
  { name: 'forward-request', unit: 'messages', run: forward() },
]

const COUNT = 80_000

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, only: { type: 'string' } } })
const works = WORKS.filter(({ name }) => values.only === undefined || name.includes(values.only))
const samples = new Map<string, number[]>(works.map(({ name }) => [name, []]))
for (const { run } of works) run(COUNT >> 2)
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const { name, run } of works) samples.get(name)!.push(perSecond(() => run(COUNT)))
}

console.log(`request ${REQUEST.length} B, response ${RESPONSE.length} B; node ${process.version}; told ${told > 0}`)
for (const { name, unit, peer } of works) {
  const ratio = peer === undefined ? '' : `  ${(median(name) / median(peer)).toFixed(2)} × ${peer}`
  console.log(`${name.padEnd(18)}${inThousands(median(name))}, best ${inThousands(best(name))} k ${unit}/s${ratio}`)
}

function perSecond(act: () => void): number {
  const before = process.cpuUsage()
  act()
  const { user, system } = process.cpuUsage(before)
  return (COUNT / (user + system)) * 1_000_000
}

function median(name: string): number {
  return sorted(name)[samples.get(name)!.length >> 1]!
}

/** What the machine can do while nobody disturbs it. */
function best(name: string): number {
  return sorted(name).at(-1)!
}

function sorted(name: string): readonly number[] {
  return [...(samples.get(name) ?? [])].sort((a, b) => a - b)
}

function inThousands(perSecond: number): string {
  return Math.round(perSecond / 1000)
    .toString()
    .padStart(6)
}

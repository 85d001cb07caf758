import { HeaderMap, RequestDecoder, type RequestHead, type RequestSink, ResponseEncoder } from '../http1/index.ts'
import type { PlainListener, PlainNetwork } from '../plain-network.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'

/** What a test's backend got. */
export interface ReceivedRequest {
  readonly head: RequestHead
  body: Buffer
  trailers: HeaderMap | undefined
  readonly connection: ServerConnection
}

export interface ServerAnswer {
  readonly status?: number
  readonly headers?: readonly (readonly [string, string])[]
  /** A list is sent chunked, a text with its length. */
  readonly body?: string | readonly string[]
  readonly trailers?: readonly (readonly [string, string])[]
  readonly close?: boolean
}

export type Handler = (request: ReceivedRequest) => ServerAnswer | 'silence' | 'reset' | 'hang-up' | 'switch'

/** A backend of tests over any plain network, streams in memory included. */
export class TestHttpServer {
  readonly requests: ReceivedRequest[] = []
  readonly connections: ServerConnection[] = []
  handler: Handler = ({ head }) => ({ body: `${head.method} ${head.path}` })
  /** Before the body of a request. */
  onHead: (connection: ServerConnection) => void = () => {}
  listener!: PlainListener

  async listen(network: PlainNetwork): Promise<void> {
    this.listener = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      this.connections.push(new ServerConnection(stream, this))
    })
  }

  get address() {
    return this.listener.address
  }
}

export class ServerConnection implements ByteSink, RequestSink {
  readonly stream: ByteStream
  closed = false
  /** Every byte that came, as it came. */
  readonly received: Uint8Array[] = []
  /** What came after a switch of protocols. */
  raw = ''
  readonly #server: TestHttpServer
  readonly #decoder = new RequestDecoder(this)
  readonly #encoder: ResponseEncoder
  #request: ReceivedRequest | undefined
  #switched = false

  constructor(stream: ByteStream, server: TestHttpServer) {
    this.stream = stream
    this.#server = server
    this.#encoder = new ResponseEncoder(stream)
    stream.start(this)
  }

  onData(chunk: Uint8Array): void {
    this.received.push(chunk)
    if (!this.#switched) return this.#decoder.push(chunk)
    const text = Buffer.from(chunk).toString()
    this.raw += text
    this.stream.write(Buffer.from(text.toUpperCase()))
  }

  onEnd(): void {
    this.#decoder.end()
    this.stream.end()
  }

  onDrain(): void {}

  onClose(): void {
    this.closed = true
  }

  onHead(head: RequestHead): void {
    this.#request = { head, body: Buffer.alloc(0), trailers: undefined, connection: this }
    this.#server.requests.push(this.#request)
    this.#server.onHead(this)
  }

  onBody(piece: Uint8Array): void {
    this.#request!.body = Buffer.concat([this.#request!.body, piece])
  }

  onTrailers(trailers: HeaderMap): void {
    this.#request!.trailers = trailers
  }

  onMessageEnd(): void {
    this.answer(this.#request!, this.#server.handler(this.#request!))
  }

  onError(): void {
    this.stream.end()
  }

  answer(request: ReceivedRequest, answer: ReturnType<Handler>): void {
    if (answer === 'silence') return
    if (answer === 'reset') return this.stream.reset(new Error('reset') as never)
    if (answer === 'hang-up') return this.stream.end()
    if (answer === 'switch') return this.#switch(request)
    const { status = 200, headers = [], body = '', trailers, close = false } = answer
    const chunks = typeof body === 'string' ? [body] : body
    const isChunked = typeof body !== 'string'
    const length = Buffer.byteLength(chunks.join(''))
    this.#encoder.writeHead({
      status,
      headers: new HeaderMap(headers),
      framing: isChunked ? 'chunked' : length > 0 ? 'length' : 'none',
      contentLength: isChunked ? 0 : length,
      request: { method: request.head.method, version: '1.1' },
      keepAlive: !close,
    })
    for (const chunk of chunks) this.#encoder.writeBody(Buffer.from(chunk))
    this.#encoder.end(trailers && new HeaderMap(trailers))
    if (close) this.stream.end()
  }

  #switch({ head }: ReceivedRequest): void {
    this.#switched = true
    this.#encoder.writeHead({
      status: 101,
      headers: new HeaderMap(),
      framing: 'none',
      contentLength: 0,
      request: { method: head.method, version: '1.1' },
      keepAlive: true,
      upgrade: head.upgrade,
    })
    this.#encoder.end()
    for (const piece of this.#decoder.takeRest()) this.onData(piece)
  }
}

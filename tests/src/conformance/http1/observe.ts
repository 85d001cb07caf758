import {
  type HeaderMap,
  type HttpCodecError,
  RequestDecoder,
  type RequestHead,
  ResponseDecoder,
  type ResponseHead,
} from '@ambient-lab/dataplane'

/** One message as a decoder told of it. */
export interface Message {
  /** Of a request `GET /path`, of a response `200 OK`. */
  readonly line: string
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Latin-1. */
  body: string
  trailers: readonly (readonly [name: string, value: string])[]
  /** Bytes of the input that were there when the head was complete. */
  readonly headEnd: number
  /** Of the whole message; undefined when it did not come to its end. */
  end?: number
}

export interface Observation {
  readonly messages: readonly Message[]
  readonly error?: string
  /** The last message was the last of its connection: what is behind it is not read. */
  readonly closed: boolean
  /** What was left for another protocol after an upgrade or CONNECT. */
  readonly rest?: string
}

export type Direction = 'request' | 'response'

/**
 * Decodes `input`, byte by byte or in one piece. Positions are exact byte by byte only.
 * @param isEnded whether the peer closes after it
 */
export function observe(direction: Direction, input: Uint8Array, step: number, isEnded = false): Observation {
  const collector = new Collector()
  const decoder = direction === 'request' ? new RequestDecoder(collector) : new ResponseDecoder(collector)
  if (decoder instanceof ResponseDecoder) {
    collector.onNext = () => decoder.expect({ method: 'GET', upgrade: true })
    collector.onNext()
  }
  for (let at = 0; at < input.length; at += step) {
    collector.at = Math.min(input.length, at + step)
    decoder.push(input.subarray(at, collector.at))
  }
  const rest = decoder.paused ? latin1(Buffer.concat(decoder.takeRest())) : undefined
  if (isEnded) decoder.end()
  const { messages, error, keepAlive } = collector
  const closed = !keepAlive && messages.at(-1)?.end !== undefined
  return { messages, closed, ...(error && { error: error.code }), ...(rest !== undefined && { rest }) }
}

class Collector {
  readonly messages: Message[] = []
  error: HttpCodecError | undefined
  at = 0
  /** Of the last message. */
  keepAlive = true
  onNext: () => void = () => {}

  onHead(head: RequestHead | ResponseHead): void {
    const line = 'method' in head ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`
    this.keepAlive = head.keepAlive
    this.messages.push({ line, headers: [...head.headers], body: '', trailers: [], headEnd: this.at })
  }

  onInterimHead(head: ResponseHead): void {
    this.onHead(head)
    this.#last().end = this.at
  }

  onBody(piece: Uint8Array): void {
    this.#last().body += latin1(piece)
  }

  onTrailers(trailers: HeaderMap): void {
    this.#last().trailers = [...trailers]
  }

  onMessageEnd(): void {
    this.#last().end = this.at
    this.onNext()
  }

  onError(error: HttpCodecError): void {
    this.error = error
  }

  #last(): Message {
    return this.messages.at(-1)!
  }
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

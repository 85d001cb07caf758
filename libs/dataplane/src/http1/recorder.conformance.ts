import type { HttpCodecError } from './errors.ts'
import type { HeaderMap } from './headers.ts'
import type { MessageDecoder, MessageHead, MessageSink } from './message-decoder.ts'
import { RequestDecoder, type RequestHead } from './request-decoder.ts'
import { ResponseDecoder, type ResponseExpectation, type ResponseHead } from './response-decoder.ts'

/** One message as a decoder told of it, in a form that tests compare; interim responses are messages too. */
export interface RecordedMessage {
  head: RequestHead | ResponseHead
  /** `GET /path`, `200 OK`. */
  line: string
  headers: [name: string, value: string][]
  /** Latin-1, pieces joined. */
  body: string
  trailers: [name: string, value: string][]
  /** Bytes pushed when the head was told of, and when the message had ended. */
  headEnd: number
  end: number | undefined
}

/** A sink that keeps everything, and checks that it is told in order. */
export class Recorder {
  readonly messages: RecordedMessage[] = []
  error: HttpCodecError | undefined
  /** Bytes pushed so far; set by who pushes. */
  at = 0
  onEnd: () => void = () => {}

  onHead(head: RequestHead | ResponseHead): void {
    this.#check(this.messages.at(-1)?.end !== undefined || this.messages.length === 0, 'a head within a message')
    const line = 'method' in head ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`
    const message = { head, line, headers: [...head.headers], body: '', trailers: [], headEnd: this.at, end: undefined }
    this.messages.push(message)
  }

  onInterimHead(head: ResponseHead): void {
    this.onHead(head)
    this.#open().end = this.at
  }

  onBody(piece: Uint8Array): void {
    this.#check(piece.length > 0, 'an empty piece')
    this.#open().body += Buffer.from(piece).toString('latin1')
  }

  onTrailers(trailers: HeaderMap): void {
    this.#open().trailers = [...trailers]
  }

  onMessageEnd(): void {
    this.#open().end = this.at
    this.onEnd()
  }

  onError(error: HttpCodecError): void {
    this.#check(this.error === undefined, 'a second error')
    this.error = error
  }

  #open(): RecordedMessage {
    const message = this.messages.at(-1)
    this.#check(message !== undefined && message.end === undefined && this.error === undefined, 'no message is open')
    return message!
  }

  #check(condition: boolean, what: string): void {
    if (!condition) throw new Error(`a decoder told of ${what}`)
  }
}

export interface Recording {
  readonly messages: readonly RecordedMessage[]
  readonly error: HttpCodecError | undefined
  /** What is of another protocol; undefined when the decoder is not paused. */
  readonly rest: string | undefined
}

/** How many of the bytes that are left go into the next chunk. */
export type Cut = (left: number) => number

export const WHOLE: Cut = (left) => left
export const BYTE_BY_BYTE: Cut = () => 1

export function recordRequests(input: string | Uint8Array, cut: Cut = WHOLE, isEnded = false): Recording {
  const recorder = new Recorder()
  return record(new RequestDecoder(recorder), recorder, input, cut, isEnded)
}

/** @param expectation the same for each response */
export function recordResponses(
  input: string | Uint8Array,
  cut: Cut = WHOLE,
  isEnded = false,
  expectation: ResponseExpectation = { method: 'GET' },
): Recording {
  const recorder = new Recorder()
  const decoder = new ResponseDecoder(recorder)
  recorder.onEnd = () => decoder.expect(expectation)
  decoder.expect(expectation)
  return record(decoder, recorder, input, cut, isEnded)
}

function record<Head extends MessageHead>(
  decoder: MessageDecoder<Head, MessageSink<Head>>,
  recorder: Recorder,
  input: string | Uint8Array,
  cut: Cut,
  isEnded: boolean,
): Recording {
  const bytes = Buffer.from(input as string, 'latin1')
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(1, Math.min(bytes.length - at, cut(bytes.length - at)))
    recorder.at = at + length
    decoder.push(bytes.subarray(at, at + length))
    at += length
  }
  if (isEnded) decoder.end()
  const rest = decoder.paused ? Buffer.concat(decoder.takeRest()).toString('latin1') : undefined
  const { messages, error } = recorder
  return { messages, error, rest }
}

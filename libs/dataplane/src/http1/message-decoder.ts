import { Buffer } from 'node:buffer'
import { latin1Text } from '../latin1.ts'
import { CR, LF } from './characters.ts'
import { ChunkLineReader } from './chunked.ts'
import { type HttpCodecError, type HttpCodecErrorCode, Refusal } from './errors.ts'
import { type BodyFraming, HeadFacts } from './head-facts.ts'
import { HeadScanner, SCAN } from './head-scanner.ts'
import { isFraming } from './header-names.ts'
import { HeaderMap } from './headers.ts'
import { EMPTY_LINES_MAX, HEAD_BYTES_MAX, HEADERS_MAX } from './limits.ts'
import { isForbiddenTrailer } from './trailers.ts'

/** What requests and responses have in common. */
export interface MessageHead {
  readonly version: '1.0' | '1.1'
  readonly headers: HeaderMap
  readonly framing: BodyFraming
  /** Bytes of the body when `framing` is `length`, otherwise 0. */
  readonly contentLength: number
  /** Whether another message may follow on the connection. */
  readonly keepAlive: boolean
}

/** What a decoder finds, in this order: head, body in pieces, trailers if there are any, end. Or an error, which is the last. */
export interface MessageSink<Head extends MessageHead> {
  onHead(head: Head): void
  /** A view of the chunk that was pushed, or a copy where that was borrowed: the sink's to keep or hand on. */
  onBody(piece: Uint8Array): void
  /** Fields after a chunked body; only those that may come there. */
  onTrailers(trailers: HeaderMap): void
  onMessageEnd(): void
  onError(error: HttpCodecError): void
}

export interface MessageDecoderInit {
  /** First line and fields, and trailers for themselves. @default 60 KiB */
  readonly headBytesMax?: number
  /** @default 100 */
  readonly headersMax?: number
}

const START = 0
const START_LF = 1
const HEAD = 2
const LENGTH_BODY = 3
const CHUNK_LINE = 4
const CHUNK_BODY = 5
const TRAILERS = 6
const UNTIL_CLOSE = 7
/** Nothing after it is read: the last message said close, something was refused, or somebody else has the rest. */
const OVER = 8

const NOTHING = new Uint8Array(0)

/** A head in pieces is gathered in steps of this: few bytes of the body behind it are copied for nothing. */
const GATHER_BYTES = 1_024

/**
 * The part that requests and responses share: one direction of a connection as messages. Chunks are pushed in as they
 * come; bodies come out as views of them, and a head is copied only when it arrives in pieces.
 *
 * Pausing holds back bytes that were not read yet. An end that needs no further byte (of a message without a body, or
 * whose length has been reached) is told all the same.
 */
export abstract class MessageDecoder<Head extends MessageHead, Sink extends MessageSink<Head>> {
  protected readonly sink: Sink
  protected readonly scanner: HeadScanner
  protected readonly facts = new HeadFacts()
  readonly #start: typeof SCAN.REQUEST | typeof SCAN.RESPONSE
  readonly #chunks = new ChunkLineReader()
  #state = START
  /** What is being read, from `#at`; then what was pushed meanwhile. */
  #chunk: Uint8Array = NOTHING
  #at = 0
  readonly #queue: Uint8Array[] = []
  /** What is being read is somebody else's again when `pushBorrowed` returns. */
  #borrowed = false
  #busy = false
  #paused = false
  #ended = false
  #emptyLines = 0
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0
  /** Of the message being read. */
  #keepAlive = true
  #switches = false
  /** A head or trailers that came in pieces. */
  #gathered: Uint8Array = NOTHING
  #gatheredBytes = 0

  constructor(sink: Sink, start: typeof SCAN.REQUEST | typeof SCAN.RESPONSE, init: MessageDecoderInit) {
    const { headBytesMax = HEAD_BYTES_MAX, headersMax = HEADERS_MAX } = init
    this.sink = sink
    this.scanner = new HeadScanner({ headBytesMax, headersMax })
    this.#start = start
  }

  /** Between messages, with no byte of the next one read. */
  get idle(): boolean {
    return this.#state === START || this.#state === OVER
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Bytes that were pushed and not read, since the decoder is paused. */
  get heldBytes(): number {
    let bytes = this.#chunk.length - this.#at
    for (const chunk of this.#queue) bytes += chunk.length
    return bytes
  }

  /** The chunk is the decoder's, and then the sink's; nobody may write to it any more. */
  push(chunk: Uint8Array): void {
    if (this.#state === OVER && !this.#paused) return
    if (this.#busy || this.#paused) {
      this.#queue.push(chunk)
      return
    }
    this.#chunk = chunk
    this.#at = 0
    this.#run()
  }

  /**
   * As `push`, of a chunk that is overwritten when this returns. Heads are read where they are; bodies, and what waits,
   * are copied.
   */
  pushBorrowed(chunk: Uint8Array): void {
    if (this.#busy || this.#paused) return this.push(copyOf(chunk))
    this.#borrowed = true
    this.push(chunk)
    this.#borrowed = false
    if (this.#chunk !== chunk) return
    this.#chunk = this.#at < chunk.length ? copyOf(chunk.subarray(this.#at)) : NOTHING
    this.#at = 0
  }

  /** The peer sends no more. Within a message that is an error, except where it is how a body ends. */
  end(): void {
    this.#ended = true
    if (!this.#busy && !this.#paused) this.#run()
  }

  /**
   * Reads nothing more until `resume`. What is pushed meanwhile is kept: whoever pauses a decoder also pauses the
   * stream that feeds it.
   */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#busy) this.#run()
  }

  /**
   * Takes every byte that was not read, and ends the decoder: they, and whatever the stream brings from now on, are
   * of another protocol.
   */
  takeRest(): readonly Uint8Array[] {
    const rest = this.#queue.splice(0)
    if (this.#at < this.#chunk.length) rest.unshift(this.#piece(this.#at, this.#chunk.length))
    this.#over()
    return rest
  }

  /** @throws Refusal */
  protected abstract readHead(text: string): Head
  /** Before the first byte of a message. @throws Refusal when there should be none */
  protected abstract messageBegins(): void
  /** Whether bytes behind the message are of another protocol, if both sides want so. */
  protected abstract maySwitch(head: Head): boolean
  /** @returns whether it was one that stands before the real one */
  protected abstract takeInterim(head: Head): boolean
  protected abstract messageEnds(): void
  /** The peer stopped sending between messages. @throws Refusal when it owes one */
  protected abstract endsIdle(): void
  protected abstract error(code: HttpCodecErrorCode): HttpCodecError

  #run(): void {
    this.#busy = true
    try {
      while (!this.#paused) {
        if (this.#at < this.#chunk.length) {
          this.#step()
          continue
        }
        this.#at = 0
        if (this.#queue.length === 0) {
          this.#chunk = NOTHING
          if (this.#ended) this.#finish()
          break
        }
        this.#chunk = this.#queue.shift()!
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#over()
      this.sink.onError(this.error(error.code))
    } finally {
      this.#busy = false
    }
  }

  /** Reads a part; at least a byte. */
  #step(): void {
    switch (this.#state) {
      case START:
      case START_LF:
        return this.#readEmptyLines()
      case HEAD:
      case TRAILERS:
        return this.#readFields()
      case LENGTH_BODY:
      case CHUNK_BODY:
        return this.#readBody()
      case CHUNK_LINE:
        return this.#readChunkLine()
      case UNTIL_CLOSE: {
        const piece = this.#piece(this.#at, this.#chunk.length)
        this.#at = this.#chunk.length
        return this.sink.onBody(piece)
      }
      default:
        this.#at = this.#chunk.length
    }
  }

  /** RFC 9112 §2.2: a server ignores an empty line before a request. */
  #readEmptyLines(): void {
    const byte = this.#chunk[this.#at]
    if (this.#state === START_LF) {
      if (byte !== LF) throw new Refusal('LINE_END_INVALID')
      this.#emptyLines += 1
      this.#state = START
      this.#at += 1
      return
    }
    this.messageBegins()
    if (byte === CR && this.#emptyLines < EMPTY_LINES_MAX) {
      this.#state = START_LF
      this.#at += 1
      return
    }
    this.#emptyLines = 0
    this.#state = HEAD
    this.scanner.begin(this.#start)
    this.#readFields()
  }

  #readFields(): void {
    const { scanner } = this
    if (this.#gatheredBytes === 0) {
      const base = this.#at
      if (scanner.scan(this.#chunk, base, this.#chunk.length)) {
        this.#at = base + scanner.end
        this.#fieldsRead(this.#chunk, base)
      } else {
        this.#gather(this.#chunk.length - base)
      }
      return
    }
    const before = this.#gatheredBytes
    const from = this.#at
    this.#gather(Math.min(GATHER_BYTES, this.#chunk.length - from))
    if (!scanner.scan(this.#gathered, 0, this.#gatheredBytes)) return
    this.#at = from + scanner.end - before
    this.#gatheredBytes = 0
    this.#fieldsRead(this.#gathered, 0)
    this.#gathered = NOTHING
  }

  #gather(bytes: number): void {
    const needed = this.#gatheredBytes + bytes
    if (needed > this.#gathered.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#gathered.length, GATHER_BYTES))
      larger.set(this.#gathered.subarray(0, this.#gatheredBytes))
      this.#gathered = larger
    }
    this.#gathered.set(this.#chunk.subarray(this.#at, this.#at + bytes), this.#gatheredBytes)
    this.#gatheredBytes = needed
    this.#at += bytes
  }

  #fieldsRead(bytes: Uint8Array, base: number): void {
    const text = latin1Text(bytes, base, base + this.scanner.end)
    if (this.#state === TRAILERS) this.#takeTrailers(text)
    else this.#takeHead(this.readHead(text))
  }

  #takeHead(head: Head): void {
    this.#state = START
    if (this.takeInterim(head)) return
    this.#keepAlive = head.keepAlive
    this.#switches = this.maySwitch(head)
    this.#left = head.contentLength
    if (head.framing === 'chunked') {
      this.#chunks.begin()
      this.#state = CHUNK_LINE
    } else if (head.framing === 'length') {
      this.#state = LENGTH_BODY
    } else if (head.framing === 'until-close') {
      this.#state = UNTIL_CLOSE
    }
    const state = this.#state
    this.sink.onHead(head)
    if (state === START && this.#state === START) this.#endMessage()
  }

  #readBody(): void {
    const chunk = this.#chunk
    const at = this.#at
    const end = Math.min(chunk.length, at + this.#left)
    const piece = this.#piece(at, end)
    this.#at = end
    this.#left -= end - at
    const isWhole = this.#left === 0
    if (this.#state === CHUNK_BODY) {
      if (isWhole) this.#state = CHUNK_LINE
      return this.sink.onBody(piece)
    }
    this.sink.onBody(piece)
    if (isWhole && this.#state === LENGTH_BODY) this.#endMessage()
  }

  #readChunkLine(): void {
    const chunks = this.#chunks
    this.#at = chunks.read(this.#chunk, this.#at, this.#chunk.length)
    if (!chunks.done) return
    this.#left = chunks.size
    if (chunks.size > 0) {
      this.#state = CHUNK_BODY
      return
    }
    this.#state = TRAILERS
    this.scanner.begin(SCAN.TRAILERS)
  }

  #takeTrailers(text: string): void {
    const { count, names, ids, valueStarts, valueEnds } = this.scanner
    const list: string[] = []
    for (let index = 0; index < count; index += 1) {
      const name = names[index]!
      // A parser that lets them change what it already read would frame what follows differently.
      if (isFraming(ids[index]!)) throw new Refusal('TRAILER_INVALID')
      if (!isForbiddenTrailer(name)) list.push(name, text.substring(valueStarts[index]!, valueEnds[index]!))
    }
    if (list.length > 0) this.sink.onTrailers(HeaderMap.ofJudged(list))
    if (this.#state === TRAILERS) this.#endMessage()
  }

  #endMessage(): void {
    this.#state = this.#keepAlive ? START : OVER
    if (this.#switches) this.#paused = true
    this.messageEnds()
    this.sink.onMessageEnd()
  }

  #finish(): void {
    switch (this.#state) {
      case START:
      case START_LF:
        return this.endsIdle()
      case OVER:
        return
      case UNTIL_CLOSE:
        return this.#endMessage()
      default:
        throw new Refusal('MESSAGE_INCOMPLETE')
    }
  }

  /** Of the chunk, for the sink to keep. */
  #piece(from: number, to: number): Uint8Array {
    const chunk = this.#chunk
    const piece = from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)
    return this.#borrowed ? copyOf(piece) : piece
  }

  #over(): void {
    this.#state = OVER
    this.#paused = false
    this.#chunk = NOTHING
    this.#at = 0
    this.#queue.length = 0
    this.#gathered = NOTHING
    this.#gatheredBytes = 0
  }
}

/** A copy, from Node's pool where it is small. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length)
  copy.set(bytes)
  return copy
}

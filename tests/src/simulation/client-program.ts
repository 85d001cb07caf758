import type { ByteSink, ByteStream } from '@ambient-lab/dataplane'
import { CodedError, type Random } from '@ambient-lab/std'
import { answerKey, encodeHeader, patternBytes } from './byte-pattern.ts'
import type { Connection } from './ledger.ts'
import type { Observer } from './observer.ts'

/** How one client behaves; drawn before it starts, so that a run replays. */
export interface ClientPlan {
  readonly destination: string
  readonly port: number
  readonly bytes: number
  readonly chunkBytesMax: number
  readonly pauseMaxMs: number
  /** Sends before the capture answered. */
  readonly impatient: boolean
  /** The server half-closes after so many bytes of answer; 0: after the client. */
  readonly serverEndsAfter: number
  /** Bytes sent after which the client cuts the connection; undefined: it ends in order. */
  readonly resetAfter: number | undefined
  /** Reads nothing for a while, now and then. */
  readonly slowReader: boolean
  /** Keeps the connection open and silent before it half-closes. */
  readonly lingerMs: number
}

/** How often a slow reader rests: bytes that come one by one would keep it for ever. */
export const RESTS_MAX = 12

const SOCKS_VERSION = 5
const METHOD_ANSWER_BYTES = 2
const REPLY_BYTES = 10

/** A program in a pod that opens one connection through its pod's capture, says what it has to say, and hears the echo. */
export class ClientProgram implements ByteSink {
  readonly #connection: Connection
  readonly #plan: ClientPlan
  readonly #random: Random
  readonly #observer: Observer
  readonly #stream: ByteStream
  /** Of the capture's answers, until they are whole. */
  #handshake: Uint8Array | undefined = new Uint8Array(0)
  #sending = false
  #starved = false
  #rests = 0

  constructor(
    stream: ByteStream,
    init: {
      readonly connection: Connection
      readonly plan: ClientPlan
      readonly random: Random
      readonly observer: Observer
    },
  ) {
    this.#stream = stream
    this.#connection = init.connection
    this.#plan = init.plan
    this.#random = init.random
    this.#observer = init.observer
  }

  start(): void {
    this.#stream.start(this)
    this.#stream.write(Uint8Array.of(SOCKS_VERSION, 1, 0, ...socksRequest(this.#plan)))
    if (this.#plan.impatient) this.#begin()
  }

  onData(chunk: Uint8Array): void {
    const bytes = this.#handshake ? this.#onHandshake(chunk) : chunk
    if (bytes && bytes.length > 0) this.#onAnswer(bytes)
  }

  onEnd(): void {
    const { client } = this.#connection
    client.peerEnded = true
    if (!this.#connection.stood) return this.#giveUp()
    this.#observer.onPeerEnd(this.#connection, client, this.#connection.server)
  }

  onDrain(): void {
    this.#starved = false
    this.#sendSoon()
  }

  onClose(reason: CodedError | undefined): void {
    const { client } = this.#connection
    const ending = !this.#connection.stood ? 'refused' : reason ? 'cut' : 'in order'
    this.#observer.onEnding(this.#connection, client, ending, reason)
  }

  /** The capture's two answers, then bytes of the server. */
  #onHandshake(chunk: Uint8Array): Uint8Array | undefined {
    const bytes = Buffer.concat([this.#handshake!, chunk])
    this.#handshake = bytes
    if (bytes.length < METHOD_ANSWER_BYTES + REPLY_BYTES) return undefined
    this.#handshake = undefined
    const reply = bytes[METHOD_ANSWER_BYTES + 1]!
    if (reply !== 0) {
      this.#connection.refusal = reply
      return undefined
    }
    this.#connection.stood = true
    this.#observer.onStood(this.#connection)
    if (!this.#plan.impatient) this.#begin()
    return bytes.subarray(METHOD_ANSWER_BYTES + REPLY_BYTES)
  }

  /** The capture said no and hung up; so do we. */
  #giveUp(): void {
    if (!this.#connection.client.ended) this.#stream.end()
    this.#connection.client.ended = true
  }

  #begin(): void {
    const { id, key } = this.#connection
    this.#sending = true
    this.#stream.write(encodeHeader({ connection: id, key, serverEndsAfter: this.#plan.serverEndsAfter }))
    this.#sendSoon()
  }

  #onAnswer(bytes: Uint8Array): void {
    const { client, key } = this.#connection
    this.#observer.onBytes(this.#connection, client, this.#connection.server, answerKey(key), bytes)
    if (!this.#plan.slowReader || this.#rests === RESTS_MAX || this.#random.integer(4) > 0) return
    this.#rests += 1
    this.#stream.pause()
    this.#after(this.#random.integer(400), () => this.#stream.resume())
  }

  #sendSoon(): void {
    const pauseMs = this.#plan.pauseMaxMs === 0 ? 0 : this.#random.integer(this.#plan.pauseMaxMs)
    if (pauseMs === 0) queueMicrotask(() => this.#send())
    else this.#after(pauseMs, () => this.#send())
  }

  #send(): void {
    const { client, key } = this.#connection
    if (!this.#sending || this.#starved || client.ending || client.ended) return
    const limit = Math.min(this.#plan.bytes, this.#plan.resetAfter ?? Number.POSITIVE_INFINITY)
    const length = Math.min(limit - client.sent, 1 + this.#random.integer(this.#plan.chunkBytesMax))
    if (length > 0) {
      const bytes = patternBytes(key, client.sent, length)
      client.sent += length
      this.#starved = !this.#stream.write(bytes)
    }
    if (client.sent < limit) {
      if (!this.#starved) this.#sendSoon()
    } else if (this.#plan.resetAfter !== undefined) {
      this.#after(this.#plan.lingerMs, () => this.#stream.reset(new CodedError('STREAM_RESET', 'the program hung up')))
    } else {
      this.#after(this.#plan.lingerMs, () => this.#end())
    }
  }

  #end(): void {
    const { client } = this.#connection
    if (client.ending || client.ended) return
    client.ended = true
    this.#stream.end()
  }

  #after(delayMs: number, act: () => void): void {
    this.#connection.client.place.process.clock.schedule(delayMs, act)
  }
}

/** RFC 1928 §4; a host name unless the destination is an IPv4 literal. */
function socksRequest({ destination, port }: ClientPlan): number[] {
  const isIp = /^[\d.]+$/.test(destination)
  const address = isIp
    ? [1, ...destination.split('.').map(Number)]
    : [3, destination.length, ...Buffer.from(destination)]
  return [SOCKS_VERSION, 1, 0, ...address, port >> 8, port & 0xff]
}

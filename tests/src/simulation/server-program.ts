import type { ByteSink, ByteStream } from '@ambient-lab/dataplane'
import { CodedError, type Random } from '@ambient-lab/std'
import { answerKey, decodeHeader, HEADER_BYTES, patternBytes, type StreamHeader } from './byte-pattern.ts'
import { RESTS_MAX } from './client-program.ts'
import type { Connection, EndPoint, Place } from './ledger.ts'
import type { Observer } from './observer.ts'

/** One connection of a program in a pod that answers each byte with one of its own. */
export class ServerConnection implements ByteSink {
  readonly #stream: ByteStream
  readonly #place: Place
  readonly #observer: Observer
  readonly #random: Random
  readonly #onGone: (connection: ServerConnection) => void
  #early: Uint8Array = new Uint8Array(0)
  #header: StreamHeader | undefined
  #connection: Connection | undefined
  #end: EndPoint | undefined
  #starved = false
  #rests = 0
  #gone = false

  constructor(
    stream: ByteStream,
    init: {
      readonly place: Place
      readonly observer: Observer
      readonly random: Random
      readonly onGone: (connection: ServerConnection) => void
    },
  ) {
    this.#stream = stream
    this.#place = init.place
    this.#observer = init.observer
    this.#random = init.random
    this.#onGone = init.onGone
    stream.start(this)
  }

  onData(chunk: Uint8Array): void {
    const bytes = this.#header ? chunk : this.#onHead(chunk)
    if (bytes.length === 0 || !this.#connection || !this.#end) return
    this.#observer.onBytes(this.#connection, this.#end, this.#connection.client, this.#header!.key, bytes)
    this.#answer()
    this.#rest()
  }

  onEnd(): void {
    if (!this.#connection || !this.#end) return this.#stream.end() // who says nothing is answered nothing
    this.#end.peerEnded = true
    this.#observer.onPeerEnd(this.#connection, this.#end, this.#connection.client)
    this.#answer()
  }

  onDrain(): void {
    this.#starved = false
    this.#stream.resume()
    this.#answer()
  }

  onClose(reason: CodedError | undefined): void {
    this.#gone = true
    this.#onGone(this)
    if (!this.#connection || !this.#end) return
    this.#observer.onEnding(this.#connection, this.#end, reason ? 'cut' : 'in order', reason)
  }

  /** The pod is being stopped. */
  stop(): void {
    if (!this.#gone) this.#stream.reset(new CodedError('STREAM_RESET', 'the program stops'))
  }

  #onHead(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.concat([this.#early, chunk])
    this.#early = bytes
    if (bytes.length < HEADER_BYTES) return new Uint8Array(0)
    this.#header = decodeHeader(bytes)
    this.#end = { place: this.#place, sent: 0, received: 0, ended: false, peerEnded: false, ending: undefined }
    this.#connection = this.#observer.onArrival(this.#header, this.#end)
    return bytes.subarray(HEADER_BYTES)
  }

  /** Answers what was heard and not answered yet; half-closes when its time has come. */
  #answer(): void {
    const end = this.#end!
    if (end.ended || this.#gone) return
    const endsAfter = this.#header!.serverEndsAfter || Number.POSITIVE_INFINITY
    const owed = Math.min(end.received, endsAfter) - end.sent
    if (owed > 0 && !this.#starved) {
      const bytes = patternBytes(answerKey(this.#header!.key), end.sent, owed)
      end.sent += owed
      this.#starved = !this.#stream.write(bytes)
      // Who does not read his answers is not listened to either.
      if (this.#starved) this.#stream.pause()
    }
    if (end.sent < endsAfter && !(end.peerEnded && end.sent === end.received)) return
    end.ended = true
    this.#stream.end()
    // Who has said everything is owed no drain: what the client goes on saying is heard all the same.
    this.#starved = false
    this.#stream.resume()
  }

  /** A reader that is slow now and then. */
  #rest(): void {
    if (this.#starved || this.#rests === RESTS_MAX || this.#random.integer(24) > 0) return
    this.#rests += 1
    this.#stream.pause()
    this.#place.process.clock.schedule(this.#random.integer(300), () => {
      if (!this.#starved) this.#stream.resume()
    })
  }
}

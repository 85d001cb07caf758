import type { CancelTimer, CodedError } from '@ambient-lab/std'
import { type ByteSink, deliverBorrowed } from '../stream/byte-stream.ts'
import { HttpConnection, type HttpConnectionInit } from './http-connection-manager.ts'
import { Http2Connection } from './http2-connection.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0')

/** A client's connection whose first bytes tell whether it is HTTP/2 with prior knowledge or HTTP/1.1. */
export class CodecSelector implements ByteSink {
  readonly #init: HttpConnectionInit
  /** As long as the bytes could be those of a preface. */
  #held: Uint8Array | undefined
  #connection: HttpConnection | Http2Connection | undefined
  #cancelDrain: CancelTimer | undefined
  #drainGraceMs: number | undefined

  constructor(init: HttpConnectionInit) {
    this.#init = { ...init, isStarted: true }
    init.stream.start(this)
  }

  /** @param idleGraceMs how long a connection without a request is left alone */
  drain(idleGraceMs: number): void {
    this.#drainGraceMs = idleGraceMs
    if (this.#connection) return this.#connection.drain(idleGraceMs)
    this.#cancelDrain = this.#init.clock.schedule(idleGraceMs, () => {
      if (!this.#connection) this.#init.stream.end()
    })
  }

  cut(reason: CodedError): void {
    this.#init.stream.reset(reason)
  }

  onData(chunk: Uint8Array): void {
    if (this.#connection) return this.#connection.onData(chunk)
    const bytes = this.#held ? Buffer.concat([this.#held, chunk]) : chunk
    const length = Math.min(bytes.length, PREFACE.length)
    const isPreface = PREFACE.subarray(0, length).equals(bytes.subarray(0, length))
    if (isPreface && bytes.length < PREFACE.length) {
      this.#held = bytes
      return
    }
    this.#held = undefined
    this.#connection = isPreface ? new Http2Connection(this.#init) : new HttpConnection(this.#init)
    if (this.#drainGraceMs !== undefined) this.#connection.drain(this.#drainGraceMs)
    this.#connection.onData(bytes)
  }

  onBorrowed(chunk: Uint8Array): void {
    if (this.#connection) deliverBorrowed(this.#connection, chunk)
    else this.onData(new Uint8Array(chunk))
  }

  onEnd(): void {
    if (this.#connection) this.#connection.onEnd()
    else this.#init.stream.end()
  }

  onDrain(): void {
    this.#connection?.onDrain()
  }

  onClose(reason: CodedError | undefined): void {
    this.#cancelDrain?.()
    if (this.#connection) this.#connection.onClose(reason)
    else this.#init.onClosed()
  }
}

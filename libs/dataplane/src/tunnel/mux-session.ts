import type { SpiffeId } from '@ambient-lab/pki'
import { assert, type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import { STREAM_RESET } from '../stream/errors.ts'
import { type AtTurnEnd, atTurnEnd } from '../stream/turn-end.ts'
import { decodeConnect, decodeResponse, encodeConnect, encodeResponse } from './connect.ts'
import { Decoder, type FrameHandler } from './decoder.ts'
import { ConnectRejectedError, tunnelError, WIRE_CODE, wireCodeOf } from './errors.ts'
import { encodeFrame, encodeNumbers, encodePong, FRAME, type FrameType, readText, readU32 } from './frame.ts'
import {
  CLOSE_GRACE_MS,
  CONNECTION_WINDOW_BYTES,
  CONTROL_BYTES_MAX,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  STREAM_ID_MAX,
  STREAM_WINDOW_BYTES_INITIAL,
  STREAMS_ACCEPTED_MAX,
  STREAMS_OPENED_MAX,
  WINDOW_BYTES_LIMIT,
} from './limits.ts'
import { MuxStream, type MuxStreamOwner } from './mux-stream.ts'
import { MuxWriter } from './mux-writer.ts'
import type { ConnectedStream, ConnectRequest, IncomingConnect, TunnelSession } from './transport.ts'

export interface MuxSessionComponents {
  /** An authenticated connection whose handshake is over; nothing else reads or writes it. */
  readonly carrier: ByteStream
  readonly clock: Clock
  /** @default the end of the event loop's turn */
  readonly atTurnEnd?: AtTurnEnd
}

export interface MuxSessionInit {
  /** `client` opens odd streams and masks its messages, `server` opens even ones and does not mask. */
  readonly role: 'client' | 'server'
  readonly local: SpiffeId
  readonly remote: SpiffeId
  readonly serverName: string
  readonly remoteAddress: string
  /** Streams that this end opens at once; the peer may allow fewer. @default 100 */
  readonly streamsOpenedMax?: number
  /** Streams that the peer may have open. @default 200 */
  readonly streamsAcceptedMax?: number
}

/** A CONNECT of ours without an answer yet. */
interface Opening {
  resolve(connected: ConnectedStream): void
  reject(reason: CodedError): void
  /** Stops listening to the caller's signal. */
  release(): void
}

/** Multiplexes CONNECT streams over one connection. Does nothing before `start`. */
export class MuxSession implements TunnelSession {
  readonly local: SpiffeId
  readonly remote: SpiffeId
  readonly serverName: string
  readonly remoteAddress: string

  readonly #carrier: ByteStream
  readonly #clock: Clock
  readonly #isClient: boolean
  readonly #later: AtTurnEnd
  readonly #writer: MuxWriter
  readonly #decoder: Decoder
  readonly #streams = new Map<number, MuxStream>()
  readonly #openings = new Map<number, Opening>()
  /** CONNECTs of the peer that nobody here has answered, also those that the peer gave up: their owners still work. */
  readonly #incoming = new Map<number, AbortController>()
  readonly #streamsAcceptedMax: number
  #streamsOpenedMax: number
  #openedByUs = 0
  #openedByPeer = 0
  #nextId: number
  #lastPeerId = 0
  /** What a fresh stream may send; the peer's SETTINGS tell it before any stream stands. */
  #streamSendWindow = 0
  #hasSettings = false
  #receiveWindow = CONNECTION_WINDOW_BYTES
  #ungranted = 0
  /** Whom the DATA frame that is arriving is for; undefined when that stream is gone. */
  #receiving: MuxStream | undefined
  #draining = false
  #closed: CodedError | undefined
  #farewell = ''
  #cancelPing: CancelTimer = () => {}
  #handleConnect: (incoming: IncomingConnect) => void = (incoming) => incoming.reject(503, 'nobody serves this tunnel')
  readonly #closeHandlers: ((reason: CodedError) => void)[] = []
  #handleIdle: () => void = () => {}

  constructor(components: MuxSessionComponents, init: MuxSessionInit) {
    this.local = init.local
    this.remote = init.remote
    this.serverName = init.serverName
    this.remoteAddress = init.remoteAddress
    this.#carrier = components.carrier
    this.#clock = components.clock
    this.#later = components.atTurnEnd ?? atTurnEnd
    this.#isClient = init.role === 'client'
    this.#nextId = this.#isClient ? 1 : 2
    this.#streamsOpenedMax = init.streamsOpenedMax ?? STREAMS_OPENED_MAX
    this.#streamsAcceptedMax = init.streamsAcceptedMax ?? STREAMS_ACCEPTED_MAX
    this.#writer = new MuxWriter({ carrier: this.#carrier, atTurnEnd: this.#later }, { masked: this.#isClient })
    this.#decoder = new Decoder(this.#frames, !this.#isClient)
  }

  start(): void {
    const settings = [this.#streamsAcceptedMax, STREAM_WINDOW_BYTES_INITIAL, CONNECTION_WINDOW_BYTES]
    this.#send(FRAME.SETTINGS, 0, encodeNumbers(settings))
    this.#cancelPing = this.#clock.schedule(PING_INTERVAL_MS, this.#ping, { background: true })
    this.#carrier.start(this.#sink)
  }

  get openStreams(): number {
    return this.#closed ? 0 : this.#openedByUs + this.#openedByPeer
  }

  get acceptsStreams(): boolean {
    return !this.#draining && !this.#closed
  }

  get isFull(): boolean {
    return this.#openedByUs >= this.#streamsOpenedMax
  }

  onConnect(handler: (incoming: IncomingConnect) => void): void {
    this.#handleConnect = handler
  }

  onClose(handler: (reason: CodedError) => void): void {
    if (this.#closed) this.#later(() => handler(this.#closed!))
    else this.#closeHandlers.push(handler)
  }

  onIdle(handler: () => void): void {
    this.#handleIdle = handler
  }

  async connect(request: ConnectRequest, signal?: AbortSignal): Promise<ConnectedStream> {
    signal?.throwIfAborted()
    this.#throwUnlessFree()
    const id = this.#nextId
    this.#nextId += 2
    this.#openedByUs += 1
    const { promise, resolve, reject } = Promise.withResolvers<ConnectedStream>()
    const onAbort = () => this.#giveUp(id, signal!.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#openings.set(id, { resolve, reject, release: () => signal?.removeEventListener('abort', onAbort) })
    this.#send(FRAME.CONNECT, id, encodeConnect(request))
    if (this.#nextId > STREAM_ID_MAX) this.drain()
    return promise
  }

  drain(): void {
    if (this.#draining || this.#closed) return
    this.#draining = true
    this.#send(FRAME.GOAWAY, 0, encodeNumbers([this.#lastPeerId, WIRE_CODE.NO_ERROR], 'draining'))
    this.#afterStream()
  }

  close(reason: CodedError): void {
    if (this.#closed) return
    const farewell = encodeNumbers([this.#lastPeerId, wireCodeOf(reason)], reason.message)
    this.#finish(reason)
    this.#writer.sendControl(encodeFrame(this.#isClient, FRAME.GOAWAY, 0, farewell))
    this.#writer.end()
    // A peer that neither reads nor hangs up keeps the connection no longer than this.
    this.#cancelPing = this.#clock.schedule(CLOSE_GRACE_MS, () => this.#carrier.reset(reason), { background: true })
  }

  #throwUnlessFree(): void {
    if (this.#closed) throw this.#closed
    if (this.#draining)
      throw tunnelError('SESSION_DRAINING', 'connection closed due to connection drain', { retry: 'yes' })
    if (this.isFull) throw tunnelError('SESSION_FULL', `${this.#openedByUs} streams are open`, { retry: 'yes' })
  }

  /** The caller does not want its pending CONNECT any more. */
  #giveUp(id: number, reason: CodedError): void {
    const opening = this.#takeOpening(id)
    if (!opening) return
    this.#send(FRAME.RESET, id, encodeNumbers([WIRE_CODE.CANCEL]))
    opening.reject(reason)
    this.#afterStream()
  }

  #takeOpening(id: number): Opening | undefined {
    const opening = this.#openings.get(id)
    if (!opening) return undefined
    this.#openings.delete(id)
    this.#openedByUs -= 1
    opening.release()
    return opening
  }

  // What the carrier tells.

  readonly #sink: ByteSink = {
    onData: (chunk) => this.#onChunk(chunk),
    onBorrowed: (chunk) => this.#onChunk(chunk),
    onEnd: () => this.#onCarrierGone(undefined),
    onDrain: () => this.#writer.onDrain(),
    onClose: (reason) => this.#onCarrierGone(reason),
  }

  /** Keeps nothing of the chunk. */
  #onChunk(chunk: Uint8Array): void {
    if (this.#closed) return
    try {
      this.#decoder.push(chunk)
    } catch (error) {
      if (!CodedError.is(error)) throw error
      this.close(error)
    }
  }

  #onCarrierGone(cause: CodedError | undefined): void {
    this.#writer.abandon()
    if (!this.#closed) {
      const why = this.#farewell || cause?.message || 'the peer hung up'
      this.#finish(
        tunnelError('SESSION_CLOSED', `tunnel closed: ${why}`, { origin: 'upstream', retry: 'if-reused', cause }),
      )
    }
    this.#cancelPing()
    this.#carrier.end()
  }

  #finish(reason: CodedError): void {
    this.#closed = reason
    this.#cancelPing()
    for (const id of [...this.#openings.keys()]) this.#takeOpening(id)!.reject(reason)
    for (const abort of this.#incoming.values()) abort.abort(reason)
    for (const stream of [...this.#streams.values()]) stream.close(reason)
    this.#later(() => {
      for (const handler of this.#closeHandlers) handler(reason)
    })
  }

  /** A stream ended, or will not be: perhaps it was the last. */
  #afterStream(): void {
    if (this.#closed || this.openStreams > 0) return
    this.#handleIdle()
    if (!this.#draining) return
    this.close(tunnelError('SESSION_DRAINING', 'connection closed due to connection drain', { retry: 'yes' }))
  }

  // What the decoder finds. Each judgement of a peer's mistake throws, which ends the session.

  readonly #frames: FrameHandler = {
    onFrame: (type, id, payload) => this.#onFrame(type, id, payload),
    onDataHead: (id, bytes) => this.#onDataHead(id, bytes),
    onData: (_, piece) => {
      if (this.#receiving) this.#receiving.receive(piece)
      else this.#onConsumed(piece.length)
    },
    onWebSocketPing: (payload) => this.#sendControl(encodePong(this.#isClient, payload)),
    onWebSocketClose: () => this.#onCarrierGone(undefined),
  }

  #onFrame(type: FrameType, id: number, payload: Uint8Array): void {
    if (this.#closed) return
    if (this.#hasSettings === (type === FRAME.SETTINGS)) {
      throw tunnelError('STREAM_PROTOCOL', this.#hasSettings ? 'SETTINGS twice' : 'SETTINGS did not come first')
    }
    if (type === FRAME.SETTINGS) this.#onSettings(payload)
    else if (type === FRAME.CONNECT) this.#onConnectFrame(id, payload)
    else if (type === FRAME.RESPONSE) this.#onResponse(id, payload)
    else if (type === FRAME.WINDOW) this.#onWindow(id, readU32(payload, 0))
    else if (type === FRAME.FIN) this.#onFin(id)
    else if (type === FRAME.RESET) this.#onReset(id, readU32(payload, 0), readText(payload, 4))
    else if (type === FRAME.PING) this.#send(FRAME.PONG, 0, payload)
    else if (type === FRAME.PONG) this.#onPong()
    else if (type === FRAME.GOAWAY) this.#onGoaway(readU32(payload, 0), readText(payload, 8))
  }

  #onSettings(payload: Uint8Array): void {
    this.#hasSettings = true
    this.#streamsOpenedMax = Math.min(this.#streamsOpenedMax, readU32(payload, 0))
    this.#streamSendWindow = readU32(payload, 4)
    const connectionWindow = this.#writer.onGranted(readU32(payload, 8))
    if (Math.max(this.#streamSendWindow, connectionWindow) > WINDOW_BYTES_LIMIT) {
      throw tunnelError('FLOW_CONTROL', 'SETTINGS grant too much')
    }
  }

  #onConnectFrame(id: number, payload: Uint8Array): void {
    if (this.#isOurs(id) || id <= this.#lastPeerId || id > STREAM_ID_MAX) {
      throw tunnelError('STREAM_PROTOCOL', `CONNECT on stream ${id} after ${this.#lastPeerId}`)
    }
    this.#lastPeerId = id
    const request = decodeConnect(payload)
    if (this.#draining || this.#openedByPeer >= this.#streamsAcceptedMax) {
      this.#send(
        FRAME.RESET,
        id,
        encodeNumbers([WIRE_CODE.REFUSED_STREAM], this.#draining ? 'draining' : 'too many streams'),
      )
      return
    }
    this.#openedByPeer += 1
    const abort = new AbortController()
    this.#incoming.set(id, abort)
    this.#handleConnect({
      request,
      signal: abort.signal,
      accept: (baggage) => this.#accept(id, baggage),
      reject: (status, reason) => this.#reject(id, status, reason),
    })
  }

  #accept(id: number, baggage: string): ByteStream {
    const { signal } = this.#takeIncoming(id)
    const stream = new MuxStream(this.#streamOwner, id, this.#streamSendWindow)
    this.#streams.set(id, stream)
    if (signal.aborted) stream.close(signal.reason)
    else this.#send(FRAME.RESPONSE, id, encodeResponse({ status: 200, baggage, reason: '' }))
    return stream
  }

  #reject(id: number, status: number, reason: string): void {
    const { signal } = this.#takeIncoming(id)
    this.#openedByPeer -= 1
    if (!signal.aborted) this.#send(FRAME.RESPONSE, id, encodeResponse({ status, baggage: '', reason }))
    this.#afterStream()
  }

  #takeIncoming(id: number): AbortController {
    const abort = this.#incoming.get(id)
    assert(abort, `stream ${id} was answered before`)
    this.#incoming.delete(id)
    return abort
  }

  #onResponse(id: number, payload: Uint8Array): void {
    const response = decodeResponse(payload)
    if (!this.#openings.has(id)) {
      if (this.#streams.has(id) || !this.#isPast(id) || !this.#isOurs(id)) this.#misuse('RESPONSE', id)
      return // to a CONNECT that we gave up
    }
    const opening = this.#takeOpening(id)!
    if (response.status !== 200) {
      opening.reject(new ConnectRejectedError(response.status, response.reason))
      this.#afterStream()
      return
    }
    const stream = new MuxStream(this.#streamOwner, id, this.#streamSendWindow)
    this.#openedByUs += 1
    this.#streams.set(id, stream)
    opening.resolve({ stream, baggage: response.baggage })
  }

  #onWindow(id: number, bytes: number): void {
    if (bytes === 0) throw tunnelError('FLOW_CONTROL', 'WINDOW of 0 bytes')
    const stream = id === 0 ? undefined : this.#open('WINDOW', id)
    if (id !== 0 && !stream) return
    const window = stream ? stream.onGranted(bytes) : this.#writer.onGranted(bytes)
    if (window > WINDOW_BYTES_LIMIT) throw tunnelError('FLOW_CONTROL', `the window of stream ${id} is ${window} bytes`)
  }

  #onFin(id: number): void {
    const stream = this.#open('FIN', id)
    if (stream?.peerEnded) this.#misuse('FIN', id)
    stream?.onPeerEnd()
  }

  #onReset(id: number, code: number, text: string): void {
    const refused = code === WIRE_CODE.REFUSED_STREAM
    const reason = refused
      ? tunnelError('STREAM_REFUSED', `the peer refused the stream: ${text}`, { origin: 'upstream', retry: 'yes' })
      : new CodedError(STREAM_RESET, `the peer reset the stream${text && `: ${text}`}`, { origin: 'upstream' })
    this.#incoming.get(id)?.abort(reason)
    this.#takeOpening(id)?.reject(reason)
    const stream = this.#streams.get(id)
    if (stream) stream.close(reason)
    else if (!this.#isPast(id)) this.#misuse('RESET', id)
    this.#afterStream()
  }

  #onGoaway(lastId: number, text: string): void {
    this.#draining = true
    this.#farewell = text
    const reason = tunnelError('STREAM_REFUSED', `the peer is going away: ${text}`, {
      origin: 'upstream',
      retry: 'yes',
    })
    for (const id of [...this.#openings.keys()]) if (id > lastId) this.#takeOpening(id)!.reject(reason)
    this.#afterStream()
  }

  #onDataHead(id: number, bytes: number): void {
    const stream = this.#open('DATA', id)
    this.#receiving = stream
    this.#receiveWindow -= bytes
    if (stream?.peerEnded) this.#misuse('DATA after FIN', id)
    if (this.#receiveWindow < 0) throw tunnelError('FLOW_CONTROL', 'DATA beyond the window of the connection')
    if (stream && !stream.expect(bytes)) throw tunnelError('FLOW_CONTROL', `DATA beyond the window of stream ${id}`)
  }

  /** The stream that a frame is for; undefined when it was closed, which the peer may not have known. */
  #open(frame: string, id: number): MuxStream | undefined {
    const stream = this.#streams.get(id)
    if (stream) return stream
    if (!this.#isPast(id) || this.#openings.has(id) || this.#incoming.has(id)) this.#misuse(frame, id)
    return undefined
  }

  #isOurs(id: number): boolean {
    return id % 2 === this.#nextId % 2
  }

  /** Whether the stream exists or did so once. */
  #isPast(id: number): boolean {
    return this.#isOurs(id) ? id < this.#nextId : id <= this.#lastPeerId
  }

  #misuse(frame: string, id: number): never {
    throw tunnelError('STREAM_PROTOCOL', `${frame} on stream ${id}`)
  }

  // What streams and timers ask for.

  readonly #streamOwner: MuxStreamOwner = {
    onSendable: (stream) => this.#writer.sendFrom(stream),
    sendNow: (stream, chunk) => this.#writer.sendNow(stream, chunk),
    hasRoom: (stream) => this.#writer.hasRoom(stream),
    onConsumed: (bytes) => this.#onConsumed(bytes),
    grant: (stream, bytes) => this.#send(FRAME.WINDOW, stream.id, encodeNumbers([bytes])),
    sendReset: (stream, reason) => {
      this.#send(FRAME.RESET, stream.id, encodeNumbers([WIRE_CODE.CANCEL], reason.message))
    },
    onGone: (stream) => {
      if (!this.#streams.delete(stream.id)) return
      if (this.#isOurs(stream.id)) this.#openedByUs -= 1
      else this.#openedByPeer -= 1
      this.#afterStream()
    },
    later: (callback) => this.#later(callback),
  }

  #onConsumed(bytes: number): void {
    this.#ungranted += bytes
    if (this.#ungranted < CONNECTION_WINDOW_BYTES / 2) return
    this.#receiveWindow += this.#ungranted
    this.#send(FRAME.WINDOW, 0, encodeNumbers([this.#ungranted]))
    this.#ungranted = 0
  }

  readonly #ping = (): void => {
    this.#send(FRAME.PING, 0, new Uint8Array(8))
    const late = tunnelError('PING_TIMEOUT', `no answer to a ping in ${PING_TIMEOUT_MS / 1000} s`, {
      origin: 'upstream',
      retry: 'if-reused',
    })
    this.#cancelPing = this.#clock.schedule(PING_TIMEOUT_MS, () => this.close(late), { background: true })
  }

  #onPong(): void {
    this.#cancelPing()
    this.#cancelPing = this.#clock.schedule(PING_INTERVAL_MS, this.#ping, { background: true })
  }

  #send(type: FrameType, id: number, payload: Uint8Array): void {
    this.#sendControl(encodeFrame(this.#isClient, type, id, payload))
  }

  #sendControl(frame: Uint8Array): void {
    if (this.#closed) return
    if (this.#writer.controlBytes <= CONTROL_BYTES_MAX) this.#writer.sendControl(frame)
    else this.close(tunnelError('CONTROL_FLOOD', 'the peer does not read the answers to what it asks'))
  }
}

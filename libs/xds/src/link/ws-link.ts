import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type CancelTimer, type Clock, CodedError, every } from '@ambient-lab/std'
import WebSocket, { type RawData, WebSocketServer } from 'ws'
import { type Decode, decodeAgentMessage, decodeControlPlaneMessage } from '../decode.ts'
import { DeltaEncoder, type Encode } from '../encode.ts'
import { discoveryError } from '../errors.ts'
import {
  CLOSE_DEADLINE_MS,
  DIAL_TIMEOUT_MS,
  LINK_DEAD_AFTER_MS,
  LINK_QUEUE_HIGH_BYTES,
  LINK_QUEUE_LOW_BYTES,
  LINK_QUEUE_MAX_BYTES,
  MESSAGE_BYTES_MAX,
  PING_PERIOD_MS,
} from '../limits.ts'
import type { AgentMessage, ControlPlaneMessage } from '../messages.ts'
import type { LinkHandlers, MessageLink } from './message-link.ts'

/** WebSocket close codes 4000-4999 are for applications; the coded reason is in the close reason. */
const CLOSE_CODED = 4000
/** RFC 6455 §5.5: a control frame carries 125 bytes, 2 of them the code. */
const CLOSE_REASON_BYTES_MAX = 123
/** Set by ws where a frame exceeds `maxPayload`. */
const WS_CLOSE_TOO_BIG = 1009

export interface WsLinkInit {
  /** @default PING_PERIOD_MS */
  readonly pingPeriodMs?: number
  /** @default LINK_DEAD_AFTER_MS */
  readonly deadAfterMs?: number
  /** @default LINK_QUEUE_HIGH_BYTES */
  readonly queueHighBytes?: number
}

/** A link over one open WebSocket. */
export class WsLink<Incoming, Outgoing> implements MessageLink<Incoming, Outgoing> {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #decode: Decode<Incoming>
  readonly #encode: Encode<Outgoing>
  readonly #queueHighBytes: number
  readonly #stopPings: CancelTimer
  #handlers: LinkHandlers<Incoming> | undefined
  #lastHeardMs: number
  #clogged = false
  /** Why this end closes, once it has decided to. */
  #reason: CodedError | undefined
  #closed = false
  #cancelClose: CancelTimer | undefined

  /** @param encode @default JSON.stringify */
  constructor(
    socket: WebSocket,
    clock: Clock,
    decode: Decode<Incoming>,
    init: WsLinkInit = {},
    encode: Encode<Outgoing> = JSON.stringify,
  ) {
    this.#socket = socket
    this.#clock = clock
    this.#decode = decode
    this.#encode = encode
    this.#queueHighBytes = init.queueHighBytes ?? LINK_QUEUE_HIGH_BYTES
    this.#lastHeardMs = clock.monotonic()
    const deadAfterMs = init.deadAfterMs ?? LINK_DEAD_AFTER_MS
    this.#stopPings = every(clock, init.pingPeriodMs ?? PING_PERIOD_MS, () => this.#ping(deadAfterMs))
    socket.pause()
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary))
    socket.on('pong', () => this.#heard())
    socket.on('ping', () => this.#heard())
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', (code, text) => this.#closedBy(code, text))
  }

  start(handlers: LinkHandlers<Incoming>): void {
    this.#handlers = handlers
    if (this.#closed) handlers.onClose(this.#reason ?? discoveryError('LINK_CLOSED', 'the connection is closed'))
    else this.#socket.resume()
  }

  send(message: Outgoing): boolean {
    if (this.#reason || this.#socket.readyState !== WebSocket.OPEN) return true
    this.#socket.send(this.#encode(message), () => this.#sent())
    if (this.#socket.bufferedAmount > LINK_QUEUE_MAX_BYTES) {
      this.#abort(discoveryError('LINK_OVERFLOW', `the peer left ${this.#socket.bufferedAmount} bytes unread`))
    }
    this.#clogged = this.#socket.bufferedAmount > this.#queueHighBytes
    return !this.#clogged
  }

  close(reason: CodedError): void {
    if (this.#reason) return
    this.#reason = reason
    this.#socket.resume() // a paused socket would not see the answer to the close frame
    this.#socket.close(CLOSE_CODED, truncate(`${reason.code}: ${reason.message}`, CLOSE_REASON_BYTES_MAX))
    this.#cancelClose = this.#clock.schedule(CLOSE_DEADLINE_MS, () => this.#socket.terminate(), { background: true })
  }

  #abort(reason: CodedError): void {
    this.#reason ??= reason
    this.#socket.terminate()
  }

  #ping(deadAfterMs: number): void {
    const silentMs = this.#clock.monotonic() - this.#lastHeardMs
    if (silentMs > deadAfterMs) {
      this.#abort(discoveryError('LINK_DEAD', `no sign of life for ${Math.round(silentMs)} ms`))
    } else if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.ping()
    }
  }

  #heard(): void {
    this.#lastHeardMs = this.#clock.monotonic()
  }

  #sent(): void {
    if (!this.#clogged || this.#socket.bufferedAmount > LINK_QUEUE_LOW_BYTES) return
    this.#clogged = false
    if (!this.#closed) this.#handlers?.onDrain?.()
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#heard()
    if (this.#reason) return
    let message: Incoming
    const text = data.toString()
    try {
      if (isBinary) throw discoveryError('MALFORMED_MESSAGE', 'a binary frame')
      message = this.#decode(text)
    } catch (error) {
      this.close(error as CodedError)
      return
    }
    this.#handlers?.onMessage(message, Buffer.byteLength(text))
  }

  /** Frames that ws refuses (too large, bad UTF-8) end here, as does a broken connection; 'close' follows. */
  #fail(error: Error): void {
    const refused = 'code' in error && String(error.code).startsWith('WS_ERR_')
    this.#reason ??= discoveryError(refused ? 'MALFORMED_MESSAGE' : 'LINK_CLOSED', error.message, error)
  }

  #closedBy(code: number, text: Buffer): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopPings()
    this.#cancelClose?.()
    this.#reason ??= parseCloseReason(code, text.toString())
    this.#handlers?.onClose(this.#reason)
  }
}

function parseCloseReason(code: number, text: string): CodedError {
  const match = code === CLOSE_CODED ? /^([A-Z_]+): (.*)$/s.exec(text) : null
  if (match) return new CodedError(match[1]!, match[2]!, { origin: 'upstream', retry: 'yes' })
  if (code === WS_CLOSE_TOO_BIG) return discoveryError('MALFORMED_MESSAGE', 'the peer found a message too large')
  return discoveryError('LINK_CLOSED', `the connection closed (${code})`)
}

/** At most `bytesMax` bytes of UTF-8, cut between characters. */
function truncate(text: string, bytesMax: number): string {
  let short = text.slice(0, bytesMax)
  while (Buffer.byteLength(short) > bytesMax) short = short.slice(0, -1)
  return short
}

export interface DialWsLinkOptions {
  /** `wss://127.0.0.1:6443/discovery` */
  readonly url: string
  /** PEM: the roots to trust, and the node's own certificate and key. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly link?: WsLinkInit
}

/**
 * Connects an agent to its control plane.
 * @throws CodedError CONTROL_PLANE_UNREACHABLE with Node's error as its cause
 */
export function dialWsLink(options: DialWsLinkOptions): Promise<MessageLink<ControlPlaneMessage, AgentMessage>> {
  const { url, tls, clock, signal } = options
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      ...tls,
      handshakeTimeout: DIAL_TIMEOUT_MS,
      maxPayload: MESSAGE_BYTES_MAX,
      perMessageDeflate: false,
    })
    const abort = () => socket.terminate()
    signal?.addEventListener('abort', abort, { once: true })
    const fail = (cause: Error) => {
      signal?.removeEventListener('abort', abort)
      reject(discoveryError('CONTROL_PLANE_UNREACHABLE', `${url}: ${cause.message}`, cause))
    }
    socket.once('error', fail)
    socket.once('open', () => {
      socket.removeListener('error', fail)
      signal?.removeEventListener('abort', abort)
      resolve(new WsLink(socket, clock, decodeControlPlaneMessage, options.link))
    })
  })
}

export interface WsLinkAcceptor {
  /** Takes over an HTTP upgrade whose client is already authenticated. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** The control plane's side of `dialWsLink`. */
export function createWsLinkAcceptor(
  clock: Clock,
  onLink: (link: MessageLink<AgentMessage, ControlPlaneMessage>, request: IncomingMessage) => void,
  init: WsLinkInit = {},
): WsLinkAcceptor {
  const { encode } = new DeltaEncoder(clock)
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false })
  return {
    accept(request, socket, head) {
      server.handleUpgrade(request, socket, head, (accepted) => {
        onLink(new WsLink(accepted, clock, decodeAgentMessage, init, encode), request)
      })
    },
  }
}

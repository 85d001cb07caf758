import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { assert, type Clock, CodedError, errorMessage, systemClock } from '@ambient-lab/std'
import { putLatin1 } from '../latin1.ts'
import type { ByteSink, ByteStream } from './byte-stream.ts'
import { CONNECT_FAILED, CONNECT_TIMEOUT, STREAM_RESET, socketError } from './errors.ts'
import {
  BLOCK_BYTES,
  GATHERED_BYTES_MIN,
  JOINED_BYTES_MAX,
  READ_BYTES,
  SOCKET_HIGH_MARK_BYTES,
  TCP_KEEPALIVE_IDLE_MS,
  TCP_KEEPALIVE_SYSTEM,
  TLS_READ_BYTES,
  VIEW_LENGTHS_KEPT,
} from './limits.ts'
import { readInto } from './read-buffer.ts'
import { type SocketWriter, socketWriterOf } from './socket-writer.ts'
import { acquireBlock, releaseBlock } from './spare-blocks.ts'
import { atTurnEnd } from './turn-end.ts'

export interface NodeStreamInit {
  /**
   * Whether the writes of one turn of the event loop leave in one system call. A caller that gathers by itself, and
   * wants to know when each write is done, says false: then `write` returns false while anything is on its way.
   * @default true
   */
  readonly gather?: boolean
  /** Whether a plain socket is written to past Node's Writable, where this Node can. @default true */
  readonly direct?: boolean
}

/** Into which every TCP socket reads: one read at a time, and its bytes are taken before the next. */
const sharedReadBuffer = new Uint8Array(READ_BYTES)

/** Small messages come in the same lengths again and again: the views of their first bytes are made once. */
const sharedViews: (Uint8Array | undefined)[] = new Array(VIEW_LENGTHS_KEPT)

function viewOfShared(bytes: number): Uint8Array {
  if (bytes >= VIEW_LENGTHS_KEPT) return sharedReadBuffer.subarray(0, bytes)
  sharedViews[bytes] ??= sharedReadBuffer.subarray(0, bytes)
  return sharedViews[bytes]
}

/** A TCP or TLS socket as a ByteStream. The socket must be open, allow half-open, and have no reader yet. */
export class NodeStream implements ByteStream {
  readonly #socket: Socket
  readonly #writer: SocketWriter
  readonly #gather: boolean
  #sink: ByteSink | undefined
  #reason: CodedError | undefined
  /** Whether the turn's end will send what was gathered. */
  #gathering = false
  #corked = false
  /** What this turn has so far, in one piece: short ones are joined, and one piece needs no gathering. */
  #only: Uint8Array | string | undefined
  /** `write` said stop. A socket that took everything at once has no end of that to tell. */
  #owesDrain = false
  /** Borrowed bytes that leave together. */
  #block: Uint8Array | undefined
  #blockBytes = 0
  /** Blocks that are the socket's until it has sent them, in order. */
  #lent: Uint8Array[] | undefined
  #ended = false
  /** By `reset`; the socket itself may need a turn for that. */
  #cut = false
  #closed = false

  constructor(socket: Socket, init: NodeStreamInit = {}) {
    this.#socket = socket
    this.#gather = init.gather ?? true
    this.#writer = socketWriterOf(socket, { onDrain: this.#onDrain, direct: init.direct ?? true })
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  start(sink: ByteSink): void {
    assert(!this.#sink, 'a stream is started once')
    this.#sink = sink
    if (this.#closed) {
      queueMicrotask(() => sink.onClose(this.#reason))
      return
    }
    this.#socket.on('end', () => sink.onEnd())
    if (!this.#readBorrowed(sink)) this.#readOwned(sink)
    // Whoever read a handshake from this socket has left it paused.
    this.#socket.resume()
  }

  write(chunk: Uint8Array): boolean {
    return this.#write(chunk)
  }

  writeText(text: string): boolean {
    return this.#write(text)
  }

  writeBorrowed(chunk: Uint8Array): boolean {
    if (!this.#gather || chunk.length < GATHERED_BYTES_MIN || chunk.length > BLOCK_BYTES) {
      return this.write(Buffer.from(chunk))
    }
    if (this.#cut || this.#closed || this.#socket.destroyed) return true
    assert(!this.#ended, 'write after end')
    this.#releaseSoon()
    if (this.#only !== undefined) this.#cork()
    if (this.#blockBytes + chunk.length > BLOCK_BYTES) this.#sendBlock()
    this.#block ??= acquireBlock()
    this.#block.set(chunk, this.#blockBytes)
    this.#blockBytes += chunk.length
    // A block that the system takes at once has stopped nobody.
    return this.#writer.pendingBytes === 0 || this.#hasRoom(BLOCK_BYTES)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#send()
    // Not before: a FIN that was asked for cannot be overtaken by a reset, not even where it waits for a slow reader.
    if (this.#writer.pendingBytes === 0) this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#cut) this.#socket.resume()
  }

  reset(reason: CodedError): void {
    const socket = this.#socket
    if (socket.destroyed || this.#cut) return
    this.#cut = true
    this.#reason = reason
    // A TLS socket has no RST of its own to send: its alert is the cut of the connection.
    if ('encrypted' in socket) socket.destroy()
    else if (isShuttingDown(socket)) this.#resetAfterShutdown()
    else socket.resetAndDestroy()
  }

  /**
   * While the FIN is under way libuv refuses to reset (`uv_tcp_close_reset`: EINVAL), and Node takes the socket for
   * closed all the same: it would be open until the process ends, and a thread that has one never does.
   */
  #resetAfterShutdown(): void {
    const socket = this.#socket
    socket.pause()
    socket.once('finish', () => socket.resetAndDestroy())
  }

  get bufferedBytes(): number {
    return this.#writer.pendingBytes + this.#blockBytes + (this.#only?.length ?? 0)
  }

  #write(bytes: Uint8Array | string): boolean {
    if (this.#cut || this.#closed || this.#socket.destroyed) return true
    assert(!this.#ended, 'write after end')
    if (!this.#gather) {
      this.#writer.write(bytes)
    } else if (!this.#gathering) {
      this.#releaseSoon()
      this.#only = bytes
    } else if (this.#only !== undefined && this.#only.length + bytes.length <= JOINED_BYTES_MAX) {
      this.#only = joined(this.#only, bytes)
    } else {
      this.#cork()
      this.#sendBlock()
      this.#writer.write(bytes)
    }
    return this.#hasRoom(this.#gather ? SOCKET_HIGH_MARK_BYTES : 1)
  }

  #hasRoom(highMarkBytes: number): boolean {
    const hasRoom = this.bufferedBytes < highMarkBytes
    if (!hasRoom) this.#owesDrain = true
    return hasRoom
  }

  /** Reads without an allocation, for a sink that takes what it needs at once. False where that cannot be, or not yet. */
  #readBorrowed(sink: ByteSink): boolean {
    if (!sink.onBorrowed) return false
    const buffer = 'encrypted' in this.#socket ? new Uint8Array(TLS_READ_BYTES) : sharedReadBuffer
    const view = buffer === sharedReadBuffer ? viewOfShared : (bytes: number) => buffer.subarray(0, bytes)
    return readInto(this.#socket, buffer, (bytes) => sink.onBorrowed!(view(bytes)))
  }

  #readOwned(sink: ByteSink): void {
    // What came behind a handshake is in the socket already, and has to be had first.
    let hasMore = this.#socket.readableLength > 0
    this.#socket.on('data', (chunk: Uint8Array) => {
      sink.onData(chunk)
      if (!hasMore || this.#socket.readableLength > 0) return
      hasMore = false
      this.#readBorrowed(sink)
    })
  }

  #releaseSoon(): void {
    if (this.#gathering) return
    this.#gathering = true
    atTurnEnd(this.#release)
  }

  readonly #release = (): void => {
    this.#gathering = false
    this.#send()
    if (this.#writer.pendingBytes === 0) this.#onDrain()
  }

  /** What was gathered. */
  #send(): void {
    this.#sendOnly()
    this.#sendBlock()
    if (!this.#corked) return
    this.#corked = false
    this.#writer.uncork()
  }

  /** More than one chunk is to leave in one system call. */
  #cork(): void {
    if (!this.#corked) {
      this.#corked = true
      this.#writer.cork()
    }
    this.#sendOnly()
  }

  #sendOnly(): void {
    const only = this.#only
    if (only === undefined) return
    this.#only = undefined
    if (!this.#socket.destroyed) this.#writer.write(only)
  }

  #sendBlock(): void {
    const block = this.#block
    if (!block) return
    const bytes = this.#blockBytes
    this.#block = undefined
    this.#blockBytes = 0
    if (this.#socket.destroyed) return releaseBlock(block)
    this.#lent ??= []
    this.#lent.push(block)
    this.#writer.write(bytes === block.length ? block : block.subarray(0, bytes), this.#onBlockSent)
  }

  /** Nothing waits for the system any more. */
  readonly #onDrain = (): void => {
    if (this.#cut || this.#closed) return
    if (this.#ended && !this.#socket.writableEnded) this.#socket.end()
    if (this.#ended || !this.#owesDrain) return
    this.#owesDrain = false
    this.#sink?.onDrain()
  }

  /** Not called after an error: then the system may still have the memory in its hands. */
  readonly #onBlockSent = (): void => {
    releaseBlock(this.#lent!.shift()!)
  }

  readonly #onError = (error: Error): void => {
    this.#reason ??= socketError(error)
  }

  readonly #onClose = (): void => {
    this.#closed = true
    const inOrder = this.#ended && this.#socket.readableEnded
    if (!inOrder) this.#reason ??= new CodedError(STREAM_RESET, 'the connection was cut')
    this.#sink?.onClose(this.#reason)
  }
}

function joined(one: Uint8Array | string, other: Uint8Array | string): Uint8Array | string {
  if (typeof one === 'string' && typeof other === 'string') return one + other
  const bytes = Buffer.allocUnsafe(one.length + other.length)
  put(bytes, put(bytes, 0, one), other)
  return bytes
}

function put(target: Uint8Array, offset: number, bytes: Uint8Array | string): number {
  if (typeof bytes === 'string') return putLatin1(target, offset, bytes)
  target.set(bytes, offset)
  return offset + bytes.length
}

export interface DialOptions {
  /** @default 10 s, ztunnel's */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** What is left out is the system's. @default ztunnel's */
  readonly keepalive?: TcpKeepalive | undefined
}

export interface TcpKeepalive {
  readonly probes?: number
  /** Of silence before the first probe. */
  readonly timeSeconds?: number
  readonly intervalSeconds?: number
}

const DIAL_TIMEOUT_MS = 10_000

/**
 * Opens a TCP connection.
 * @throws CodedError CONNECT_FAILED (refused, unreachable), CONNECT_TIMEOUT, or the signal's reason
 */
export async function dialSocket(
  target: { readonly host: string; readonly port: number },
  options: DialOptions = {},
): Promise<Socket> {
  const { timeoutMs = DIAL_TIMEOUT_MS, signal, clock = systemClock, keepalive } = options
  signal?.throwIfAborted()
  const where = `${target.host}:${target.port}`
  const socket = connect({ ...target, allowHalfOpen: true, noDelay: true })
  keepAlive(socket, keepalive)
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const timeoutError = () =>
    new CodedError(CONNECT_TIMEOUT, `no answer in ${timeoutMs} ms`, { where, origin: 'upstream', retry: 'yes' })
  const cancelTimeout = clock.schedule(timeoutMs, () => reject(timeoutError()))
  const onAbort = () => reject(signal?.reason)
  const onError = (error: Error) =>
    reject(
      new CodedError(CONNECT_FAILED, errorMessage(error), { where, origin: 'upstream', retry: 'yes', cause: error }),
    )
  signal?.addEventListener('abort', onAbort, { once: true })
  socket.once('connect', () => resolve(socket))
  socket.once('error', onError)
  try {
    return await promise
  } catch (error) {
    socket.on('error', ignore)
    socket.destroy()
    throw error
  } finally {
    cancelTimeout()
    signal?.removeEventListener('abort', onAbort)
    socket.removeListener('error', onError)
  }
}

function keepAlive(socket: Socket, keepalive: TcpKeepalive | undefined): void {
  if (!keepalive) {
    socket.setKeepAlive(true, TCP_KEEPALIVE_IDLE_MS)
    return
  }
  const { timeSeconds, intervalSeconds, probes } = { ...TCP_KEEPALIVE_SYSTEM, ...keepalive }
  socket.setKeepAlive(true, timeSeconds * 1000, intervalSeconds * 1000, probes)
}

/** `dialSocket` as a ByteStream, ready to `start`. */
export async function dialNodeStream(
  target: { readonly host: string; readonly port: number },
  options: DialOptions = {},
): Promise<ByteStream> {
  return new NodeStream(await dialSocket(target, options))
}

/** Everything was given to the system, and it was asked for the FIN behind that. */
function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
}

function ignore(): void {}

import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { latin1Bytes } from '../latin1.ts'
import type { SocketWriter } from './socket-writer.ts'

/**
 * Past the Writable around a TCP socket, to the handle in it. Most writes of a proxy are short, and the system takes
 * them at once: then a Writable's queue, its callbacks and its next tick cost as much as all the rest of a write here.
 * Nobody else may write to the socket; it is ended and destroyed as ever, and the system keeps the order.
 *
 * The handle is Node's own business: all that is used of it is looked for first (`of`).
 */
export class DirectWriter implements SocketWriter {
  readonly #socket: Socket
  readonly #handle: WritableHandle
  readonly #onDrain: () => void
  #corked: Uint8Array[] | undefined
  #onCorkedSent: (() => void)[] = []
  pendingBytes = 0

  private constructor(socket: Socket, handle: WritableHandle, onDrain: () => void) {
    this.#socket = socket
    this.#handle = handle
    this.#onDrain = onDrain
  }

  /** @returns undefined where this Node, or this socket, has no such handle, or has something to send yet */
  static of(socket: Socket, onDrain: () => void): DirectWriter | undefined {
    const { _handle: handle } = socket as unknown as { readonly _handle?: WritableHandle | null }
    if (!writeState || handle?.constructor.name !== 'TCP' || socket.writableLength > 0) return undefined
    return isWritable(handle) ? new DirectWriter(socket, handle, onDrain) : undefined
  }

  write(bytes: Uint8Array | string, onSent?: () => void): void {
    if (this.#corked) return this.#gather(this.#corked, bytes, onSent)
    const handle = this.#handle
    const result = typeof bytes === 'string' ? handle.writeLatin1String(null, bytes) : handle.writeBuffer(null, bytes)
    if (result === 0) onSent?.()
    else this.#goesOn(result, bytes, bytes.length, onSent)
  }

  cork(): void {
    this.#corked ??= []
  }

  uncork(): void {
    const chunks = this.#corked
    const onSents = this.#onCorkedSent
    if (!chunks) return
    this.#corked = undefined
    this.#onCorkedSent = []
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    this.pendingBytes -= bytes
    if (bytes === 0 || this.#socket.destroyed) return
    const onSent = () => {
      for (const onPieceSent of onSents) onPieceSent()
    }
    const result = this.#handle.writev(null, chunks, true)
    if (result === 0) onSent()
    else this.#goesOn(result, chunks, bytes, onSent)
  }

  #gather(chunks: Uint8Array[], bytes: Uint8Array | string, onSent: (() => void) | undefined): void {
    chunks.push(typeof bytes === 'string' ? latin1Bytes(bytes) : bytes)
    if (onSent) this.#onCorkedSent.push(onSent)
    this.pendingBytes += bytes.length
  }

  /** A write that the system did not take at once, or not at all. @param held until it is over */
  #goesOn(result: number | WriteRequest, held: unknown, bytes: number, onSent: (() => void) | undefined): void {
    const error = typeof result === 'number' ? result : writeState!.lastError()
    if (typeof result === 'number' || error !== 0) return this.#fail(error)
    this.pendingBytes += bytes
    result.buffer = held
    result.oncomplete = (status) => {
      this.pendingBytes -= bytes
      if (status < 0) return this.#fail(status)
      onSent?.()
      if (this.pendingBytes === 0) this.#onDrain()
    }
    const { writeStatus: early } = result
    if (early !== null) result.oncomplete(early)
  }

  #fail(status: number): void {
    if (this.#socket.destroyed) return
    const code = getSystemErrorName(status)
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }))
  }
}

/** Of Node's TCP handle. Each returns 0, an error's number, or a request when the system did not take all at once. */
interface WritableHandle {
  writeBuffer(request: null, bytes: Uint8Array): number | WriteRequest
  writeLatin1String(request: null, text: string): number | WriteRequest
  writev(request: null, chunks: readonly Uint8Array[], areBuffers: true): number | WriteRequest
}

interface WriteRequest {
  /** Keeps the memory that is being written. */
  buffer: unknown
  oncomplete: (status: number) => void
  /** Of one that was over before it could be told. */
  readonly writeStatus: number | null
}

function isWritable(handle: WritableHandle): boolean {
  const { writeBuffer, writeLatin1String, writev } = handle
  return [writeBuffer, writeLatin1String, writev].every((method) => typeof method === 'function')
}

/**
 * What Node's own stream code reads of a write that goes on. Handles take `null` for a request only in a Node that has
 * `kLastWriteErr`; before, they ended the process for it.
 */
const writeState = findWriteState()

function findWriteState(): { lastError(): number } | undefined {
  const { binding } = process as unknown as { binding?: (name: string) => Record<string, unknown> }
  try {
    const { streamBaseState: state, kLastWriteErr: at } = binding?.('stream_wrap') ?? {}
    return state instanceof Int32Array && typeof at === 'number' ? { lastError: () => state[at]! } : undefined
  } catch {
    // Node's permission model keeps it from us.
    return undefined
  }
}

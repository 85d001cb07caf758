import type { Socket } from 'node:net'
import type { SocketWriter } from './socket-writer.ts'

/** Through the Writable that a socket is: for TLS, and where Node has no other way. */
export class WritableWriter implements SocketWriter {
  readonly #socket: Socket
  readonly #onDrain: () => void

  constructor(socket: Socket, onDrain: () => void) {
    this.#socket = socket
    this.#onDrain = onDrain
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Uint8Array | string, onSent?: () => void): void {
    const done = onSent ? (error?: Error | null) => this.#written(error, onSent) : this.#onWritten
    if (typeof bytes === 'string') this.#socket.write(bytes, 'latin1', done)
    else this.#socket.write(bytes, done)
  }

  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  readonly #onWritten = (error?: Error | null): void => this.#written(error)

  #written(error: Error | null | undefined, onSent?: () => void): void {
    if (error) return
    onSent?.()
    if (this.pendingBytes === 0) this.#onDrain()
  }
}

import type { Socket } from 'node:net'
import { DirectWriter } from './direct-writer.ts'
import { WritableWriter } from './writable-writer.ts'

/** How bytes get into a socket. What fails ends the socket, which tells of it as it tells of any other error. */
export interface SocketWriter {
  /** Bytes that the system has not taken. */
  readonly pendingBytes: number
  /**
   * @param bytes lent until they are sent; text is bytes in Latin-1
   * @param onSent they are: called at once when the system takes them at once
   */
  write(bytes: Uint8Array | string, onSent?: () => void): void
  /** What is written until `uncork` leaves in one system call. */
  cork(): void
  uncork(): void
}

export interface SocketWriterInit {
  /** What had to wait is in the system's hands, all of it. */
  readonly onDrain: () => void
  /** Whether to go past Node's Writable where this Node can. @default true */
  readonly direct?: boolean
}

/** The writer of an open socket. */
export function socketWriterOf(socket: Socket, { onDrain, direct = true }: SocketWriterInit): SocketWriter {
  return (direct && DirectWriter.of(socket, onDrain)) || new WritableWriter(socket, onDrain)
}

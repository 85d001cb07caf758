import { firstMismatch, type StreamHeader } from '../byte-pattern.ts'
import { type Connection, describe, type Ending, type EndPoint } from '../ledger.ts'
import type { Fail } from './fail.ts'

/**
 * No byte is lost, swapped, doubled or leaked to another stream, and no end is made up: who sees the other's half-close
 * has had every byte, and a connection that ended in order delivered exactly what was sent.
 */
export class ByteChecker {
  readonly #fail: Fail

  constructor(fail: Fail) {
    this.#fail = fail
  }

  /** @returns the connection that may go on */
  arrival(header: StreamHeader | undefined, connection: Connection | undefined): boolean {
    const broken =
      (!header && 'a server was sent bytes that no client sent first') ||
      (!connection && `a server was sent connection ${header!.connection}, which nobody opened`) ||
      (connection && connection.key !== header!.key && `${describe(connection)} arrived with another's key`) ||
      (connection?.server && `${describe(connection)} arrived at two servers`)
    if (broken) this.#fail('bytes', broken)
    return !broken
  }

  bytes(
    connection: Connection,
    reader: EndPoint,
    writer: EndPoint | undefined,
    chunk: { readonly key: number; readonly bytes: Uint8Array },
  ): void {
    const where = `${describe(connection)} at ${reader.place.name}`
    const mismatch = firstMismatch(chunk.key, reader.received, chunk.bytes)
    if (mismatch >= 0) this.#fail('bytes', `${where}: byte ${mismatch} is not the one that was sent`)
    reader.received += chunk.bytes.length
    const sent = writer?.sent ?? 0
    if (reader.received > sent) this.#fail('bytes', `${where}: ${reader.received} bytes came, ${sent} were sent`)
  }

  peerEnd(connection: Connection, reader: EndPoint, writer: EndPoint | undefined): void {
    if (writer?.ended && reader.received === writer.sent) return
    const truth = writer ? `had sent ${writer.sent} bytes and ${writer.ended ? 'ended' : 'not ended'}` : 'never was'
    const where = `${describe(connection)} at ${reader.place.name}`
    this.#fail('bytes', `${where}: an end after ${reader.received} bytes, while the peer ${truth}`)
  }

  ending(connection: Connection, end: EndPoint, ending: Ending): void {
    const inOrder = ending !== 'in order' || (end.ended && end.peerEnded)
    if (!inOrder) this.#fail('bytes', `${describe(connection)} closed in order before both ends had ended`)
    if (end.ending) this.#fail('bytes', `${describe(connection)} closed twice: ${end.ending}, then ${ending}`)
  }
}

import type { CodedError } from '@ambient-lab/std'
import type { StreamHeader } from './byte-pattern.ts'
import type { Connection, Ending, EndPoint } from './ledger.ts'

/** Whom the simulated programs tell what they see, at the moment they see it. */
export interface Observer {
  /** A header reached a server. Undefined: nobody sent it. */
  onArrival(header: StreamHeader | undefined, end: EndPoint): Connection | undefined
  onStood(connection: Connection): void
  /** @param writer the other end; undefined when nobody arrived there yet */
  onBytes(connection: Connection, reader: EndPoint, writer: EndPoint | undefined, key: number, bytes: Uint8Array): void
  onPeerEnd(connection: Connection, reader: EndPoint, writer: EndPoint | undefined): void
  onEnding(connection: Connection, end: EndPoint, ending: Ending, reason: CodedError | undefined): void
  /** The control plane will not have this agent. */
  onRefused(node: string, reason: CodedError): void
}

import type { ByteStream } from '../stream/byte-stream.ts'

/** What lies between two nodes. A transport asks it once per connection; on an unimpaired link it is in nobody's way. */
export interface LinkConditions {
  /**
   * Resolves when a dial would have had its answers: the round trips of TCP, TLS and upgrade.
   * @throws the signal's reason
   */
  passHandshake(fromNode: string, toNode: string, signal: AbortSignal): Promise<void>
  /** The carrier as `fromNode` sees it: what it writes reaches `toNode` as the link lets it. */
  shape(carrier: ByteStream, fromNode: string, toNode: string): ByteStream
}

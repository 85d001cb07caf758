import type { CodedError } from '@ambient-lab/std'

/**
 * One ordered, reliable, message-preserving connection between an agent and the control plane, seen from one end.
 * Implementations: `ws-link.ts` (WebSocket over mTLS) and `memory-link.ts` (simulation).
 */
export interface MessageLink<Incoming, Outgoing> {
  /**
   * Queues one message. After the link closed it is dropped in silence: `onClose` has told.
   * @returns false when more is queued than the high mark; the sender then coalesces until `onDrain`
   */
  send(message: Outgoing): boolean
  /** Handlers are set once, before the first message can arrive (links start paused until then). */
  start(handlers: LinkHandlers<Incoming>): void
  /** Closes after what is queued was sent. Closing twice is fine. */
  close(reason: CodedError): void
}

export interface LinkHandlers<Incoming> {
  /** @param bytes of the message as it travelled */
  onMessage(message: Incoming, bytes: number): void
  /** Once, whatever ended the link. */
  onClose(reason: CodedError): void
  onDrain?(): void
}

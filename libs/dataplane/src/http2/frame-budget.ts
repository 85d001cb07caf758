import type { Clock } from '@ambient-lab/std'
import { TokenBucket } from '../token-bucket.ts'
import { ConnectionFault } from './errors.ts'
import { EMPTY_FRAMES, REPLIES_PER_DATA, RESETS } from './limits.ts'

/** How much a peer may ask for that costs it nothing (RFC 9113 §10.5): what is cheap to send and work to take. */
export class FrameBudget {
  readonly #resets: TokenBucket
  readonly #emptyFrames: TokenBucket
  #repliesDue = 0

  constructor(components: { readonly clock: Clock }) {
    this.#resets = new TokenBucket(components, RESETS)
    this.#emptyFrames = new TokenBucket(components, EMPTY_FRAMES)
  }

  /** A frame that is no use by itself. @throws ConnectionFault FRAME_FLOOD */
  spend(): void {
    if (!this.#emptyFrames.take()) throw new ConnectionFault('FRAME_FLOOD')
  }

  /** A stream was opened, and given up. @throws ConnectionFault RESET_FLOOD */
  spendReset(): void {
    if (!this.#resets.take()) throw new ConnectionFault('RESET_FLOOD')
  }

  /**
   * A frame that whoever reads our DATA sends.
   * @param dataFrames that we sent since the last one
   * @throws ConnectionFault FRAME_FLOOD
   */
  spendReply(dataFrames: number): void {
    this.#repliesDue += REPLIES_PER_DATA * dataFrames
    if (this.#repliesDue > 0) this.#repliesDue -= 1
    else this.spend()
  }
}

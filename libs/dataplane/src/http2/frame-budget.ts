import type { Clock } from '@ambient-lab/std'
import { TokenBucket } from '../token-bucket.ts'
import { ConnectionFault } from './errors.ts'
import { EMPTY_FRAMES, RESETS, WINDOW_UPDATES_PER_DATA } from './limits.ts'

/** How much a peer may ask for that costs it nothing (RFC 9113 §10.5): what is cheap to send and work to take. */
export class FrameBudget {
  readonly #resets: TokenBucket
  readonly #emptyFrames: TokenBucket
  #windowUpdatesDue = 0

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

  /** @param dataFrames that we sent since the last one: whoever reads says so @throws ConnectionFault FRAME_FLOOD */
  spendWindowUpdate(dataFrames: number): void {
    this.#windowUpdatesDue += WINDOW_UPDATES_PER_DATA * dataFrames
    if (this.#windowUpdatesDue > 0) this.#windowUpdatesDue -= 1
    else this.spend()
  }
}

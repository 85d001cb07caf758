import type { Clock } from '@ambient-lab/std'
import type { TokenBucket as TokenBucketConfig } from '@ambient-lab/xds'

/** Tokens that come back at fixed instants, as Envoy's local rate limit fills its buckets. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #config: TokenBucketConfig
  #tokens: number
  #filledMs: number

  constructor(components: { readonly clock: Clock }, config: TokenBucketConfig) {
    this.#clock = components.clock
    this.#config = config
    this.#tokens = config.maxTokens
    this.#filledMs = components.clock.monotonic()
  }

  get limit(): number {
    return this.#config.maxTokens
  }

  get remaining(): number {
    this.#fill()
    return this.#tokens
  }

  /** Until the next fill, whole seconds, rounded up. */
  get resetSeconds(): number {
    this.#fill()
    return Math.ceil((this.#filledMs + this.#config.fillIntervalMs - this.#clock.monotonic()) / 1000)
  }

  /** @returns false when there is none */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #fill(): void {
    const { maxTokens, tokensPerFill, fillIntervalMs } = this.#config
    const fills = Math.floor((this.#clock.monotonic() - this.#filledMs) / fillIntervalMs)
    if (fills <= 0) return
    this.#filledMs += fills * fillIntervalMs
    this.#tokens = Math.min(maxTokens, this.#tokens + fills * tokensPerFill)
  }
}

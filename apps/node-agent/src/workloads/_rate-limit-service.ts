import type { Clock } from '@ambient-lab/std'
import type { Descriptor, Limit, MetLimit, RateLimitConfig } from './_rate-limit-config.ts'
import { RateLimitStats } from './_rate-limit-stats.ts'
import { RateLimitWindows } from './_rate-limit-windows.ts'

/** `envoy.service.ratelimit.v3.RateLimitRequest`. */
export interface RateLimitRequest {
  readonly domain: string
  readonly descriptors: readonly Descriptor[]
  /** Of descriptors without their own. @default 1, and zero is the default */
  readonly hitsAddend: number
}

/** `RateLimitResponse`, as far as it is told. */
export interface RateLimitResponse {
  readonly isOverLimit: boolean
  /** One for each descriptor. */
  readonly statuses: readonly DescriptorStatus[]
  readonly responseHeaders: readonly (readonly [name: string, value: string])[]
}

export interface DescriptorStatus {
  readonly isOverLimit: boolean
  readonly remaining: number
  /** Absent where no limit counts, or none is set. */
  readonly limit?: Limit & Required<Pick<Limit, 'unit'>>
  readonly secondsUntilReset?: number
}

export interface RateLimitSettings {
  /** Counts, and never refuses. */
  readonly shadowMode: boolean
  /** Names of the headers that say limit, remaining and reset of the tightest limit; absent: none are sent. */
  readonly headerNames?: readonly [limit: string, remaining: string, reset: string]
}

const UINT32_MAX = 0xffff_ffff
const UNLIMITED: DescriptorStatus = { isOverLimit: false, remaining: UINT32_MAX }
const NO_LIMIT: DescriptorStatus = { isOverLimit: false, remaining: 0 }

/** Envoy's reference rate limit service: which limits a request meets, and whether one is used up. */
export class RateLimitService {
  readonly stats = new RateLimitStats()
  readonly #settings: RateLimitSettings
  readonly #windows: RateLimitWindows
  #config: RateLimitConfig | undefined

  constructor(components: { readonly clock: Clock }, settings: RateLimitSettings) {
    this.#settings = settings
    this.#windows = new RateLimitWindows(components)
  }

  get config(): RateLimitConfig | undefined {
    return this.#config
  }

  /** What was counted stays counted. */
  use(config: RateLimitConfig): void {
    this.#config = config
    this.stats.count('config_load_success')
  }

  /** @returns the answer, or why there is none */
  shouldRateLimit(request: RateLimitRequest): RateLimitResponse | string {
    const problem = this.#problem(request)
    if (problem !== undefined) {
      this.stats.count('call.should_rate_limit.service_error')
      return problem
    }
    const limits = this.#limitsOf(request)
    const statuses = request.descriptors.map((descriptor, index) => {
      const met = limits[index]
      if (met === undefined) return NO_LIMIT
      return met.limit.unit === undefined ? UNLIMITED : this.#status(request, descriptor, met)
    })
    return { ...this.#verdict(statuses), statuses }
  }

  #problem({ domain, descriptors }: RateLimitRequest): string | undefined {
    if (domain === '') return 'rate limit domain must not be empty'
    if (descriptors.length === 0) return 'rate limit descriptor list must not be empty'
    return this.#config ? undefined : 'no rate limit configuration loaded'
  }

  /** For each descriptor the limit that it meets, unless another one that the request meets replaces it. */
  #limitsOf({ domain, descriptors }: RateLimitRequest): readonly (MetLimit | undefined)[] {
    const config = this.#config!
    if (!config.hasDomain(domain)) this.stats.count(`rate_limit.${domain}.domain_not_found`)
    const limits = descriptors.map((descriptor) => config.limitOf(domain, descriptor))
    const replaced = new Set(limits.flatMap((met) => met?.limit.replaces ?? []))
    return limits.map((met) => (met?.limit.unit !== undefined && replaced.has(met.limit.name) ? undefined : met))
  }

  #status({ domain, hitsAddend }: RateLimitRequest, descriptor: Descriptor, met: MetLimit): DescriptorStatus {
    const limit = met.limit as DescriptorStatus['limit'] & {}
    const hits = descriptor.hitsAddend ?? Math.max(1, hitsAddend)
    const values = descriptor.entries.map(({ key }, index) => [key, met.countedValues[index]])
    const count = this.#windows.add(JSON.stringify([domain, values]), limit.unit, hits)
    this.stats.countHits(met, count, hits)
    const isOver = count > limit.requestsPerUnit
    return {
      isOverLimit: isOver && !limit.shadowMode,
      remaining: isOver ? 0 : limit.requestsPerUnit - count,
      limit,
      secondsUntilReset: this.#windows.secondsUntilReset(limit.unit),
    }
  }

  #verdict(statuses: readonly DescriptorStatus[]): Pick<RateLimitResponse, 'isOverLimit' | 'responseHeaders'> {
    const quotas = statuses.filter(({ limit }) => limit?.quotaMode)
    const refusing = statuses.filter(({ isOverLimit, limit }) => isOverLimit && !limit!.quotaMode)
    const isSpent = quotas.length > 0 && quotas.every(({ isOverLimit }) => isOverLimit)
    const isOver = refusing.length > 0 || isSpent
    if (isOver && this.#settings.shadowMode) this.stats.count('global_shadow_mode')
    return {
      isOverLimit: isOver && !this.#settings.shadowMode,
      responseHeaders: this.#headers(refusing.at(-1) ?? tightest(statuses)),
    }
  }

  #headers(status: DescriptorStatus | undefined): RateLimitResponse['responseHeaders'] {
    const { headerNames } = this.#settings
    if (!headerNames || !status) return []
    const values = [status.limit!.requestsPerUnit, status.remaining, status.secondsUntilReset!]
    return headerNames.map((name, index) => [name, String(values[index])])
  }
}

function tightest(statuses: readonly DescriptorStatus[]): DescriptorStatus | undefined {
  const limited = statuses.filter(({ limit }) => limit)
  return limited.reduce<DescriptorStatus | undefined>(
    (least, status) => (least === undefined || status.remaining < least.remaining ? status : least),
    undefined,
  )
}

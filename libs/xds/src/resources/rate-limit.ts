/** A service that counts for all replicas, asked by Envoy's rate limit protocol with what routes' actions make. */
export interface RateLimitService {
  readonly domain: string
  /** Name of the Cluster that it is asked at. */
  readonly cluster: string
  /** The authority that it is asked as. */
  readonly authority: string
  /** @default 20, Envoy's */
  readonly timeoutMs: number
  /** Whether requests are refused when it does not answer in time. */
  readonly failureModeDeny: boolean
  /** `DRAFT_VERSION_03`: x-ratelimit-limit, -remaining, -reset. */
  readonly rateLimitHeaders: boolean
}

/** Connections that may begin in a time. */
export interface ConnectionRate {
  readonly connections: number
  readonly perMs: number
}

/** What a source ztunnel does for the connections to one service besides what Istio's does. */
export interface L4Traffic {
  /** `namespace/name` of the policy, for people. */
  readonly policy: string
  /** Open at once, for each ztunnel. */
  readonly connectionsMax?: number
  /** For one endpoint. */
  readonly connectTimeoutMs?: number
  /** Further endpoints to try. */
  readonly connectRetries?: number
  readonly outlier?: {
    readonly consecutiveFailures: number
    readonly baseEjectionMs: number
    readonly ejectionPercentMax: number
  }
  readonly localRate?: ConnectionRate
  /** Of all ztunnels together. */
  readonly globalRate?: ConnectionRate
  readonly idleTimeoutMs?: number
  readonly durationMaxMs?: number
}

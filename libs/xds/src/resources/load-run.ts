/** A load that a node generates from one of its workloads. Resource name: `namespace/name`. */
export interface LoadRun {
  readonly name: string
  readonly namespace: string
  /** uid of the workload that sends. */
  readonly source: string
  /** What the workload dials: `http://productpage:9080/productpage`, or `tcp://tcp-echo:9000`. */
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Requests (or connections, for tcp) per second, intended; open loop. */
  readonly ratePerSecond: number
  /** Absent: until the Load is deleted. */
  readonly durationMs?: number
  readonly warmupMs: number
  /** For tcp: bytes sent and expected back on each connection. */
  readonly bytes: number
  /** Requests in flight at most; beyond it the run is "late" and says so. */
  readonly inFlightMax: number
}

/** What a run has done so far; cumulative. */
export interface LoadProgress {
  readonly name: string
  readonly namespace: string
  readonly state: 'running' | 'finished' | 'failed'
  readonly startedAtMs: number
  readonly intended: number
  readonly sent: number
  /** Sent noticeably after their intended start, because this machine or the in-flight bound held them back. */
  readonly late: number
  readonly completed: number
  readonly failed: number
  /** By status code, or by error code for those that got no answer. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Latency from the intended start, ms. */
  readonly latencyMs: LatencySummary
  /** Latency from the actual start, ms: what a closed-loop tool would have claimed. */
  readonly uncorrectedMs: LatencySummary
  /** HDR histogram of the corrected latency in µs, compressed, base64 (HdrHistogram V2). */
  readonly histogram: string
  readonly message: string
}

export interface LatencySummary {
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly mean: number
}

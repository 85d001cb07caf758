/** What a run of requests came to. */
export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds, of a client that waits for each answer unless a rate was given. */
  readonly p50: number
  readonly p99: number
  /** Answers that are no 2xx, and connections that broke. */
  readonly failures: number
}

export interface LoadInit {
  readonly folder: string
  readonly port: number
  readonly core: number | undefined
  readonly connections: number
  readonly seconds: number
  /** Of a POST; without bytes it is a GET. */
  readonly body: Buffer
  /** `name: value` */
  readonly headers: readonly string[]
}

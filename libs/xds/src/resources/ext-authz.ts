/** A service that is asked about requests or connections that CUSTOM policies match. */
export interface ExtAuthz {
  /** As policies name it. */
  readonly provider: string
  readonly protocol: 'http' | 'grpc'
  /** Name of the Cluster that it is asked at. */
  readonly cluster: string
  /** The authority that it is asked as. */
  readonly authority: string
  readonly timeoutMs: number
  /** Whether a request passes when it cannot be asked. */
  readonly failOpen: boolean
  /** Status of the refusal when it cannot be asked. */
  readonly statusOnError: number
  /** Whether the route is chosen again by what it wrote into the request. */
  readonly clearRouteCache: boolean
  /** Absent: the body is not sent along. */
  readonly requestBody?: {
    readonly maxBytes: number
    /** A longer body is sent in part; else it is refused with 413. */
    readonly allowPartial: boolean
    readonly packAsBytes: boolean
  }
  /** Of `http` only. */
  readonly http?: ExtAuthzHttp
}

/** Names of headers are lower case and may begin or end with `*`. */
export interface ExtAuthzHttp {
  /** Put before the path of the request. */
  readonly pathPrefix: string
  /** Headers of the request that are sent along, besides authority, method, path and content length. */
  readonly requestHeaders: readonly string[]
  readonly additionalHeaders: readonly { readonly name: string; readonly value: string }[]
  /** Headers of the answer that go on: with the request, with the refusal, with the response to an allowed request. */
  readonly upstreamOnAllow: readonly string[]
  /** None: all of them. Else `www-authenticate` and `location` besides. */
  readonly downstreamOnDeny: readonly string[]
  readonly downstreamOnAllow: readonly string[]
}

import type { Clock, Random } from '@ambient-lab/std'
import type { L7Proxy, Route } from '@ambient-lab/xds'
import type { RouteFilter } from './filter.ts'
import type { HttpStream } from './http-stream.ts'
import type { LocalReply } from './local-replies.ts'
import type { RequestRecorder } from './request-recorder.ts'
import type { CompiledHeaderMutation } from './router/header-mutation.ts'
import type { LocationOf } from './router/redirect.ts'
import type { RetryConditions } from './router/retries.ts'
import type { RewritePath } from './router/rewrite.ts'
import type { RouteFinder } from './router/route-table.ts'
import type { Clusters } from './upstream/clusters.ts'

/** A route with everything that can be worked out before a request comes. */
export interface CompiledRoute {
  readonly source: Route
  readonly filters: readonly RouteFilter[]
  readonly requestHeaders: CompiledHeaderMutation | undefined
  readonly responseHeaders: CompiledHeaderMutation | undefined
  readonly backends: readonly CompiledBackend[]
  readonly totalWeight: number
  readonly rewritePath: RewritePath | undefined
  readonly locationOf: LocationOf | undefined
  readonly retryConditions: RetryConditions | undefined
}

export interface CompiledBackend {
  readonly cluster: string | undefined
  readonly weight: number
  readonly requestHeaders: CompiledHeaderMutation | undefined
  readonly responseHeaders: CompiledHeaderMutation | undefined
}

/** What the requests of one destination run on; made anew when its configuration changes. */
export interface HttpRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly clusters: Clusters
  readonly recorder: RequestRecorder
  readonly proxy: L7Proxy
  readonly routes: RouteFinder<CompiledRoute>
  /** The filters of requests that no route matches. */
  readonly routeless: readonly RouteFilter[]
  /** Told of each request that the proxy refuses by itself; absent where nobody keeps that. */
  readonly onRefused?: (stream: HttpStream, reply: LocalReply) => void
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Random } from '@ambient-lab/std'
import type { Store } from '../store/store.ts'
import type { User } from './authentication.ts'
import type { ApiServerHooks } from './hooks.ts'
import type { ResourceRoute } from './router.ts'
import type { ServedKind, ServedKinds } from './served-kinds.ts'
import type { Rendering } from './table/representation.ts'
import type { WatchRegistry } from './watch-stream.ts'

/** What handlers work with; one for the whole server. */
export interface Services {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly kinds: ServedKinds
  readonly hooks: ApiServerHooks
  readonly watches: WatchRegistry
}

/** One request for a resource that exists, by someone who may make it. */
export interface ResourceRequest {
  readonly http: IncomingMessage
  readonly response: ServerResponse
  readonly route: ResourceRoute
  readonly kind: ServedKind
  readonly query: URLSearchParams
  readonly user: User
  readonly rendering: Rendering
  /** Aborted when the caller goes away before the answer. */
  readonly signal: AbortSignal
  /** Collected on the way; each becomes a `Warning:` header. */
  readonly warnings: string[]
}

/** An answer, or `streamed` when the handler has taken over the response. */
export type Reply = { readonly status: number; readonly body: string; readonly contentType?: string } | 'streamed'

export type Handler = (request: ResourceRequest, services: Services) => Promise<Reply> | Reply

/** `namespace/name`, of the one object that the path names. */
export function keyOf({ route }: Pick<ResourceRequest, 'route'>): string {
  return route.namespace === undefined ? route.name! : `${route.namespace}/${route.name}`
}

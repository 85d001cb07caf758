import type { PeerView } from './messages.ts'
import type { L7Proxy } from './resources/l7-proxy.ts'

/** Which of the requests that L7 proxies remember: those with an id, or all. */
export interface RequestsQuery {
  /** `x-request-id` */
  readonly id?: string
}

export interface RequestsAnswer {
  readonly requests: readonly RequestView[]
}

/** A request as the proxy that answered it or sent it on remembers it. Its headers stay there: they may be secrets. */
export interface RequestView {
  /** `x-request-id`: the client's word, or the first proxy's; the hops of one call may share it. */
  readonly id: string
  /** Of the replica that remembers it: its pod, and its own number for the request. */
  readonly uid: string
  readonly serial: number
  readonly node: string
  /** `namespace/name` of the Gateway, or of a sidecar's pod. */
  readonly proxy: string
  readonly kind: L7Proxy['kind']
  readonly atMs: number
  /** Who asked. Without a workload when nobody of the mesh did. */
  readonly source: PeerView & { readonly uid: string }
  readonly destination: {
    /** What the client dialled: `ip:port`. */
    readonly address: string
    /** Host name of the service at that address; empty when there is none. */
    readonly service: string
  }
  readonly method: string
  readonly authority: string
  /** Without its query, which may hold a token. */
  readonly path: string
  readonly route: string
  /** `refused`: by this proxy itself, whatever for. `open`: not answered yet. */
  readonly state: 'open' | 'answered' | 'refused'
  /** 0 while there is none. */
  readonly status: number
  readonly responseFlags: string
  /** Envoy's `response_code_details`. */
  readonly details: string
  /** Of a refusal: what to look at next. */
  readonly hint: string
  /** Of a refusal: a review goes through the decision that was behind it. */
  readonly isReviewed: boolean
}

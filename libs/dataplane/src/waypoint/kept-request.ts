import { formatSpiffeId } from '@ambient-lab/pki'
import { type RequestView as FactsView, type JwtPayload, RequestFacts, withoutQuery } from '@ambient-lab/policy'
import type { RequestView } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import { type HeaderChange, undoHeaders } from './header-change.ts'
import type { HttpStream } from './http-stream.ts'
import { LOCAL_REPLIES, type LocalReply } from './local-replies.ts'
import { normalizePath } from './path-normalization.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'

/** The head of a request as its client sent it, path normalized. */
export interface RequestHead {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly scheme: string
  readonly headers: HeaderMap
}

/** Where a request is remembered. */
export interface KeptAt {
  /** uid of the proxy's pod. */
  readonly uid: string
  readonly node: string
  /** `namespace/name` of the Gateway, or of a sidecar's pod. */
  readonly proxy: string
  readonly kind: RequestView['kind']
}

/** Nobody but the authorizer knows what it would say now: a review takes what it said. */
const BY_AUTHORIZER: readonly LocalReply[] = [LOCAL_REPLIES.EXT_AUTHZ_DENIED, LOCAL_REPLIES.EXT_AUTHZ_ERROR]

/** What a review comes to as well; all others are answers of limits, faults and of the network. */
const REVIEWED: readonly LocalReply[] = [
  ...BY_AUTHORIZER,
  LOCAL_REPLIES.RBAC_DENIED,
  LOCAL_REPLIES.JWT_DENIED,
  LOCAL_REPLIES.ROUTE_NOT_FOUND,
  LOCAL_REPLIES.CLUSTER_NOT_FOUND,
  LOCAL_REPLIES.INVALID_BACKEND,
  LOCAL_REPLIES.NO_HEALTHY_UPSTREAM,
]

/**
 * One request that is remembered with all that its answer depended on, so that it can be asked about and other policies
 * tried on it. What a route makes of header lines is seen by a request that was refused behind it; its path, host and
 * method are the client's.
 */
export class KeptRequest {
  /** Of the replica. */
  readonly serial: number
  readonly atMs: number
  /** Resource name of the filter chain. */
  readonly chain: string
  /** As policies saw it. */
  readonly facts: RequestFacts
  readonly #copy: RequestCopy
  readonly #peer: DownstreamPeer
  readonly #head: Omit<RequestHead, 'headers'>
  readonly #tokenChange: HeaderChange | undefined
  readonly #id: string
  readonly #route: string
  #reply: LocalReply | undefined
  #end: Pick<RequestRecord, 'status' | 'flags' | 'details'> | undefined

  constructor(serial: number, chain: string, stream: HttpStream) {
    const { peer, record, request, runtime, tokenChange } = stream
    this.serial = serial
    this.atMs = record.startedAtMs
    this.chain = chain
    this.#copy = new RequestCopy(stream)
    this.facts = new RequestFacts(peer.facts, this.#copy)
    this.#peer = peer
    const path = normalizePath(record.path, runtime.proxy.pathNormalization) ?? record.path
    this.#head = { method: request.method, authority: record.authority, path, scheme: request.scheme }
    this.#tokenChange = tokenChange
    this.#id = record.requestId
    this.#route = record.routeName
  }

  get id(): string {
    return this.#id
  }

  /** The proxy answers by itself. */
  refused(reply: LocalReply): void {
    this.#reply = reply
  }

  ended({ status, flags, details }: RequestRecord): void {
    this.#end = { status, flags, details }
  }

  /** What an external authorizer brought about; undefined: it let the request pass, or was not asked. */
  get authorizerRefusal(): { readonly status: number; readonly reason: string } | undefined {
    if (!this.#reply || !BY_AUTHORIZER.includes(this.#reply)) return undefined
    return { status: this.#end?.status ?? this.#reply.status, reason: this.#reply.hint }
  }

  /** Before its token was looked at. */
  get head(): RequestHead {
    const headers = this.#copy.headers.clone()
    if (this.#tokenChange) undoHeaders(headers, this.#tokenChange)
    return { ...this.#head, headers }
  }

  /** What may be told: no header but its id, no query. */
  view(at: KeptAt): RequestView {
    const { workload, address, identity, local, service } = this.#peer
    const isOwn = workload?.uid === at.uid && at.kind !== 'sidecar'
    const { status = 0, flags = '-', details = '' } = this.#end ?? {}
    return {
      ...at,
      id: this.#id,
      serial: this.serial,
      atMs: this.atMs,
      source: {
        // To the mesh a gateway speaks for its clients; who they are it does not know.
        uid: isOwn ? '' : (workload?.uid ?? ''),
        workload: isOwn ? '' : (workload?.name ?? ''),
        namespace: isOwn ? '' : (workload?.namespace ?? ''),
        address: address.address,
        identity: identity ? formatSpiffeId(identity) : '',
      },
      destination: { address: formatAddress(local), service: service?.hostname ?? '' },
      method: this.#head.method,
      authority: this.#head.authority,
      path: withoutQuery(this.#head.path),
      route: this.#route,
      state: this.#end === undefined ? 'open' : this.#reply ? 'refused' : 'answered',
      status,
      responseFlags: flags,
      details,
      hint: this.#reply?.hint ?? '',
      isReviewed: this.#reply !== undefined && REVIEWED.includes(this.#reply),
    }
  }
}

/** What policies saw: filters behind them change the request. */
class RequestCopy implements FactsView {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly jwt: JwtPayload | undefined
  readonly headers: HeaderMap

  constructor({ request, jwt }: HttpStream) {
    this.method = request.method
    this.authority = request.authority
    this.path = request.path
    this.jwt = jwt
    this.headers = request.headers.clone()
  }

  header(name: string): string | undefined {
    return this.headers.getJoined(name)
  }
}

import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { KindDefinition, Resource } from '@ambient-lab/api'
import type { StoreType } from '../store/store.ts'
import type { User } from './authentication.ts'

/** A path below one object, `/pods/log`: the store's type, then the subresource. */
export type SubresourceName = `${StoreType}/${string}`

/** `GET /cacerts`: one exact path outside the resource tree. */
export type PlainRouteName = `${'GET' | 'POST'} /${string}`

/** Everything that the rest of the control plane plugs into the API server. All of it is optional. */
export interface ApiServerHooks {
  /** Kinds that are computed on request; their definition says `virtual`. */
  readonly virtual?: Readonly<Record<StoreType, VirtualResource>>
  /** Kinds that can only be created; the server stores nothing of them. */
  readonly createOnly?: Readonly<Record<StoreType, CreateHandler>>
  readonly subresources?: Readonly<Record<SubresourceName, SubresourceHandler>>
  /** Answered before authorization, for anonymous callers too: `GET /cacerts`, `POST /join`. */
  readonly plainRoutes?: Readonly<Record<PlainRouteName, PlainHandler>>
  /** WebSocket upgrades by path, for authenticated callers only: `/discovery`. */
  readonly upgrades?: Readonly<Record<`/${string}`, UpgradeHandler>>
  /** Run in this order, inside the write. */
  readonly admission?: readonly AdmissionHook[]
  /** Findings that kubectl prints as `Warning: …` after a create, an update or an apply. */
  readonly warnings?: (object: Resource, kind: KindDefinition) => readonly string[]
  /**
   * Types whose objects are first marked with a deletionTimestamp and removed by someone else, who writes to the
   * store: answers the grace in seconds that an object gets when the caller names none; 0 removes it at once.
   */
  readonly graceSeconds?: Readonly<Record<StoreType, (object: Resource) => number>>
  /** Further conditions of /readyz: the name of what is not ready yet, or undefined. */
  readonly notReady?: () => string | undefined
}

export interface VirtualQuery {
  /** Undefined: all namespaces, or a kind of the whole cluster. */
  readonly namespace: string | undefined
  /** Set when a single object was asked for. */
  readonly name: string | undefined
  /** As the caller wrote them; the server filters the answer by them in any case. */
  readonly labelSelector: string
  readonly fieldSelector: string
  readonly user: User
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal
}

export interface VirtualList {
  readonly items: readonly Resource[]
  /** Annotations of the list object itself. */
  readonly annotations?: Readonly<Record<string, string>>
}

export interface VirtualResource {
  list(query: VirtualQuery): Promise<VirtualList>
}

export interface CreateRequest {
  /** Checked against the schema, with name, namespace, uid and creationTimestamp set. */
  readonly object: Resource
  readonly user: User
  readonly dryRun: boolean
}

/** Answers the object as the caller shall see it, `status` included. @throws StatusError */
export type CreateHandler = (request: CreateRequest) => Promise<Resource>

export interface SubresourceRequest {
  /** The object that the path names; it exists. */
  readonly object: Resource
  readonly query: URLSearchParams
  readonly user: User
  readonly signal: AbortSignal
}

/** Writes the whole answer itself. What it throws before the head is sent becomes a Status. */
export type SubresourceHandler = (
  request: SubresourceRequest,
  raw: { readonly request: IncomingMessage; readonly response: ServerResponse },
) => Promise<void>

export interface PlainRequest {
  readonly query: URLSearchParams
  /** The body's text, at most `bodyBytesMax`; empty for GET. */
  readonly body: string
  readonly user: User
  readonly remoteAddress: string
}

export interface PlainReply {
  readonly status: number
  readonly body: string
  /** @default 'application/json' */
  readonly contentType?: string
}

export type PlainHandler = (request: PlainRequest) => Promise<PlainReply>

/** The HTTP request of an upgrade with its peer, whose certificate is verified. The handler owns the socket. */
export interface UpgradeRequest {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  readonly user: User
  readonly peerCertificate: X509Certificate
}

export type UpgradeHandler = (upgrade: UpgradeRequest) => void

export interface AdmissionRequest {
  readonly operation: 'create' | 'update' | 'delete'
  readonly kind: KindDefinition
  readonly type: StoreType
  /** As it will be stored; the last state for `delete`. */
  readonly object: Resource
  readonly old: Resource | undefined
  readonly subresource: string | undefined
  readonly user: User
  readonly dryRun: boolean
}

export interface AdmissionResult {
  /** @default the object unchanged; ignored for `delete` */
  readonly object?: Resource
  readonly warnings?: readonly string[]
}

export interface AdmissionHook {
  readonly name: string
  /**
   * Changes or refuses one write. It runs synchronously at the moment the write is carried out: reads of the store
   * see every write before this one, so that a free address found here stays free.
   * @throws StatusError to refuse
   */
  admit(request: AdmissionRequest): AdmissionResult | undefined
}

import type { PathReview, PathReviewSpec, PathReviewStatus, PathReviewTarget, Pod, Service } from '@ambient-lab/api'
import { assert } from '@ambient-lab/std'
import type { Checkpoint, DiscoverySession, ReviewedRequest } from '@ambient-lab/xds'
import type { CreateHandler } from './api-server/index.ts'
import { badRequest, notFound } from './api-server/index.ts'
import type { Cluster } from './cluster.ts'
import { recallConnection, reviewConnection } from './connection-review.ts'
import type { MeshConfig } from './mesh-config.ts'
import { callerOf, pastOf, type RequestReviewComponents, recallRequest, reviewRequest } from './request-review.ts'
import { parsePlace, type ReviewStep, ReviewWalk, stepTo } from './review-walk.ts'
import { PODS, SERVICES } from './stored-kinds.ts'
import { podUid } from './translate/pod-workload.ts'
import { serviceHostname } from './translate/service-info.ts'

export interface PathReviewComponents {
  readonly cluster: Cluster
  readonly mesh: MeshConfig
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
}

/**
 * Answers PathReviews: asks each proxy on the way what it would decide, in the order in which a connection would meet
 * them. Decides nothing itself, so it cannot disagree with the data path.
 */
export class PathReviewService {
  readonly #components: RequestReviewComponents

  constructor(components: PathReviewComponents) {
    this.#components = { ...components, walk: new ReviewWalk(components.sessions) }
  }

  /** @throws StatusError when caller, target, request or a node on the way is unknown */
  readonly create: CreateHandler = async ({ object }) => {
    const review = object as PathReview
    const spec = review.spec!
    return { ...review, status: await this.#statusOf(spec) }
  }

  #statusOf(spec: PathReviewSpec): Promise<PathReviewStatus> {
    const { requestId, connectionId } = spec
    if (requestId !== undefined) return this.#ofRequest(requestId)
    return connectionId === undefined ? this.#ofPath(spec) : this.#ofConnection(connectionId, spec)
  }

  async #ofPath(spec: PathReviewSpec): Promise<PathReviewStatus> {
    const { source, target } = spec
    assert(source && target, 'the schema wants both where there is no requestId')
    const pod = this.#pod(source.namespace ?? 'default', source.name)
    const { host, port } = this.#dialled(target, source.namespace ?? 'default')
    const uid = podUid(pod.metadata.namespace ?? '', pod.metadata.name, this.#components.mesh.clusterId)
    const request = requestOf(spec, target, host, port)
    const first: ReviewStep = { node: pod.spec?.nodeName, query: { at: 'source', uid, host, port, request } }
    const checkpoints = await this.#components.walk.follow(first, (hop) => stepTo(hop, request))
    return statusOf(checkpoints, `${source.name} may reach ${target.host ?? target.name ?? ''}`)
  }

  async #ofConnection(id: string, spec: PathReviewSpec): Promise<PathReviewStatus> {
    const connection = await recallConnection(this.#components, id)
    const { source, destination } = connection
    const { host, port } = parsePlace(destination.address)
    const request = requestOf(spec, { host: destination.service || host }, host, port)
    const checkpoints = await reviewConnection(this.#components, connection, request)
    const caller = source.workload || source.address
    return statusOf(checkpoints, `${caller} may reach ${destination.service || destination.workload || host}`)
  }

  async #ofRequest(id: string): Promise<PathReviewStatus> {
    const request = await recallRequest(this.#components, id)
    const { checkpoints, movedTo } = await reviewRequest(this.#components, request)
    const { method, path, authority } = request
    const status = statusOf(checkpoints, `${method} ${path} of ${callerOf(request)} may reach ${authority}`)
    return { ...status, past: { ...pastOf(request, status), ...(movedTo !== undefined && { movedTo }) } }
  }

  #pod(namespace: string, name: string): Pod {
    const pod = this.#components.cluster.get(PODS, `${namespace}/${name}`)
    if (!pod) throw notFound({ group: '', resource: 'pods' }, name)
    return pod
  }

  #dialled(target: PathReviewTarget, callerNamespace: string): { readonly host: string; readonly port: number } {
    const { kind, name, host, port } = target
    const namespace = target.namespace ?? callerNamespace
    if (host !== undefined) {
      if (port === undefined) throw badRequest('spec.target.port: a host needs a port')
      return { host, port }
    }
    if (name === undefined) throw badRequest('spec.target: kind and name, or host and port')
    return kind === 'Pod' ? podTarget(this.#pod(namespace, name), port) : this.#serviceTarget(namespace, name, port)
  }

  #serviceTarget(namespace: string, name: string, port: number | undefined): { host: string; port: number } {
    const service: Service | undefined = this.#components.cluster.get(SERVICES, `${namespace}/${name}`)
    if (!service) throw notFound({ group: '', resource: 'services' }, name)
    const first = port ?? service.spec?.ports?.[0]?.port
    if (first === undefined) throw badRequest(`spec.target.port: service ${name} has no port`)
    return { host: serviceHostname(name, namespace, this.#components.mesh.clusterDomain), port: first }
  }
}

function podTarget(pod: Pod, port: number | undefined): { host: string; port: number } {
  const { podIP } = pod.status ?? {}
  const wanted = port ?? pod.spec?.containers?.flatMap(({ ports = [] }) => ports)[0]?.containerPort
  if (!podIP) throw badRequest(`spec.target: pod ${pod.metadata.name} has no address yet`)
  if (wanted === undefined) throw badRequest(`spec.target.port: pod ${pod.metadata.name} declares no port`)
  return { host: podIP, port: wanted }
}

/** As curl would send it. */
function requestOf(
  { request = {} }: PathReviewSpec,
  target: PathReviewTarget,
  host: string,
  port: number,
): ReviewedRequest {
  const { method = 'GET', path = '/', headers = {} } = request
  const named = target.host ?? target.name ?? host
  const authority = headers.host ?? (port === 80 ? named : `${named}:${port}`)
  return { method, path, authority, headers }
}

function statusOf(checkpoints: readonly Checkpoint[], allowedWords: string): PathReviewStatus {
  const refused = checkpoints.find(({ verdict }) => verdict === 'denied')
  if (!refused) return { allowed: true, summary: allowedWords, checkpoints }
  const { at, reason, responseFlags = '-', httpStatus, fix, also = [] } = refused
  return {
    allowed: false,
    summary: `refused at ${at}: ${reason}`,
    responseFlags,
    ...(httpStatus !== undefined && { httpStatus }),
    ...(fix && { fix }),
    ...(also.length > 0 && { also }),
    checkpoints,
  }
}

import type { PathReview, PathReviewSpec, PathReviewStatus, PathReviewTarget, Pod, Service } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type {
  Checkpoint,
  DiscoverySession,
  ReviewAnswer,
  ReviewedRequest,
  ReviewHop,
  ReviewQuery,
} from '@ambient-lab/xds'
import type { CreateHandler } from './api-server/index.ts'
import { badRequest, notFound, StatusError } from './api-server/index.ts'
import type { Cluster } from './cluster.ts'
import type { MeshConfig } from './mesh-config.ts'
import { PODS, SERVICES } from './stored-kinds.ts'
import { podUid } from './translate/pod-workload.ts'
import { serviceHostname } from './translate/service-info.ts'

export interface PathReviewComponents {
  readonly cluster: Cluster
  readonly mesh: MeshConfig
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
}

/** A way has at most: source, waypoint, destination. */
const HOPS_MAX = 3

/**
 * Answers PathReviews: asks each proxy on the way what it would decide, in the order in which a connection would meet
 * them. Decides nothing itself, so it cannot disagree with the data path.
 */
export class PathReviewService {
  readonly #components: PathReviewComponents

  constructor(components: PathReviewComponents) {
    this.#components = components
  }

  /** @throws StatusError when caller, target or a node on the way is unknown */
  readonly create: CreateHandler = async ({ object }) => {
    const review = object as PathReview
    const { source, target } = review.spec!
    const pod = this.#pod(source.namespace ?? 'default', source.name)
    const { host, port } = this.#dialled(target, source.namespace ?? 'default')
    const uid = podUid(pod.metadata.namespace ?? '', pod.metadata.name, this.#components.mesh.clusterId)
    const request = requestOf(review.spec!, host, port)
    const first: ReviewQuery = { at: 'source', uid, host, port, request }
    const checkpoints = await this.#follow(pod.spec?.nodeName, first, request)
    return { ...review, status: statusOf(checkpoints, review.spec!) }
  }

  async #follow(
    firstNode: string | undefined,
    first: ReviewQuery,
    request: ReviewedRequest,
  ): Promise<readonly Checkpoint[]> {
    const checkpoints: Checkpoint[] = []
    let node = firstNode
    let query: ReviewQuery | undefined = first
    for (let hop = 0; query && hop < HOPS_MAX; hop += 1) {
      const answer: ReviewAnswer = await this.#ask(node, query)
      checkpoints.push(...answer.checkpoints)
      node = answer.next?.node
      query = answer.next && queryOf(answer.next, request)
    }
    return checkpoints
  }

  async #ask(node: string | undefined, query: ReviewQuery): Promise<ReviewAnswer> {
    const session = node ? this.#components.sessions().get(node) : undefined
    if (!session) {
      const who = `${query.uid} ${node ? `is on node ${node}, whose agent is not connected` : 'has no node'}`
      throw new StatusError(503, 'ServiceUnavailable', `the way cannot be reviewed: ${who}`)
    }
    try {
      return await session.call('review', query)
    } catch (error) {
      if (!CodedError.is(error)) throw error
      throw new StatusError(503, 'ServiceUnavailable', `node ${node} does not answer: ${error.message}`)
    }
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

function queryOf({ kind, ...hop }: ReviewHop, request: ReviewedRequest): ReviewQuery {
  const { uid, protocol, authority, identity, sourceIp } = hop
  if (kind === 'waypoint') return { at: 'waypoint', uid, authority, identity, sourceIp, request }
  return { at: 'destination', uid, protocol, authority, identity, sourceIp, request }
}

/** As curl would send it. */
function requestOf({ target, request = {} }: PathReviewSpec, host: string, port: number): ReviewedRequest {
  const { method = 'GET', path = '/', headers = {} } = request
  const named = target.host ?? target.name ?? host
  const authority = headers.host ?? (port === 80 ? named : `${named}:${port}`)
  return { method, path, authority, headers }
}

function statusOf(checkpoints: readonly Checkpoint[], { source, target }: PathReviewSpec): PathReviewStatus {
  const refused = checkpoints.find(({ verdict }) => verdict === 'denied')
  const whom = target.host ?? target.name ?? ''
  if (!refused) return { allowed: true, summary: `${source.name} may reach ${whom}`, checkpoints }
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

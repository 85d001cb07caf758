import type { PathReviewPast, PathReviewStatus } from '@ambient-lab/api'
import type { Checkpoint, DiscoverySession, RequestView, ReviewHop } from '@ambient-lab/xds'
import { StatusError } from './api-server/index.ts'
import { askAgents } from './ask-agents.ts'
import type { Cluster } from './cluster.ts'
import { gatewayKeyOf } from './gateways/gateway-names.ts'
import type { MeshConfig } from './mesh-config.ts'
import { destinationStep, parsePlace, type ReviewStep, type ReviewWalk } from './review-walk.ts'
import { PODS } from './stored-kinds.ts'
import { podUid } from './translate/pod-workload.ts'

export interface RequestReviewComponents {
  readonly cluster: Cluster
  readonly mesh: MeshConfig
  readonly walk: ReviewWalk
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
}

/**
 * The request of an id, as a proxy remembers it. Hops of one call share their id, and clients may use one twice: the
 * refusal is what people ask about, and of several the last.
 * @throws StatusError when nobody remembers such a request
 */
export async function recallRequest(
  { sessions }: Pick<RequestReviewComponents, 'sessions'>,
  id: string,
): Promise<RequestView> {
  const { answers, silent } = await askAgents(sessions(), 'requests', { id })
  const found = answers.flatMap(({ requests }) => requests).sort((a, b) => a.atMs - b.atMs)
  const request = found.findLast(({ state }) => state === 'refused') ?? found.at(-1)
  if (request) return request
  const away = silent.length > 0 ? `; not asked, since they do not answer: node ${silent.join(', ')}` : ''
  throw new StatusError(
    404,
    'NotFound',
    `no waypoint, gateway or sidecar remembers a request ${id}: each keeps its last refusals, and a sample of what passed${away}`,
  )
}

/**
 * What would be decided now about a request that was sent: from its caller on, where that is still there, and by the
 * replica that remembers it, which alone knows its headers.
 */
export async function reviewRequest(
  components: RequestReviewComponents,
  request: RequestView,
): Promise<readonly Checkpoint[]> {
  const { walk } = components
  const kept: ReviewStep = { node: request.node, query: { at: 'request', uid: request.uid, serial: request.serial } }
  const { method, path, authority } = request
  return walk.follow(callerStep(components, request) ?? kept, (hop) => {
    // Of its headers the sidecar there is told nothing: only the replica that remembers them knows them.
    if (hop.kind === 'destination') return destinationStep(hop, { method, path, authority, headers: {} })
    if (proxyOf(components, hop) === request.proxy) return kept
    const message = `the request went through waypoint ${request.proxy}; now it would go through ${hop.uid}, which did not see it`
    throw new StatusError(409, 'Conflict', `${message}: ask by caller and target`)
  })
}

/** Undefined where the way of the mesh begins at the proxy: a gateway's client, a gateway, a sidecar's, a pod that is gone. */
function callerStep({ cluster, mesh }: RequestReviewComponents, request: RequestView): ReviewStep | undefined {
  const { source, destination, kind } = request
  if (kind === 'sidecar') return undefined
  const pod = cluster.get(PODS, `${source.namespace}/${source.workload}`)
  if (!pod || source.uid !== podUid(source.namespace, source.workload, mesh.clusterId) || gatewayKeyOf(pod.metadata)) {
    return undefined
  }
  const { host, port } = parsePlace(destination.address)
  return { node: pod.spec?.nodeName, query: { at: 'source', uid: source.uid, host, port } }
}

/** `namespace/name` of the Gateway whose pod the hop leads to. */
function proxyOf({ cluster }: RequestReviewComponents, { uid }: ReviewHop): string | undefined {
  const [, key = ''] = uid.split('//Pod/')
  const pod = cluster.get(PODS, key)
  return pod && gatewayKeyOf(pod.metadata)
}

/** How it ended then, and whether it would end otherwise now. */
export function pastOf(
  request: RequestView,
  { allowed, httpStatus }: Pick<PathReviewStatus, 'allowed' | 'httpStatus'>,
): PathReviewPast {
  const { kind, proxy, node, atMs, method, authority, path, status, responseFlags, details, hint, isReviewed } = request
  return {
    at: new Date(atMs).toISOString(),
    by: `${kind} ${proxy} on ${node}`,
    source: callerOf(request),
    ...{ method, host: authority, path, responseFlags, details },
    ...(status !== 0 && { httpStatus: status }),
    // The review itself says it better.
    ...(hint !== '' && !isReviewed && { hint }),
    changed: isOtherwise(request, allowed, httpStatus),
  }
}

/** Pod of the mesh, or the address of somebody outside. */
export function callerOf({ source: { workload, namespace, address } }: RequestView): string {
  return workload ? `${workload}.${namespace}` : address
}

function isOtherwise({ state, isReviewed, status }: RequestView, allowed: boolean, now: number | undefined): boolean {
  if (state === 'answered') return !allowed
  if (state === 'open' || !isReviewed) return false
  // A gRPC client that was refused got a 200.
  return allowed || (now !== undefined && status >= 400 && status !== now)
}

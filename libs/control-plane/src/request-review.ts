import type { PathReviewPast, PathReviewStatus } from '@ambient-lab/api'
import type { Checkpoint, DiscoverySession, RequestView, ReviewHop } from '@ambient-lab/xds'
import type { Cluster } from './cluster.ts'
import { gatewayKeyOf } from './gateways/gateway-names.ts'
import type { MeshConfig } from './mesh-config.ts'
import { recall } from './recall.ts'
import { destinationStep, parsePlace, type ReviewStep, type ReviewWalk, stepTo } from './review-walk.ts'
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
export function recallRequest(
  { sessions }: Pick<RequestReviewComponents, 'sessions'>,
  id: string,
): Promise<RequestView> {
  return recall(
    sessions(),
    ['requests', { id }],
    (answers) => {
      const found = answers.flatMap(({ requests }) => requests).sort((a, b) => a.atMs - b.atMs)
      return found.findLast(({ state }) => state === 'refused') ?? found.at(-1)
    },
    `no waypoint, gateway or sidecar remembers a request ${id}: each keeps its last refusals and a sample of what passed, for as long as it runs; ask by caller and target: ambient why POD TARGET`,
  )
}

/**
 * What would be decided now about a request that was sent: from its caller on, where that is still there, and by the
 * replica that remembers it, which alone knows its headers. Where the way leads through another waypoint by now, the one
 * that saw the request serves the service no more: `movedTo` is asked, without headers.
 */
export async function reviewRequest(
  components: RequestReviewComponents,
  request: RequestView,
): Promise<{ readonly checkpoints: readonly Checkpoint[]; readonly movedTo?: string }> {
  const { walk } = components
  const kept: ReviewStep = { node: request.node, query: { at: 'request', uid: request.uid, serial: request.serial } }
  const { method, path, authority } = request
  let movedTo: string | undefined
  const checkpoints = await walk.follow(callerStep(components, request) ?? kept, (hop) => {
    // Of its headers the sidecar there is told nothing: only the replica that remembers them knows them.
    if (hop.kind === 'destination') return destinationStep(hop, { method, path, authority, headers: {} })
    const proxy = proxyOf(components, hop)
    if (proxy === request.proxy) return kept
    movedTo = proxy ?? hop.uid
    return stepTo(hop, { method, path, authority, headers: {} })
  })
  return { checkpoints, ...(movedTo !== undefined && { movedTo }) }
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

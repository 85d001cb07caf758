import type { Checkpoint, ConnectionView, DiscoverySession, ReviewedRequest } from '@ambient-lab/xds'
import type { MeshConfig } from './mesh-config.ts'
import { recall } from './recall.ts'
import { parsePlace, type ReviewStep, type ReviewWalk, stepTo } from './review-walk.ts'
import { podUid } from './translate/pod-workload.ts'

export interface ConnectionReviewComponents {
  readonly mesh: MeshConfig
  readonly walk: ReviewWalk
  /** Of every node whose agent is connected now. */
  readonly sessions: () => ReadonlyMap<string, DiscoverySession>
}

/**
 * The connection of an id, as the ztunnel that is nearest to its caller knows it: both halves have its trace id, and the
 * source's knows what was dialled.
 * @throws StatusError when nobody knows such a connection
 */
export function recallConnection(
  { sessions }: Pick<ConnectionReviewComponents, 'sessions'>,
  id: string,
): Promise<ConnectionView> {
  return recall(
    sessions(),
    ['traffic', { edgesOnly: false }],
    (answers) => {
      const views = answers.flatMap(({ connections }) => connections)
      const named = views.find((view) => view.id === id)
      return views.find(({ traceId, direction }) => traceId === named?.traceId && direction === 'outbound') ?? named
    },
    `there is no connection ${id}: ztunnels know those that stand or ended lately`,
  )
}

/**
 * What would be decided now about a connection that was made: from its source on, or, of one that a waypoint or somebody
 * outside the mesh made, by the ztunnel of its destination.
 * @param request what a waypoint on the way is asked about, since connections say nothing of requests
 */
export function reviewConnection(
  { mesh, walk }: ConnectionReviewComponents,
  connection: ConnectionView,
  request: ReviewedRequest,
): Promise<readonly Checkpoint[]> {
  const { direction, node, source, destination, protocol } = connection
  const uid = (peer: { readonly namespace: string; readonly workload: string }) =>
    podUid(peer.namespace, peer.workload, mesh.clusterId)
  const first: ReviewStep =
    direction === 'outbound'
      ? { node, query: { at: 'source', uid: uid(source), ...parsePlace(destination.address) } }
      : {
          node,
          query: {
            ...{ at: 'destination', uid: uid(destination), protocol, authority: destination.address },
            ...{ identity: source.identity, sourceIp: parsePlace(source.address).host },
          },
        }
  return walk.follow(first, (hop) => stepTo(hop, request))
}

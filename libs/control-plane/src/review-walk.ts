import { CodedError } from '@ambient-lab/std'
import type {
  Checkpoint,
  DiscoverySession,
  ReviewAnswer,
  ReviewedRequest,
  ReviewHop,
  ReviewQuery,
} from '@ambient-lab/xds'
import { StatusError } from './api-server/index.ts'

/** A question to one node's agent. */
export interface ReviewStep {
  readonly node: string | undefined
  readonly query: ReviewQuery
}

/** A way has at most: source, waypoint, destination. */
const HOPS_MAX = 3

/** Asks each proxy on the way what it would decide, in the order in which a connection would meet them. */
export class ReviewWalk {
  readonly #sessions: () => ReadonlyMap<string, DiscoverySession>

  /** @param sessions of every node whose agent is connected now */
  constructor(sessions: () => ReadonlyMap<string, DiscoverySession>) {
    this.#sessions = sessions
  }

  /** @throws StatusError when a node on the way does not answer */
  async follow(first: ReviewStep, stepTo: (hop: ReviewHop) => ReviewStep): Promise<readonly Checkpoint[]> {
    const checkpoints: Checkpoint[] = []
    let step: ReviewStep | undefined = first
    for (let hop = 0; step && hop < HOPS_MAX; hop += 1) {
      const answer: ReviewAnswer = await this.#ask(step)
      checkpoints.push(...answer.checkpoints)
      step = answer.next && stepTo(answer.next)
    }
    return checkpoints
  }

  async #ask({ node, query }: ReviewStep): Promise<ReviewAnswer> {
    const session = node ? this.#sessions().get(node) : undefined
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
}

/** To the ztunnel of the workload that is reached, or to its sidecar. @param request what a sidecar is asked about */
export function destinationStep(hop: ReviewHop, request?: ReviewedRequest): ReviewStep {
  const { node, uid, protocol, authority, identity, sourceIp } = hop
  const query = {
    at: 'destination',
    uid,
    protocol,
    authority,
    identity,
    sourceIp,
    ...(request && { request }),
  } as const
  return { node, query }
}

/** To whoever the hop leads to. @param request what an L7 proxy is asked about */
export function stepTo(hop: ReviewHop, request: ReviewedRequest): ReviewStep {
  if (hop.kind === 'destination') return destinationStep(hop, request)
  const { node, uid, authority, identity, sourceIp } = hop
  return { node, query: { at: 'waypoint', uid, authority, identity, sourceIp, request } }
}

/** `10.96.0.5:80`, `[fd00::5]:80` */
export function parsePlace(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

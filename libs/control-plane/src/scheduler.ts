import { matchesEvery } from '@ambient-lab/api'

export interface SchedulingRequest {
  /** The only node that will do, when the pod names one. */
  readonly nodeName?: string
  readonly nodeSelector: Readonly<Record<string, string>>
}

export interface CandidateNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** Ready, or expected to be soon: its agent is on its way. */
  readonly available: boolean
  /** Cordoned. */
  readonly unschedulable: boolean
  readonly pods: number
  readonly podsMax: number
  /** Pods of the same owner as the one to place. */
  readonly siblings: number
}

export type SchedulingDecision = { readonly node: string } | { readonly message: string }

/**
 * Chooses the node for one pod. Pure. Siblings are spread first, then the emptiest node wins, then the first by name,
 * so that the same cluster always gets the same placement.
 */
export function choosePlacement(request: SchedulingRequest, nodes: readonly CandidateNode[]): SchedulingDecision {
  const refusals = new Map<string, number>()
  const fitting = nodes.filter((node) => {
    const refusal = refusalOf(request, node)
    if (refusal) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1)
    return !refusal
  })
  const [best] = fitting.sort(compare)
  return best ? { node: best.name } : { message: refusalMessage(nodes.length, refusals) }
}

/** In Kubernetes' words, since people search for them. */
function refusalOf({ nodeName, nodeSelector }: SchedulingRequest, node: CandidateNode): string | undefined {
  if (nodeName !== undefined) return node.name === nodeName ? undefined : "node(s) didn't match the requested node name"
  if (node.unschedulable) return 'node(s) were unschedulable'
  if (!node.available) return 'node(s) were not ready'
  if (!matchesEvery(nodeSelector, node.labels)) return "node(s) didn't match Pod's node affinity/selector"
  return node.pods >= node.podsMax ? 'Too many pods' : undefined
}

function compare(a: CandidateNode, b: CandidateNode): number {
  return a.siblings - b.siblings || a.pods - b.pods || (a.name < b.name ? -1 : 1)
}

function refusalMessage(count: number, refusals: ReadonlyMap<string, number>): string {
  if (count === 0) return 'no nodes available to schedule pods'
  const parts = [...refusals].map(([reason, times]) => `${times} ${reason}`).sort()
  return `0/${count} nodes are available: ${parts.join(', ')}.`
}

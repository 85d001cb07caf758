import { getCondition, type Node, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { type NodeInventory, PODS_PER_NODE_MAX } from '../nodes.ts'
import { NODES } from '../stored-kinds.ts'
import { type Controller, itself } from './controller.ts'

/** Gives each node a range of pod addresses, and the condition of one whose agent has not come yet. */
export class NodeController implements Controller {
  readonly name = 'node'
  readonly watches = { [NODES]: itself }
  readonly #cluster: Cluster
  readonly #inventory: NodeInventory

  constructor(components: { cluster: Cluster; inventory: NodeInventory }) {
    this.#cluster = components.cluster
    this.#inventory = components.inventory
  }

  async reconcile(keys: readonly string[]): Promise<void> {
    const given = new Set<string>()
    const writes = keys.map((key) => {
      const node = this.#cluster.get(NODES, key)
      if (!node || (node.spec?.podCIDR && getCondition(node, 'Ready'))) return undefined
      const podCIDR = node.spec?.podCIDR || this.#inventory.freePodCidr(given)
      if (podCIDR) given.add(podCIDR)
      return this.#cluster.update(NODES, key, (current) => prepared(current, podCIDR, this.#cluster))
    })
    await Promise.all(writes)
  }
}

function prepared(node: Node, podCIDR: string | undefined, { clock }: Cluster): Node {
  const neverJoined = {
    type: 'Ready',
    status: 'False',
    reason: 'NeverJoined',
    message: 'no agent of this name has joined yet',
  } as const
  const conditions = getCondition(node, 'Ready')
    ? node.status!.conditions!
    : setCondition(node.status?.conditions ?? [], neverJoined, clock)
  return {
    ...node,
    spec: { ...node.spec, ...(podCIDR && { podCIDR }) },
    status: { ...node.status, conditions, allocatable: { pods: String(PODS_PER_NODE_MAX) } },
  }
}

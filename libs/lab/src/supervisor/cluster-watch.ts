import type { Fault, GroupVersionResource, Node, Resource } from '@ambient-lab/api'
import type { CodedError } from '@ambient-lab/std'
import type { ApiClient } from '../client/api-client.ts'

const NODES: GroupVersionResource = { group: '', version: 'v1', resource: 'nodes' }
const FAULTS: GroupVersionResource = { group: 'ambient.lab', version: 'v1', resource: 'faults' }
const RESTARTED_AT = 'ambient.lab/restartedAt'

/** What the objects of the API ask of a supervisor. Each is told once per change, and all again after a gap. */
export interface ClusterOrders {
  /** The node exists and belongs to this machine. */
  nodeWanted(name: string): void
  nodeUnwanted(name: string): void
  /** Its `ambient.lab/restartedAt` changed while we watched. */
  nodeRestart(name: string): void
  /** Exactly these nodes are killed by faults now. */
  nodesKilled(names: ReadonlySet<string>): void
  /** The API went (with the error), or is back (with none). */
  apiState(error: CodedError | undefined): void
}

export interface ClusterWatchInit {
  readonly client: ApiClient
  /** Host name of this machine. */
  readonly machine: string
  /** Whether nodes that name no machine are ours: they run where the control plane runs. */
  readonly hasControlPlane: boolean
  readonly orders: ClusterOrders
  readonly signal: AbortSignal
}

/** Follows Nodes and Faults until the signal. @throws what cannot heal: credentials refused */
export async function watchCluster(init: ClusterWatchInit): Promise<void> {
  // Faults once the nodes are listed: they are about nodes, and the second connection resumes the first one's TLS session.
  const listed = Promise.withResolvers<void>()
  await Promise.all([watchNodes(init, listed.resolve), listed.promise.then(() => watchFaults(init))])
}

async function watchNodes(init: ClusterWatchInit, onListed: () => void): Promise<void> {
  const { client, machine, hasControlPlane, orders, signal } = init
  const restartedAt = new Map<string, string | undefined>()
  const onState = (error: CodedError | undefined) => orders.apiState(error)
  for await (const event of client.watch<Node>(NODES, { signal, onState })) {
    if (event.type === 'SYNCED') {
      onListed()
      continue
    }
    const { name, annotations } = event.object.metadata
    const owner = event.object.spec?.machine
    if (owner === undefined ? !hasControlPlane : owner !== machine) continue
    if (event.type === 'DELETED' || event.object.metadata.deletionTimestamp) {
      if (restartedAt.delete(name)) orders.nodeUnwanted(name)
      continue
    }
    const stamp = annotations?.[RESTARTED_AT]
    if (!restartedAt.has(name)) orders.nodeWanted(name)
    else if (restartedAt.get(name) !== stamp) orders.nodeRestart(name)
    restartedAt.set(name, stamp)
  }
}

async function watchFaults({ client, orders, signal }: ClusterWatchInit): Promise<void> {
  const killing = new Map<string, string>()
  let synced = false
  for await (const event of client.watch<Fault>(FAULTS, { signal })) {
    if (event.type === 'SYNCED') synced = true
    else {
      const node = event.type === 'DELETED' ? undefined : killedNode(event.object)
      if (node === undefined) killing.delete(event.object.metadata.name)
      else killing.set(event.object.metadata.name, node)
    }
    if (synced) orders.nodesKilled(new Set(killing.values()))
  }
}

function killedNode({ spec, status, metadata }: Fault & Resource): string | undefined {
  if (metadata.deletionTimestamp || spec?.type !== 'node.kill' || status?.phase !== 'Active') return undefined
  return spec.node
}

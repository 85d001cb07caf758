import type { Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { PODS } from '../lab/bench-lab.ts'
import { Probe } from './probe.ts'
import { GATEWAY_LABEL, NAMESPACE, NODES, routePath, serviceName } from './world.ts'

/** More than it takes by chance: each connection goes to any of the replicas. */
const CONNECTIONS = 24

type Capture = { readonly host: string; readonly port: number }

/**
 * A connection through each replica of the waypoint to one service. A connection stays with the replica that a ztunnel
 * drew for it; which one that is its access log tells.
 */
export async function probesOf(client: ApiClient, capture: Capture, service: number): Promise<readonly Probe[]> {
  const probes = await Promise.all(Array.from({ length: CONNECTIONS }, () => Probe.open(capture, serviceName(service))))
  // Of its own each time: the logs still have those of earlier connections.
  const mark = `mark-${service}-${Math.trunc(performance.now())}`
  await Promise.all(probes.map((probe, index) => probe.ask(`${routePath(service)}/${mark}-${index}`)))
  const logs = await waypointLogs(client)
  const chosen = logs.map((log) => probes.find((_, index) => log.includes(`/${mark}-${index} `)))
  for (const probe of probes) if (!chosen.includes(probe)) probe.close()
  if (chosen.includes(undefined)) throw new Error(`no connection to s${service} through one of the replicas`)
  return chosen as Probe[]
}

/** The replicas of the waypoint. */
export async function waypointPods(client: ApiClient): Promise<readonly Pod[]> {
  const { items } = await client.list<Pod>(PODS, { namespace: NAMESPACE, labelSelector: GATEWAY_LABEL })
  return items
}

async function waypointLogs(client: ApiClient): Promise<string[]> {
  const pods = await waypointPods(client)
  const nodes = new Set(pods.map(({ spec }) => spec?.nodeName))
  if (pods.length !== NODES.length || nodes.size !== NODES.length) throw new Error('the replicas are not one a node')
  return Promise.all(
    pods.map(({ metadata }) => client.text(`/api/v1/namespaces/${NAMESPACE}/pods/${metadata.name}/log`)),
  )
}

import type { Pod } from '@ambient-lab/api'
import { isProxy } from './enforcement.ts'
import { isReady } from './pods.ts'
import { type ProbeResult, probe } from './probe.ts'

export type LinkProbe = ProbeResult & { readonly label: string }

/**
 * Through the mesh, from a captured workload of one node to a workload of the other. Measured at the second connection:
 * the first may have to open the tunnel.
 * @returns undefined where a side has no such workload
 */
export async function probeNodes(pods: readonly Pod[], from: string, to: string): Promise<LinkProbe | undefined> {
  const on = (node: string) => pods.filter((pod) => pod.spec?.nodeName === node && isReady(pod))
  const capture = on(from).find(({ status }) => status?.ambientLab?.capture)?.status?.ambientLab?.capture
  // A proxy's ports are its own, and nobody's to reach through the mesh.
  const served = on(to).filter((pod) => !isProxy(pod))
  const target = served.find(({ status }) => status?.podIP && Object.keys(status.ambientLab?.ports ?? {}).length > 0)
  if (!capture || !target) return undefined
  const port = Number(Object.keys(target.status!.ambientLab!.ports!)[0])
  const destination = { host: target.status!.podIP!, port }
  await probe(capture, destination)
  return { label: `${from} to ${to}`, ...(await probe(capture, destination)) }
}

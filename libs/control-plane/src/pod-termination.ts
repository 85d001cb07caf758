import { isConditionTrue, objectKey, type Pod } from '@ambient-lab/api'
import type { Cluster } from './cluster.ts'
import { NODES, PODS } from './stored-kinds.ts'

/**
 * How long a pod is shown as terminating before it goes: its peers stop choosing it meanwhile, so that no connection is
 * sent to a pod that is being stopped. Ten times what a push to all nodes takes.
 */
export const DEREGISTER_MS = 100

/** Whether somebody is there for whom the grace is good: a pod that runs on a node which is reached. */
export function deservesGrace(cluster: Cluster, pod: Pod): boolean {
  const node = pod.spec?.nodeName && cluster.get(NODES, pod.spec.nodeName)
  return Boolean(node && isConditionTrue(node, 'Ready') && isConditionTrue(pod, 'Ready'))
}

/** Marks a pod as terminating; the pod lifecycle controller removes it. Without anyone to wait for it goes at once. */
export async function terminatePod(cluster: Cluster, pod: Pod): Promise<void> {
  const key = objectKey(pod.metadata)
  if (!deservesGrace(cluster, pod)) return cluster.remove(PODS, key, pod.metadata.uid)
  const deletionTimestamp = cluster.now()
  await cluster.update(
    PODS,
    key,
    (current) =>
      current.metadata.deletionTimestamp
        ? current
        : { ...current, metadata: { ...current.metadata, deletionTimestamp, deletionGracePeriodSeconds: 1 } },
    pod.metadata.uid,
  )
}

import type { Pod, Service } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import { PODS, SERVICES } from './resource-types.ts'

/** Types that stand for pods, by every name people type; the rest of the kinds have no pods. */
const POD = ['', 'pod', 'pods', 'po', 'wl', 'workload', 'workloads']
const DEPLOYMENT = ['deploy', 'deployment', 'deployments']
const SERVICE = ['svc', 'service', 'services']

/**
 * The pods that `deploy/x`, `svc/x`, `pod/x`, or the bare name of a pod or deployment stands for, ready ones first.
 * One request, two for a service.
 * @throws CodedError NOT_FOUND, USAGE
 */
export async function podsOf(
  client: ApiClient,
  namespace: string,
  target: string,
  signal?: AbortSignal,
): Promise<Pod[]> {
  const slash = target.indexOf('/')
  const type = target.slice(0, Math.max(0, slash)).toLowerCase()
  const name = target.slice(slash + 1)
  if (![...POD, ...DEPLOYMENT, ...SERVICE].includes(type)) {
    throw new CodedError('USAGE', `${target}: "${type}" has no pods`, {
      next: `deploy/${name}, pod/${name} or svc/${name}`,
    })
  }
  const labelSelector = SERVICE.includes(type) ? await serviceSelector(client, namespace, name, signal) : undefined
  const { items } = await client.list<Pod>(PODS, { namespace, labelSelector, signal })
  const pods = labelSelector !== undefined ? items : items.filter((pod) => isMeant(pod, type, name))
  if (pods.length === 0) throw notFound(target, namespace, items)
  return [...pods].sort(
    (a, b) => Number(isReady(b)) - Number(isReady(a)) || (a.metadata.name < b.metadata.name ? -1 : 1),
  )
}

/** The first ready pod. @throws CodedError NOT_FOUND, WORKLOAD_NOT_RUNNING with its reason */
export async function readyPodOf(
  client: ApiClient,
  namespace: string,
  target: string,
  signal?: AbortSignal,
): Promise<Pod> {
  const [pod] = await podsOf(client, namespace, target, signal)
  if (pod && isReady(pod)) return pod
  const name = pod?.metadata.name ?? target
  throw new CodedError('WORKLOAD_NOT_RUNNING', `${name} is not running: ${notReadyReason(pod)}`, {
    next: `ambient describe pod/${name} -n ${namespace}`,
  })
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

export function notReadyReason(pod: Pod | undefined): string {
  const status = pod?.status
  const waiting = status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting
  const condition = status?.conditions?.find(({ type, status: holds }) => type === 'PodScheduled' && holds === 'False')
  const words = [waiting?.reason, waiting?.message, status?.reason, status?.message, condition?.message]
  return words.filter(Boolean).join(': ') || `phase ${status?.phase ?? 'unknown'}`
}

/** The deployment a pod belongs to, by its replica set's name less the hash. */
export function deploymentOf(pod: Pod): string | undefined {
  const owner = pod.metadata.ownerReferences?.find(({ kind, controller }) => kind === 'ReplicaSet' && controller)
  return owner?.name.replace(/-[^-]+$/, '')
}

function isMeant(pod: Pod, type: string, name: string): boolean {
  if (DEPLOYMENT.includes(type)) return deploymentOf(pod) === name
  return pod.metadata.name === name || (type !== 'pod' && deploymentOf(pod) === name)
}

async function serviceSelector(
  client: ApiClient,
  namespace: string,
  name: string,
  signal?: AbortSignal,
): Promise<string> {
  const service = await client.get<Service>(SERVICES, { namespace, name, signal })
  const pairs = Object.entries(service.spec?.selector ?? {})
  if (pairs.length > 0) return pairs.map(([key, value]) => `${key}=${value}`).join(',')
  throw new CodedError('NOT_FOUND', `svc/${name} selects no pods`, { next: `ambient get svc/${name} -o yaml` })
}

function notFound(target: string, namespace: string, pods: readonly Pod[]): CodedError {
  const known = [...new Set(pods.map((pod) => deploymentOf(pod) ?? pod.metadata.name))].sort()
  const next =
    known.length > 0 ? `one of: ${known.join(', ')}` : `ambient get pods -A (namespace ${namespace} has none)`
  return new CodedError('NOT_FOUND', `nothing runs as ${target} in namespace ${namespace}`, { next })
}

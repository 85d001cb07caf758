import { controllerOf, isConditionTrue, type PeerAuthentication, type Pod, type Resource } from '@ambient-lab/api'
import type { Locality, PortMapping, Workload } from '@ambient-lab/xds'
import {
  effectiveMutualTls,
  isWorkloadLevel,
  type MutualTlsLevels,
  mutualTlsPolicies,
  oldest,
  type SidecarMutualTls,
  sidecarMutualTls,
} from './mutual-tls.ts'
import type { NamedPorts, ServiceInfo } from './service-info.ts'
import type { TranslationView } from './view.ts'

type Labels = Readonly<Record<string, string>>

export interface PodOwner {
  readonly name: string
  readonly type: Workload['workloadType']
}

const OWNER_TYPES: Readonly<Record<string, Workload['workloadType']>> = { Deployment: 'DEPLOYMENT', Job: 'JOB' }

/** What a person deployed: the Deployment behind a ReplicaSet whose name ends with the pod template's hash. */
export function podOwner(pod: Pod): PodOwner {
  const controller = controllerOf(pod)
  if (!controller) return { name: pod.metadata.name, type: 'POD' }
  const hash = pod.metadata.labels?.['pod-template-hash']
  if (controller.kind === 'ReplicaSet' && hash && controller.name.endsWith(`-${hash}`)) {
    return { name: controller.name.slice(0, -hash.length - 1), type: 'DEPLOYMENT' }
  }
  // A CronJob names its Jobs by the minute of their schedule.
  const cron = controller.kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(controller.name) : null
  if (cron) return { name: cron[1]!, type: 'CRONJOB' }
  return { name: controller.name, type: OWNER_TYPES[controller.kind] ?? 'POD' }
}

/** Istio's canonical service and revision, from the labels that people use. */
export function canonicalOf(labels: Labels, fallback: string): Pick<Workload, 'canonicalName' | 'canonicalRevision'> {
  return {
    canonicalName:
      labels['service.istio.io/canonical-name'] || labels['app.kubernetes.io/name'] || labels.app || fallback,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ||
      labels['app.kubernetes.io/version'] ||
      labels.version ||
      'latest',
  }
}

export function podHealth(pod: Pod): Workload['status'] {
  return isConditionTrue(pod, 'Ready') && !pod.metadata.deletionTimestamp ? 'HEALTHY' : 'UNHEALTHY'
}

/** All TCP; a name that several containers use means the first. */
export function podNamedPorts(pod: Pod): NamedPorts {
  const named = new Map<string, number>()
  for (const { ports = [] } of pod.spec?.containers ?? []) {
    for (const { name, containerPort, protocol } of ports) {
      if (name && protocol !== 'UDP' && !named.has(name)) named.set(name, containerPort)
    }
  }
  return named
}

/** The services of a workload with the ports that lead to it, sorted by key, so that the same state reads the same. */
export function servicesOf(
  infos: readonly ServiceInfo[],
  mappings: (info: ServiceInfo) => PortMapping[],
): Workload['services'] {
  const sorted = infos.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  return Object.fromEntries(sorted.map((info) => [info.key, mappings(info)]).filter(([, ports]) => ports!.length > 0))
}

/** Names of the policies that select a workload, those that PeerAuthentications stand for among them. */
export function attachedPolicies(namespace: string, labels: Labels, view: TranslationView): string[] {
  const effective = effectiveMutualTls(...mutualTlsLevels(namespace, labels, view))
  return [...view.policiesSelecting(namespace, labels), ...mutualTlsPolicies(effective, view.mesh.rootNamespace)]
}

/** What PeerAuthentications say of a workload with a sidecar. */
export function podMutualTls(namespace: string, labels: Labels, view: TranslationView): SidecarMutualTls {
  return sidecarMutualTls(mutualTlsLevels(namespace, labels, view))
}

function mutualTlsLevels(namespace: string, labels: Labels, view: TranslationView): MutualTlsLevels {
  const { rootNamespace } = view.mesh
  const mesh = oldest(view.peerAuthentications(rootNamespace).filter((policy) => !isWorkloadLevel(policy)))
  if (namespace === rootNamespace) return [mesh, undefined, undefined]
  const local = view.peerAuthentications(namespace)
  return [
    mesh,
    oldest(local.filter((policy) => !isWorkloadLevel(policy))),
    oldest(local.filter((policy) => isWorkloadLevel(policy) && selects(policy, labels))),
  ]
}

function selects(policy: PeerAuthentication, labels: Labels): boolean {
  return Object.entries(policy.spec?.selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
}

export function nodeLocality(node: Resource | undefined): { locality?: Locality } {
  const labels = node?.metadata.labels ?? {}
  const region = labels['topology.kubernetes.io/region'] ?? ''
  const zone = labels['topology.kubernetes.io/zone'] ?? ''
  const subzone = labels['topology.istio.io/subzone'] ?? ''
  return region || zone || subzone ? { locality: { region, zone, subzone } } : {}
}

/** `region/zone/subzone`, as entries write it. */
export function parseLocality(text: string | undefined): { locality?: Locality } {
  if (!text) return {}
  const [region = '', zone = '', subzone = ''] = text.split('/')
  return { locality: { region, zone, subzone } }
}

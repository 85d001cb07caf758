import { type AuthorizationPolicy, hasSidecar, type Pod, type Service } from '@ambient-lab/api'
import { ADDRESS_TYPE, type Workload } from '@ambient-lab/xds'
import type { StoreEvent } from '../store/store.ts'
import {
  AUTHORIZATION_POLICIES,
  ENDPOINT_SLICES,
  NAMESPACES,
  NODES,
  PEER_AUTHENTICATIONS,
  PODS,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
} from '../stored-kinds.ts'
import { policySelector } from './authorization.ts'
import {
  attachedToWaypoint,
  namedBySlice,
  ofNamespace,
  placedOn,
  sameNamespaceOrAll,
  selectedBy,
} from './dependencies.ts'
import { sidecarPlaintext } from './mutual-tls.ts'
import { gatewayOfNetwork, podNetwork, withNetworks } from './networks.ts'
import { podPortMappings } from './service-info.ts'
import { defineTranslation } from './translation.ts'
import { isCaptured, type TranslationView } from './view.ts'
import { applicationTunnelOf } from './waypoint.ts'
import { workloadWaypoint } from './waypoint-attachment.ts'
import {
  attachedPolicies,
  canonicalOf,
  nodeLocality,
  podHealth,
  podMutualTls,
  podNamedPorts,
  podOwner,
  servicesOf,
} from './workload-parts.ts'

const bySelector = selectedBy(PODS, (service) => (service as Service).spec?.selector)

function wasSelectorless({ object, previous }: StoreEvent): boolean {
  return [object, previous].some((state) => state && !Object.keys((state as Service).spec?.selector ?? {}).length)
}

/** A pod with an address, until it has finished, is a workload; one that is not ready is an unhealthy one. */
export default defineTranslation({
  name: 'pod-workload',
  kind: PODS,
  typeUrl: ADDRESS_TYPE,
  translate(pod, view) {
    const workload = podWorkload(pod, view)
    return workload ? [{ name: workload.uid, resource: { workload } }] : []
  },
  dependencies: withNetworks({
    [NAMESPACES]: ofNamespace,
    [NODES]: placedOn,
    ...attachedToWaypoint(PODS),
    [SERVICES]: (change, view) =>
      wasSelectorless(change)
        ? { namespace: change.object.metadata.namespace } // its slices may name any pod
        : bySelector(change, view),
    [SERVICE_ENTRIES]: selectedBy(PODS, (entry) => (entry as ServiceEntry).spec?.workloadSelector?.labels),
    [ENDPOINT_SLICES]: namedBySlice,
    [AUTHORIZATION_POLICIES]: selectedBy(PODS, (policy) => policySelector(policy as AuthorizationPolicy), {
      everywhereFromRoot: true,
    }),
    [PEER_AUTHENTICATIONS]: sameNamespaceOrAll,
  }),
})

const HBONE_PORT = '15008'
const PLAINTEXT_PORT = '15006'

/** Whether a pod has a node and an address, and has not finished. */
export function isPlaced({ spec, status }: Pod): boolean {
  const { podIP, phase } = status ?? {}
  return Boolean(spec?.nodeName) && podIP !== undefined && phase !== 'Succeeded' && phase !== 'Failed'
}

export function podUid(namespace: string, name: string, clusterId: string): string {
  return `${clusterId}//Pod/${namespace}/${name}`
}

function sidecarOf(pod: Pod, view: TranslationView): Pick<Workload, 'sidecar'> {
  if (!hasSidecar(pod)) return {}
  const { namespace = '', labels = {} } = pod.metadata
  const underlay = pod.status?.ambientLab?.ports?.[PLAINTEXT_PORT]
  const mutualTls = sidecarPlaintext(podMutualTls(namespace, labels, view))
  return { sidecar: { ...(underlay && { underlay }), ...mutualTls } }
}

export function podWorkload(pod: Pod, view: TranslationView): Workload | undefined {
  const { status, spec, metadata } = pod
  const { mesh } = view
  if (!status?.podIP || status.phase === 'Succeeded' || status.phase === 'Failed') return undefined
  const namespace = metadata.namespace ?? ''
  const labels = metadata.labels ?? {}
  const network = podNetwork(pod, view)
  const owner = podOwner(pod)
  const named = podNamedPorts(pod)
  const nativeTunnel = labels['networking.istio.io/tunnel'] === 'http' || hasSidecar(pod)
  const hbone = status.ambientLab?.ports?.[HBONE_PORT]
  const infos = [
    ...view.servicesSelecting(namespace, labels),
    ...view.servicesNamingPod(namespace, `${namespace}/${metadata.name}`),
  ]
  return {
    uid: podUid(namespace, metadata.name, mesh.clusterId),
    name: metadata.name,
    namespace,
    addresses: status.podIPs?.map(({ ip }) => ip) ?? [status.podIP],
    hostname: '',
    network,
    ...gatewayOfNetwork(network, view),
    ...workloadWaypoint(pod, view),
    ...applicationTunnelOf(view, metadata),
    tunnelProtocol: nativeTunnel || (!spec?.hostNetwork && isCaptured(pod)) ? 'HBONE' : 'NONE',
    trustDomain: mesh.trustDomain,
    serviceAccount: spec?.serviceAccountName ?? 'default',
    node: spec?.nodeName ?? '',
    clusterId: mesh.clusterId,
    ...nodeLocality(spec?.nodeName ? view.node(spec.nodeName) : undefined),
    ...canonicalOf(labels, owner.name),
    workloadType: owner.type,
    workloadName: owner.name,
    nativeTunnel,
    ...(nativeTunnel && hbone && { hbone }),
    ...sidecarOf(pod, view),
    authorizationPolicies: attachedPolicies(namespace, labels, view),
    status: podHealth(pod),
    services: servicesOf(infos, (info) => podPortMappings(info, named)),
    capacity: 1,
    networkMode: spec?.hostNetwork ? 'HOST_NETWORK' : 'STANDARD',
  }
}

import { isIP } from 'node:net'
import type { ObjectMeta } from '@ambient-lab/api'
import type { Workload } from '@ambient-lab/xds'
import type { WorkloadEntrySpec } from '../stored-kinds.ts'
import { gatewayOfNetwork, NETWORK_LABEL } from './networks.ts'
import { entryPortMappings, type ServiceInfo } from './service-info.ts'
import type { TranslationView } from './view.ts'
import { attachedPolicies, canonicalOf, parseLocality, servicesOf } from './workload-parts.ts'

export interface EntryEndpoint {
  readonly uid: string
  /** Of the WorkloadEntry, or of the ServiceEntry that the endpoint is written in. */
  readonly metadata: ObjectMeta
  readonly spec: WorkloadEntrySpec
  readonly services: readonly ServiceInfo[]
}

/** A workload that is no pod: it has an address of its own, or a name that DNS resolves. */
export function entryWorkload({ uid, metadata, spec, services }: EntryEndpoint, view: TranslationView): Workload {
  const { mesh } = view
  const namespace = metadata.namespace ?? ''
  const labels = { ...metadata.labels, ...spec.labels }
  const address = spec.address ?? ''
  const network = spec.network || labels[NETWORK_LABEL] || view.networks.own
  const named = new Map(Object.entries(spec.ports ?? {}))
  return {
    uid,
    name: metadata.name,
    namespace,
    addresses: isIP(address) ? [address] : [],
    hostname: isIP(address) ? '' : address,
    network,
    ...gatewayOfNetwork(network, view),
    tunnelProtocol: labels['networking.istio.io/tunnel'] === 'http' ? 'HBONE' : 'NONE',
    trustDomain: mesh.trustDomain,
    serviceAccount: spec.serviceAccount || 'default',
    node: '',
    clusterId: mesh.clusterId,
    ...parseLocality(spec.locality),
    ...canonicalOf(labels, metadata.name),
    workloadType: 'POD',
    workloadName: metadata.name,
    nativeTunnel: labels['networking.istio.io/tunnel'] === 'http',
    authorizationPolicies: attachedPolicies(namespace, labels, view),
    status: 'HEALTHY',
    services: servicesOf(services, (info) => entryPortMappings(info, named)),
    capacity: spec.weight || 1,
    networkMode: 'STANDARD',
  }
}

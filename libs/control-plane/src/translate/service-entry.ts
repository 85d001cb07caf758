import { isIP } from 'node:net'
import { ADDRESS_TYPE, type NetworkAddress, type Service, type Workload } from '@ambient-lab/xds'
import { NAMESPACES, SERVICE_ENTRIES, type ServiceEntry, type WorkloadEntrySpec } from '../stored-kinds.ts'
import { appProtocolOf } from './app-protocol.ts'
import { parseCidr } from './cidr.ts'
import { ofNamespace } from './dependencies.ts'
import { entryWorkload } from './entry-workload.ts'
import { entryLoadBalancing } from './load-balancing.ts'
import { serviceEntryInfos } from './service-info.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'
import { ingressUseWaypoint } from './waypoint-labels.ts'

/** One service for each host, one workload for each endpoint, or for each host that DNS has to resolve. */
export default defineTranslation({
  name: 'service-entry',
  kind: SERVICE_ENTRIES,
  typeUrl: ADDRESS_TYPE,
  translate(entry, view) {
    return [
      ...entryServices(entry, view).map((service) => ({
        name: `${service.namespace}/${service.hostname}`,
        resource: { service },
      })),
      ...serviceEntryWorkloads(entry, view).map((workload) => ({ name: workload.uid, resource: { workload } })),
    ]
  },
  dependencies: { [NAMESPACES]: ofNamespace },
})

export function entryServices(entry: ServiceEntry, view: TranslationView): Service[] {
  const { metadata, spec } = entry
  const namespace = metadata.namespace ?? ''
  const namespaceObject = view.namespace(namespace)
  const loadBalancing = entryLoadBalancing(entry, namespaceObject, spec?.resolution)
  return (spec?.hosts ?? []).map((hostname) => ({
    name: metadata.name,
    namespace,
    hostname,
    addresses: virtualAddresses(entry, hostname).flatMap((text) => toNetworkAddress(text, view.mesh.network) ?? []),
    ports: (spec?.ports ?? []).map(({ number, name, protocol, targetPort }) => ({
      servicePort: number,
      targetPort: targetPort ?? number,
      appProtocol: protocol ? appProtocolOf({ name: protocol }) : 'UNKNOWN',
      ...(name && { name }),
    })),
    subjectAltNames: spec?.subjectAltNames ?? [],
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: 'AUTOMATIC',
    canonical: false,
    ingressUseWaypoint: ingressUseWaypoint(metadata.labels, namespaceObject?.metadata.labels) ?? false,
    visibility: 'PUBLIC',
  }))
}

/** Its own addresses, else those allocated for the host: not for wildcards, nor where nothing is resolved. */
function virtualAddresses({ metadata, spec, status }: ServiceEntry, host: string): readonly string[] {
  if (spec?.addresses && spec.addresses.length > 0) return spec.addresses
  const optedOut = metadata.labels?.['networking.istio.io/enable-autoallocate-ip'] === 'false'
  const resolved = spec?.resolution !== undefined && spec.resolution !== 'NONE'
  if (optedOut || !resolved || host.startsWith('*')) return []
  return (status?.addresses ?? []).filter((allocated) => allocated.host === host).map(({ value }) => value)
}

/** `length` only where the address stands for more than itself. */
export function toNetworkAddress(text: string, network: string): NetworkAddress | undefined {
  const cidr = parseCidr(text)
  if (!cidr) return undefined
  const [address = '', length] = cidr.split('/')
  const whole = Number(length) === (isIP(address) === 4 ? 32 : 128)
  return whole ? { network, address } : { network, address, length: Number(length) }
}

export function serviceEntryWorkloads(entry: ServiceEntry, view: TranslationView): Workload[] {
  const { metadata, spec } = entry
  if (!spec || spec.workloadSelector) return []
  const infos = serviceEntryInfos(entry)
  const prefix = `${view.mesh.clusterId}/networking.istio.io/ServiceEntry/${metadata.namespace}/${metadata.name}`
  const toWorkload = (endpoint: WorkloadEntrySpec, services: typeof infos) =>
    entryWorkload({ uid: `${prefix}/${endpoint.address ?? ''}`, metadata, spec: endpoint, services }, view)
  const endpoints = spec.endpoints ?? []
  if (endpoints.length > 0) return endpoints.map((endpoint) => toWorkload(endpoint, infos))
  const byDns = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN'
  return byDns ? infos.map((info, index) => toWorkload({ address: spec.hosts![index]! }, [info])) : []
}

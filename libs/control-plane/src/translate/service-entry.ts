import { isIP } from 'node:net'
import { ingressUseWaypoint, type ObjectKey, objectKey, type Resource } from '@ambient-lab/api'
import { ADDRESS_TYPE, type NetworkAddress, type Service, type Workload } from '@ambient-lab/xds'
import { NAMESPACES, SERVICE_ENTRIES, type ServiceEntry, type WorkloadEntrySpec } from '../stored-kinds.ts'
import { appProtocolOf } from './app-protocol.ts'
import { parseCidr } from './cidr.ts'
import { attachedToWaypoint, ofNamespace } from './dependencies.ts'
import { entryVisibility } from './entry-visibility.ts'
import { entryWorkload } from './entry-workload.ts'
import { entryLoadBalancing } from './load-balancing.ts'
import { inAllNetworks, withNetworks } from './networks.ts'
import { serviceEntryInfos } from './service-info.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'
import { serviceWaypoint, waypointFields, workloadWaypoint } from './waypoint-attachment.ts'

/** One service for each host, one workload for each endpoint, or for each host that DNS has to resolve. */
export default defineTranslation({
  name: 'service-entry',
  kind: SERVICE_ENTRIES,
  typeUrl: ADDRESS_TYPE,
  translate(entry, view) {
    const standsForHost = ({ namespace, name, hostname }: Service) =>
      view.entriesOf(hostname).winners.get(namespace) === name
    return [
      ...entryServices(entry, view)
        .filter(standsForHost)
        .map((service) => ({
          name: `${service.namespace}/${service.hostname}`,
          resource: { service },
        })),
      ...serviceEntryWorkloads(entry, view).map((workload) => ({ name: workload.uid, resource: { workload } })),
    ]
  },
  dependencies: withNetworks({
    [NAMESPACES]: ofNamespace,
    // Those that name the same host: one of them may have come to stand for it, or ceased to.
    [SERVICE_ENTRIES]: ({ object, previous }, view) => ({ keys: rivalsOf([object, previous], view) }),
    ...attachedToWaypoint(SERVICE_ENTRIES),
  }),
})

function rivalsOf(states: readonly (Resource | undefined)[], view: TranslationView): ObjectKey[] {
  const hosts = new Set(states.flatMap((state) => (state as ServiceEntry | undefined)?.spec?.hosts ?? []))
  return [...hosts].flatMap((host) => [...view.entriesNaming(host)].map(({ metadata }) => objectKey(metadata)))
}

export function entryServices(entry: ServiceEntry, view: TranslationView): Service[] {
  const { metadata, spec } = entry
  const namespace = metadata.namespace ?? ''
  const namespaceObject = view.namespace(namespace)
  const loadBalancing = entryLoadBalancing(entry, namespaceObject, spec?.resolution)
  const visibility = entryVisibility(view.mesh.serviceEntryVisibility, namespaceObject)
  const attachment = serviceWaypoint(view, entry, visibility)
  return (spec?.hosts ?? []).map((hostname) => ({
    name: metadata.name,
    namespace,
    hostname,
    addresses: inAllNetworks(
      virtualAddresses(entry, hostname).flatMap((text) => toNetworkAddress(text, view.networks.own) ?? []),
      view,
    ),
    ports: (spec?.ports ?? []).map(({ number, name, protocol, targetPort }) => ({
      servicePort: number,
      targetPort: targetPort ?? number,
      appProtocol: protocol ? appProtocolOf({ name: protocol }) : 'UNKNOWN',
      ...(name && { name }),
    })),
    subjectAltNames: spec?.subjectAltNames ?? [],
    ...waypointFields(attachment),
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: 'AUTOMATIC',
    canonical: view.entriesOf(hostname).canonical === objectKey(metadata),
    ingressUseWaypoint: ingressUseWaypoint(metadata.labels, namespaceObject?.metadata.labels) ?? false,
    visibility,
  }))
}

/** Its own addresses, else those that were allocated for the host. */
function virtualAddresses(entry: ServiceEntry, host: string): readonly string[] {
  const { spec, status } = entry
  if (spec?.addresses && spec.addresses.length > 0) return spec.addresses
  if (!hostsToAllocate(entry).includes(host)) return []
  return (status?.addresses ?? []).filter((allocated) => allocated.host === host).map(({ value }) => value)
}

/** Hosts that are to have an address of ours: not wildcards, nor where the entry brings its own or resolves nothing. */
export function hostsToAllocate({ metadata, spec }: ServiceEntry): readonly string[] {
  if (!spec || (spec.addresses?.length ?? 0) > 0) return []
  const optedOut = metadata.labels?.['networking.istio.io/enable-autoallocate-ip'] === 'false'
  const resolved = spec.resolution !== undefined && spec.resolution !== 'NONE'
  return optedOut || !resolved ? [] : [...new Set(spec.hosts)].filter((host) => !host.startsWith('*'))
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
  const toWorkload = (endpoint: WorkloadEntrySpec, services: typeof infos) => ({
    ...entryWorkload({ uid: `${prefix}/${endpoint.address ?? ''}`, metadata, spec: endpoint, services }, view),
    // The entry's own labels pick the waypoint of its services, an endpoint's that of the endpoint.
    ...workloadWaypoint({ ...entry, metadata: { ...metadata, labels: endpoint.labels ?? {} } }, view),
  })
  const endpoints = spec.endpoints ?? []
  if (endpoints.length > 0) return endpoints.map((endpoint) => toWorkload(endpoint, infos))
  const byDns = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN'
  return byDns ? infos.map((info, index) => toWorkload({ address: spec.hosts![index]! }, [info])) : []
}

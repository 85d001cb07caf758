import type { Service as KubernetesService } from '@ambient-lab/api'
import type { ServicePort } from '@ambient-lab/xds'
import { SERVICE_ENTRIES, SERVICES, type ServiceEntry } from '../stored-kinds.ts'
import { appProtocolOf } from '../translate/app-protocol.ts'
import { serviceHostname } from '../translate/service-info.ts'
import type { TranslationView } from '../translate/view.ts'

/** What routes attach to and send to: a Service, or one host of a ServiceEntry. */
export interface RouteTarget {
  readonly namespace: string
  /** Of the object, not of the host. */
  readonly name: string
  readonly hostname: string
  readonly ports: readonly ServicePort[]
  readonly source:
    | { readonly kind: 'Service'; readonly object: KubernetesService }
    | { readonly kind: 'ServiceEntry'; readonly object: ServiceEntry }
}

/** Which protocol a port's bytes are read as; `sniff` where nobody declared one. */
export type PortTraffic = 'http' | 'tcp' | 'sniff'

type View = Pick<TranslationView, 'get' | 'mesh' | 'entriesOf'>

/** Undefined for ExternalName, which is no destination of ours. */
export function serviceTarget(object: KubernetesService, clusterDomain: string): RouteTarget | undefined {
  const { metadata, spec } = object
  if (!spec || spec.type === 'ExternalName') return undefined
  const namespace = metadata.namespace ?? ''
  return {
    namespace,
    name: metadata.name,
    hostname: serviceHostname(metadata.name, namespace, clusterDomain),
    ports: (spec.ports ?? [])
      .filter(({ protocol }) => protocol !== 'UDP' && protocol !== 'SCTP')
      .map(({ port, targetPort, name, appProtocol }) => ({
        servicePort: port,
        targetPort: typeof targetPort === 'number' ? targetPort : 0,
        appProtocol: appProtocolOf({ ...(appProtocol && { appProtocol }), ...(name && { name }) }),
        ...(name && { name }),
      })),
    source: { kind: 'Service', object },
  }
}

/** One for each host. */
export function entryTargets(object: ServiceEntry): RouteTarget[] {
  const { metadata, spec } = object
  const ports = (spec?.ports ?? []).map(({ number, name, protocol, targetPort }) => ({
    servicePort: number,
    targetPort: targetPort ?? number,
    appProtocol: protocol ? appProtocolOf({ name: protocol }) : ('UNKNOWN' as const),
    ...(name && { name }),
  }))
  return (spec?.hosts ?? []).map((hostname) => ({
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    hostname,
    ports,
    source: { kind: 'ServiceEntry', object },
  }))
}

export function targetOfService(view: View, namespace: string, name: string): RouteTarget | undefined {
  const service = view.get(SERVICES, `${namespace}/${name}`)
  return service && serviceTarget(service, view.mesh.clusterDomain)
}

/** Whoever answers to a host name, as seen from a namespace: its own ServiceEntry counts before everybody's. */
export function targetOfHost(view: View, hostname: string, namespace: string): RouteTarget | undefined {
  const suffix = `.svc.${view.mesh.clusterDomain}`
  const [name = '', home = '', ...rest] = hostname.endsWith(suffix) ? hostname.slice(0, -suffix.length).split('.') : []
  const service = home && rest.length === 0 ? targetOfService(view, home, name) : undefined
  if (service) return service
  const { winners, canonical } = view.entriesOf(hostname)
  const own = winners.get(namespace)
  const key = own ? `${namespace}/${own}` : canonical
  const entry = key === undefined ? undefined : view.get(SERVICE_ENTRIES, key)
  return entry && entryTargets(entry).find((target) => target.hostname === hostname)
}

export function targetKey({ namespace, hostname }: RouteTarget): string {
  return `${namespace}/${hostname}`
}

/** How routes refer to it: `Service ns/name`, `ServiceEntry ns/name`. */
export function targetReference({ source, namespace, name }: RouteTarget): string {
  return `${source.kind} ${namespace}/${name}`
}

export function portTraffic({ appProtocol }: Pick<ServicePort, 'appProtocol'>): PortTraffic {
  if (appProtocol === 'UNKNOWN') return 'sniff'
  return appProtocol === 'TCP' || appProtocol === 'TLS' ? 'tcp' : 'http'
}

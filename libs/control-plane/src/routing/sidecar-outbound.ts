import type { Service as KubernetesService } from '@ambient-lab/api'
import { type FilterChain, type ServicePort, sidecarGroup, type VirtualHost } from '@ambient-lab/xds'
import { serviceHostname } from '../translate/service-info.ts'
import type { TranslationView } from '../translate/view.ts'
import { type ClusterNamer, gatewayClusterNamer } from './cluster-names.ts'
import { type ChainSide, serviceL4Routes, serviceRoutes, sidecarSide } from './service-chain.ts'
import { portTraffic, type RouteTarget, targetKey, targetOfHost } from './targets.ts'
import { isExportedTo } from './visibility.ts'

const EXPORT_TO = 'networking.istio.io/exportTo'

/** What the sidecars of a namespace do with the traffic to a service: one chain for each port. */
export function outboundChains(target: RouteTarget, namespace: string, view: TranslationView): FilterChain[] {
  if (!isVisible(target, namespace)) return []
  return target.ports.map((port) => outboundChain(target, port, sidecarSide(namespace), view))
}

/**
 * The same for a Service of type ExternalName that is another name for a service of the mesh. Only where Host says which
 * is meant: everything else comes by the address, which is that of the other one.
 */
export function aliasChains(alias: KubernetesService, namespace: string, view: TranslationView): FilterChain[] {
  const { metadata, spec } = alias
  const home = metadata.namespace ?? ''
  const real = spec?.externalName === undefined ? undefined : targetOfHost(view, spec.externalName, home)
  if (!real) return []
  const hostname = serviceHostname(metadata.name, home, view.mesh.clusterDomain)
  const source = { kind: 'Service', object: alias } as const
  const target: RouteTarget = { namespace: home, name: metadata.name, hostname, ports: real.ports, source }
  if (!isVisible(target, namespace)) return []
  const clusterOf: ClusterNamer = (of, port, subset) =>
    gatewayClusterNamer(of.hostname === hostname ? real : of, port, subset)
  const side: ChainSide = { ...sidecarSide(namespace), clusterOf: () => clusterOf }
  return target.ports
    .filter((port) => portTraffic(port) === 'http')
    .map((port) => outboundChain(target, port, side, view))
}

function outboundChain(target: RouteTarget, port: ServicePort, side: ChainSide, view: TranslationView): FilterChain {
  const proxy = sidecarGroup(side.namespace)
  const { servicePort } = port
  const traffic = portTraffic(port)
  return {
    // Several namespaces may have a ServiceEntry of their own for one host.
    name: `${proxy}|${targetKey(target)}|${servicePort}`,
    proxy,
    match: { kind: 'service', service: targetKey(target), port: servicePort },
    ...(traffic !== 'tcp' && {
      http: {
        statPrefix: `outbound|${servicePort}||${target.hostname}`,
        virtualHosts: [virtualHost(target, port, side, view)],
      },
    }),
    ...(traffic !== 'http' && { tcp: { routes: serviceL4Routes(target, port, side, view) } }),
    ...(traffic === 'sniff' && { sniff: true }),
  }
}

/**
 * Where a port is declared to be HTTP all services share it, and the Host of a request says which is meant. Where only
 * the bytes tell, the address that was dialled has said it.
 */
function virtualHost(target: RouteTarget, port: ServicePort, side: ChainSide, view: TranslationView): VirtualHost {
  return {
    name: `${target.hostname}:${port.servicePort}`,
    domains: portTraffic(port) === 'sniff' ? ['*'] : domainsOf(target, side.namespace),
    routes: serviceRoutes(target, port, side, view),
  }
}

/** The names that a client of a namespace has for a service, shortest last, and its addresses. */
export function domainsOf({ source, hostname, name, namespace: home }: RouteTarget, namespace: string): string[] {
  if (source.kind === 'ServiceEntry') {
    const { addresses = [] } = source.object.spec ?? {}
    return [hostname, ...addresses.filter((address) => !address.includes('/'))]
  }
  const { clusterIP, clusterIPs } = source.object.spec ?? {}
  const addresses = (clusterIPs ?? [clusterIP ?? '']).filter((address) => address !== '' && address !== 'None')
  return [
    ...[hostname, `${name}.${home}.svc`, `${name}.${home}`],
    ...(home === namespace ? [name] : []),
    ...addresses.map((address) => (address.includes(':') ? `[${address}]` : address)),
  ]
}

/** A Service says by an annotation what a ServiceEntry has a field for. */
function isVisible({ source }: RouteTarget, namespace: string): boolean {
  if (source.kind === 'ServiceEntry') return isExportedTo(source.object, namespace)
  const { metadata } = source.object
  const text = metadata.annotations?.[EXPORT_TO]
  if (text === undefined) return true
  const exportTo = text.split(',').map((part) => part.trim())
  return isExportedTo({ ...source.object, spec: { exportTo } }, namespace)
}

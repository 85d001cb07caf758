import { type FilterChain, type ServicePort, sidecarGroup, type VirtualHost } from '@ambient-lab/xds'
import type { TranslationView } from '../translate/view.ts'
import { serviceL4Routes, serviceRoutes, sidecarSide } from './service-chain.ts'
import { portTraffic, type RouteTarget, targetKey } from './targets.ts'
import { isExportedTo } from './visibility.ts'

const EXPORT_TO = 'networking.istio.io/exportTo'

/** What the sidecars of a namespace do with the traffic to a service: one chain for each port. */
export function outboundChains(target: RouteTarget, namespace: string, view: TranslationView): FilterChain[] {
  if (!isVisible(target, namespace)) return []
  return target.ports.map((port) => outboundChain(target, port, namespace, view))
}

function outboundChain(target: RouteTarget, port: ServicePort, namespace: string, view: TranslationView): FilterChain {
  const proxy = sidecarGroup(namespace)
  const { servicePort } = port
  const traffic = portTraffic(port)
  const side = sidecarSide(namespace)
  return {
    name: `${proxy}|${target.hostname}|${servicePort}`,
    proxy,
    match: { kind: 'service', service: targetKey(target), port: servicePort },
    ...(traffic !== 'tcp' && {
      http: {
        statPrefix: `outbound|${servicePort}||${target.hostname}`,
        virtualHosts: [virtualHost(target, port, namespace, view)],
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
function virtualHost(target: RouteTarget, port: ServicePort, namespace: string, view: TranslationView): VirtualHost {
  return {
    name: `${target.hostname}:${port.servicePort}`,
    domains: portTraffic(port) === 'sniff' ? ['*'] : domainsOf(target, namespace),
    routes: serviceRoutes(target, port, sidecarSide(namespace), view),
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

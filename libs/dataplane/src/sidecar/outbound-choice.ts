import type { Service, Workload } from '@ambient-lab/xds'
import type { SocketAddress } from '../address.ts'
import { PORT_INBOUND_PLAINTEXT, PORT_OUTBOUND_CAPTURE } from '../limits.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import type { CompiledChain } from '../waypoint/proxy-config.ts'
import type { OutboundRoutes } from './outbound-routes.ts'

/**
 * Which service a workload means by an address: the one whose virtual address it is, or a headless one that the pod
 * there is an endpoint of.
 */
export function serviceAt(state: ProxyState, own: Workload, { address, port }: SocketAddress): Service | undefined {
  const workload = state.workloadByAddress(own.network, address)
  if (!workload) return state.serviceByVip(own.network, address, own.namespace)
  for (const key in workload.services) {
    const service = state.service(key)
    const isHeadless = service?.addresses.length === 0
    if (isHeadless && service.ports.some(({ servicePort }) => servicePort === port)) return service
  }
  return undefined
}

const OWN_PORTS: readonly number[] = [PORT_OUTBOUND_CAPTURE, PORT_INBOUND_PLAINTEXT]

/**
 * Which of Istio's outbound listeners takes a connection: that of the service, else that of the port if anybody speaks
 * HTTP there, else the one that passes everything through, or nothing. Ports of the proxy itself lead nowhere.
 */
export function chooseOutbound(routes: OutboundRoutes, service: Service | undefined, port: number): CompiledChain {
  if (OWN_PORTS.includes(port)) return routes.nowhere
  const own = service && routes.ofService(serviceKeyOf(service), port)
  return own ?? routes.ofPort(port) ?? routes.beyond
}

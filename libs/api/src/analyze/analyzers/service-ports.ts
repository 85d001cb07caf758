import serviceKind, { type ServicePort } from '../../kinds/service.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

const PROTOCOLS = /^(http|http2|https|tcp|tls|grpc|grpc-web|mongo|mysql|redis|udp|hbone|http3|auto)(-.*)?$/i
const SYSTEM = ['kube-system', 'kube-public', 'kube-node-lease']

/** Ports whose protocol proxies have to guess. */
export default defineAnalyzer({
  name: 'service-ports',
  codes: ['IST0118'],
  *find(world) {
    for (const service of world.list(serviceKind)) {
      const { namespace = '' } = service.metadata
      if (SYSTEM.includes(namespace) || namespace === world.settings.rootNamespace) continue
      for (const [index, port] of (service.spec?.ports ?? []).entries()) {
        if (saysProtocol(port)) continue
        const { name = '', port: number, targetPort = 0 } = port
        yield finding('IST0118', service, [name, number, targetPort], `spec.ports[${index}]`)
      }
    }
  },
})

function saysProtocol({ name = '', appProtocol, protocol }: ServicePort): boolean {
  return protocol === 'UDP' || appProtocol !== undefined || PROTOCOLS.test(name)
}

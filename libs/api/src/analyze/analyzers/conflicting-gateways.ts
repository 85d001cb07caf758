import istioGatewayKind, { type IstioGateway, type IstioGatewayServer } from '../../kinds/istio-gateway.ts'
import { objectKey } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import { labelText } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'
import { hostsMeet } from '../hosts.ts'

/** Gateways of Istio that claim one port and host of the same pods. */
export default defineAnalyzer({
  name: 'conflicting-gateways',
  codes: ['IST0145'],
  find(world) {
    const gateways = world.list(istioGatewayKind)
    return gateways.flatMap((gateway) =>
      (gateway.spec?.servers ?? []).flatMap((server, index) => {
        const others = gateways.filter(
          (other) => other !== gateway && sharesPods(gateway, other) && claims(other, server),
        )
        return others.length === 0 ? [] : [conflict(gateway, server, index, others)]
      }),
    )
  },
})

/** Gateways without a selector are for all; of two that have one, one must mean the other's pods too. */
function sharesPods(a: IstioGateway, b: IstioGateway): boolean {
  const [left, right] = [a.spec?.selector ?? {}, b.spec?.selector ?? {}]
  return matchesEvery(left, right) || matchesEvery(right, left)
}

function claims({ spec }: IstioGateway, { port, hosts }: IstioGatewayServer): boolean {
  return (spec?.servers ?? []).some(
    (other) =>
      port !== undefined &&
      other.port?.number === port.number &&
      (other.hosts ?? []).some((host) => (hosts ?? []).some((mine) => meet(host, mine))),
  )
}

function meet(a: string, b: string): boolean {
  const [aNamespace, aHost] = parts(a)
  const [bNamespace, bHost] = parts(b)
  return (aNamespace === '*' || bNamespace === '*' || aNamespace === bNamespace) && hostsMeet(aHost, bHost)
}

function parts(host: string): readonly [namespace: string, host: string] {
  const slash = host.indexOf('/')
  return slash < 0 ? ['*', host] : [host.slice(0, slash), host.slice(slash + 1)]
}

function conflict(
  gateway: IstioGateway,
  { port, hosts }: IstioGatewayServer,
  index: number,
  others: readonly IstioGateway[],
): Finding {
  const names = others.map(({ metadata }) => objectKey(metadata)).sort()
  return finding(
    'IST0145',
    gateway,
    [names.join(','), labelText(gateway.spec?.selector ?? {}), port.number, (hosts ?? []).join(',')],
    `spec.servers[${index}]`,
  )
}

import type { GatewayAddress, Locality, Service, Workload } from '@ambient-lab/xds'

/** An endpoint of another network. */
export interface RemoteEndpoint {
  readonly workload: Workload
  /** Whether nothing but plain bytes would be sent to it. */
  readonly isPlaintext: boolean
}

/** Endpoints at one place of another network: Envoy knows them as one host, which weighs as much as all of them. */
export interface NetworkGroup {
  readonly network: string
  readonly locality: Locality | undefined
  readonly gateway: GatewayAddress
  readonly weight: number
}

/** Endpoints of another network that nothing is sent to. */
export interface LeftOut {
  readonly network: string
  readonly reason: LeftOutReason
  readonly endpoints: number
}

const REASONS = {
  'not global': () => 'the service is not global (label istio.io/global)',
  'no gateway': (network: string) => `network ${network} has no reachable east-west gateway`,
  'no tunnel': () => 'they end no HBONE, which a gateway leads to',
  plaintext: () => 'they take no mutual TLS, and nothing else leads to another network',
} as const

export type LeftOutReason = keyof typeof REASONS

/** For people: who is left out, and why. */
export function describeLeftOut({ network, reason, endpoints }: LeftOut): string {
  const many = endpoints === 1 ? '1 endpoint' : `${endpoints} endpoints`
  return `${many} of network ${network} left out: ${REASONS[reason](network)}`
}

/**
 * What of a service's endpoints in other networks can be sent to, by network and locality, as Istio's endpoint builder
 * sums them up; and what cannot. Pure.
 */
export function groupByNetwork(
  endpoints: readonly RemoteEndpoint[],
  service: Pick<Service, 'scope'>,
): { readonly groups: readonly NetworkGroup[]; readonly leftOut: readonly LeftOut[] } {
  const groups = new Map<string, NetworkGroup>()
  const leftOut = new Map<string, LeftOut>()
  for (const endpoint of endpoints) {
    const { network, networkGateway: gateway, locality, capacity } = endpoint.workload
    const reason = reasonAgainst(endpoint, service)
    if (reason || !gateway) {
      const key = `${network} ${reason}`
      const count = (leftOut.get(key)?.endpoints ?? 0) + 1
      leftOut.set(key, { network, reason: reason ?? 'no gateway', endpoints: count })
      continue
    }
    const key = `${network} ${localityText(locality)}`
    const weight = (groups.get(key)?.weight ?? 0) + capacity
    groups.set(key, { network, locality, gateway, weight })
  }
  return { groups: [...groups.values()], leftOut: [...leftOut.values()] }
}

function reasonAgainst(
  { workload, isPlaintext }: RemoteEndpoint,
  { scope }: Pick<Service, 'scope'>,
): LeftOutReason | undefined {
  if (scope !== 'GLOBAL') return 'not global'
  if (!workload.networkGateway) return 'no gateway'
  if (workload.tunnelProtocol !== 'HBONE') return 'no tunnel'
  return isPlaintext ? 'plaintext' : undefined
}

/** `region/zone/subzone` */
export function localityText(locality: Locality | undefined): string {
  return locality ? `${locality.region}/${locality.zone}/${locality.subzone}` : ''
}

/** As logs name a gateway: `gateway.istio-system.svc.cluster.local:15008`. */
export function gatewayText({ hostname, address, hboneMtlsPort }: GatewayAddress): string {
  return `${hostname?.hostname ?? address?.address ?? ''}:${hboneMtlsPort}`
}

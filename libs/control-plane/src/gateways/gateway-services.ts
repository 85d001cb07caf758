import type { Gateway, Service } from '@ambient-lab/api'
import type { BuiltinClass } from './gateway-classes.ts'
import { deployedName, isDeployed } from './gateway-names.ts'

/** A service in front of a Gateway's proxies, as far as its status goes. */
export interface GatewayService {
  readonly ports: readonly { readonly port: number; readonly targetPort?: number }[]
  /** Addresses at which it is reached from outside; without one its host name is the address. */
  readonly externalAddresses: readonly string[]
  /** Whether somebody answers at it. */
  readonly hasEndpoints: boolean
}

/** Finds a service by its whole host name. */
export type GatewayServices = (hostname: string) => GatewayService | undefined

/** Where a Gateway is to be found, and where it should be but is not. */
export interface GatewayAssignment {
  /** `host:port`, sorted. */
  readonly assigned: readonly string[]
  readonly warnings: readonly string[]
  readonly addresses: readonly { readonly type: 'IPAddress' | 'Hostname'; readonly value: string }[]
  /** Addresses that are no host names, of a Gateway whose proxies are somebody else's. */
  readonly skipped: readonly string[]
}

/** @see reference: istio/istio pilot/pkg/model, GatewayContext.ResolveGatewayInstances */
export function assignGateway(
  gateway: Gateway,
  builtin: BuiltinClass,
  ports: readonly number[],
  services: GatewayServices,
  clusterDomain: string,
): GatewayAssignment {
  const { hostnames, skipped } = hostnamesOf(gateway, builtin, clusterDomain)
  const assigned = new Set<string>()
  const warnings: string[] = []
  const addresses: GatewayAssignment['addresses'][number][] = []
  for (const hostname of hostnames) {
    const service = services(hostname)
    if (!service) {
      warnings.push(`hostname "${hostname}" not found`)
      continue
    }
    const missing = ports.filter((wanted) => !service.ports.some(({ port }) => port === wanted))
    for (const port of missing) warnings.push(missingPort(port, hostname, service))
    if (missing.length === ports.length) continue
    if (!service.hasEndpoints) {
      warnings.push(`no instances found for hostname "${hostname}"`)
      continue
    }
    for (const port of ports) if (!missing.includes(port)) assigned.add(`${hostname}:${port}`)
    addresses.push(...addressesOf(hostname, service))
  }
  return { assigned: [...assigned].sort(), warnings, addresses, skipped }
}

/** With a hint for who gave the port that the pods listen on. */
function missingPort(wanted: number, hostname: string, { ports }: GatewayService): string {
  const behind = ports.filter(({ targetPort }) => targetPort === wanted).map(({ port }) => port)
  const hint =
    behind.length > 0
      ? ` (hint: the service port should be specified, not the workload port. Did you mean one of these ports: [${behind.join(' ')}]?)`
      : ''
  return `port ${wanted} not found for hostname "${hostname}"${hint}`
}

function addressesOf(hostname: string, { externalAddresses }: GatewayService): GatewayAssignment['addresses'] {
  if (externalAddresses.length === 0) return [{ type: 'Hostname', value: hostname }]
  return externalAddresses.map((value) => ({ type: 'IPAddress' as const, value }))
}

/** Of the service that was made for it, or of those that it names. */
function hostnamesOf(
  gateway: Gateway,
  builtin: BuiltinClass,
  clusterDomain: string,
): { hostnames: string[]; skipped: string[] } {
  const { namespace = '' } = gateway.metadata
  const suffix = `${namespace}.svc.${clusterDomain}`
  if (isDeployed(gateway)) return { hostnames: [`${deployedName(gateway, builtin)}.${suffix}`], skipped: [] }
  const addresses = gateway.spec?.addresses ?? []
  const isHostname = ({ type = 'IPAddress' }: (typeof addresses)[number]) => type === 'Hostname'
  return {
    hostnames: addresses
      .filter(isHostname)
      .map(({ value = '' }) => (value.includes('.') ? value : `${value}.${suffix}`)),
    skipped: addresses.filter((address) => !isHostname(address)).map(({ value = '' }) => value),
  }
}

/** What a Service says of itself; whether it has endpoints its EndpointSlices know. */
export function gatewayServiceOf(service: Service, hasEndpoints: boolean): GatewayService {
  const { loadBalancer } = (service.status ?? {}) as {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] }
  }
  return {
    ports: (service.spec?.ports ?? []).map(({ port, targetPort }) => ({
      port,
      ...(typeof targetPort === 'number' && { targetPort }),
    })),
    externalAddresses: (loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []),
    hasEndpoints,
  }
}

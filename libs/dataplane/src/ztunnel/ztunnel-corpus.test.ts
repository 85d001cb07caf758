import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SeededRandom } from '@ambient-lab/std'
import { parseBaggage } from '@ambient-lab/telemetry'
import {
  ADDRESS_TYPE,
  type Address,
  type GatewayAddress,
  type LoadBalancing,
  type NetworkAddress,
  type Service,
  type Workload,
} from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { formatAddress, parseAuthority } from '../address.ts'
import { resolveHost } from '../capture/resolver.ts'
import { targetPortOf } from '../state/endpoint-set.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { formatForwarded } from './forwarded.ts'
import { planInbound } from './inbound-plan.ts'
import { chooseEndpoint } from './load-balancing.ts'
import { planOutbound } from './outbound-plan.ts'
import { serviceOf, workloadOf } from './two-nodes.conformance.ts'

/** ztunnel's own unit tests as data: `shared/corpus/ztunnel` beside or above the repository, or AMBIENT_CORPUS. */
interface Item {
  readonly id: string
  readonly kind: string
  readonly state?: { readonly services: readonly CorpusService[]; readonly workloads: readonly CorpusWorkload[] }
  readonly connection?: { readonly src: string; readonly dst: string }
  readonly connectAuthority?: string
  readonly source?: string | Pick<Workload, 'network' | 'locality'>
  readonly destination?: string
  readonly addresses?: readonly { readonly workload?: CorpusWorkload; readonly service?: CorpusService }[]
  readonly workloads?: readonly CorpusWorkload[]
  readonly workload?: CorpusWorkload
  readonly service?: CorpusService
  readonly services?: readonly CorpusService[]
  readonly vip?: string
  readonly host?: string
  readonly hostname?: string
  readonly clientNamespace?: string | null
  readonly resolutionMode?: string
  readonly headers?: readonly string[]
  readonly serviceHostname?: string | null
  readonly query?: { readonly name: string; readonly type: string }
  readonly expected?: Expected | string | null
}

interface Expected {
  readonly rejected?: boolean
  readonly upstream?: string
  readonly tunnelTarget?: string
  readonly protocol?: string
  readonly hboneDestination?: string
  readonly destination?: string
  readonly destinationWorkload?: string | null
  readonly possibleEndpoints?: readonly string[]
  readonly port?: number
  readonly authoritative?: boolean
  readonly answers?: readonly { readonly type: string; readonly data: string }[]
  readonly [field: string]: unknown
}

interface CorpusGateway {
  readonly address?: string
  readonly destination?: string
  readonly hboneMtlsPort: number
}

interface CorpusWorkload extends Omit<Partial<Workload>, 'waypoint' | 'networkMode' | 'locality' | 'services'> {
  readonly services?: Workload['services'] | readonly string[]
  readonly workloadIps?: readonly string[]
  readonly protocol?: string
  readonly waypoint?: CorpusGateway
  readonly networkMode?: string
  readonly locality?: Workload['locality'] | null
}

interface CorpusService
  extends Omit<Partial<Service>, 'addresses' | 'ports' | 'waypoint' | 'loadBalancing' | 'ipFamilies' | 'visibility'> {
  readonly vips?: readonly string[]
  readonly cidrVips?: readonly string[]
  readonly addresses?: readonly string[]
  readonly ports?: Readonly<Record<string, number>> | Service['ports']
  readonly endpoints?: readonly (
    | string
    | { readonly workloadUid: string; readonly port: Readonly<Record<string, number>> }
  )[]
  readonly waypoint?: CorpusGateway
  readonly loadBalancing?: { readonly mode: string }
  readonly loadBalancer?: {
    readonly mode: string
    readonly routingPreferences: readonly string[]
    readonly healthPolicy: string
  }
  readonly ipFamilies?: string
  readonly visibility?: string
}

function readCorpus<T>(name: string): T | undefined {
  const candidates = [process.env.AMBIENT_CORPUS ?? '']
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    candidates.push(join(folder, 'shared', 'corpus'))
  }
  const file = candidates.map((folder) => join(folder, 'ztunnel', name)).find((path) => existsSync(path))
  return file && JSON.parse(readFileSync(file, 'utf8'))
}

const items = readCorpus<{ items: readonly Item[] }>('cases.json')?.items ?? []
const ofKind = (kind: string) => items.filter((item) => item.kind === kind)

/** `network/address`, with an optional prefix length. */
function networkAddress(text: string): NetworkAddress {
  const [network, address, length] = text.split('/')
  return { network: network!, address: address!, ...(length !== undefined && { length: Number(length) }) }
}

function gateway(from: CorpusGateway): GatewayAddress {
  const { network, address } = networkAddress((from.address ?? from.destination)!)
  return { address: { network, address }, hboneMtlsPort: from.hboneMtlsPort }
}

/** `IPV6_ONLY` of `Ipv6Only`. */
const screaming = (text: string) => text.replaceAll(/(?<=[a-z0-9])([A-Z])/g, '_$1').toUpperCase()

function toWorkload(from: CorpusWorkload): Workload {
  const { workloadIps, protocol, waypoint, networkMode, locality, services, ...rest } = from
  const name = from.name ?? from.uid!.split('/').at(-1)!
  // The corpus names services of no namespace `/host`; ours live in default.
  const keys = Object.entries(namedServices(services)).map(([key, ports]) => [key.replace(/^\//, 'default/'), ports])
  return workloadOf(name, 'node', '', {
    tunnelProtocol: protocol === 'HBONE' ? 'HBONE' : 'NONE',
    ...rest,
    name,
    namespace: from.namespace ?? 'default',
    addresses: from.addresses ?? workloadIps ?? [],
    services: Object.fromEntries(keys),
    ...(waypoint && { waypoint: gateway(waypoint) }),
    ...(networkMode && { networkMode: 'HOST_NETWORK' }),
    ...(locality && { locality }),
  })
}

function namedServices(services: CorpusWorkload['services'] = {}): Workload['services'] {
  return isList(services) ? Object.fromEntries(services.map((key) => [key, []])) : services
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}

function toService(from: CorpusService): Service {
  const {
    vips,
    cidrVips,
    addresses,
    ports,
    endpoints,
    waypoint,
    loadBalancing,
    loadBalancer,
    ipFamilies,
    visibility,
    ...rest
  } = from
  const balancer = loadBalancer ?? loadBalancing
  return serviceOf(from.name ?? from.hostname ?? 'service', '', {
    canonical: false,
    ...rest,
    namespace: from.namespace ?? 'default',
    addresses: [...(vips ?? []), ...(cidrVips ?? []), ...(addresses ?? [])].map(networkAddress),
    ports: Array.isArray(ports)
      ? ports
      : Object.entries(ports ?? {}).map(([servicePort, targetPort]) => ({
          servicePort: Number(servicePort),
          targetPort,
          appProtocol: 'UNKNOWN',
        })),
    ...(waypoint && { waypoint: gateway(waypoint) }),
    ...(ipFamilies && { ipFamilies: screaming(ipFamilies).replace('IPV', 'IPV') as Service['ipFamilies'] }),
    ...(visibility && { visibility: visibility.toUpperCase() as Service['visibility'] }),
    ...(balancer && { loadBalancing: toBalancing(balancer) }),
  })
}

function toBalancing(from: Partial<NonNullable<CorpusService['loadBalancer']>> & { mode: string }): LoadBalancing {
  return {
    mode: from.mode.toUpperCase() as LoadBalancing['mode'],
    routingPreference: (from.routingPreferences ?? []).map((scope) =>
      scope.toUpperCase(),
    ) as LoadBalancing['routingPreference'],
    healthPolicy: from.healthPolicy === 'AllowAll' ? 'ALLOW_ALL' : 'ONLY_HEALTHY',
  }
}

/** Endpoints of the corpus belong to the service, ours to the workload: move them over. */
function stateOf(services: readonly CorpusService[], workloads: readonly CorpusWorkload[]): ProxyState {
  const holder = new ProxyStateHolder()
  const addresses: Address[] = services.map((service) => ({ service: toService(service) }))
  for (const from of workloads) {
    const workload = toWorkload(from)
    const memberships = services.flatMap((service) => {
      const key = `${service.namespace ?? 'default'}/${service.hostname ?? toService(service).hostname}`
      return (service.endpoints ?? []).flatMap((endpoint) => {
        const uid = typeof endpoint === 'string' ? endpoint : endpoint.workloadUid
        const ports = typeof endpoint === 'string' ? {} : endpoint.port
        return uid === workload.uid ? [[key, portMappings(ports)] as const] : []
      })
    })
    addresses.push({
      workload: { ...workload, services: { ...workload.services, ...Object.fromEntries(memberships) } },
    })
  }
  const upserts = addresses.map((resource) => ({
    name: 'workload' in resource ? resource.workload.uid : `${resource.service.namespace}/${resource.service.hostname}`,
    resource,
  }))
  expect(holder.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
  return holder.current
}

function portMappings(ports: Readonly<Record<string, number>>) {
  return Object.entries(ports).map(([servicePort, targetPort]) => ({ servicePort: Number(servicePort), targetPort }))
}

function socketAddress(text: string) {
  const { host, port } = parseAuthority(text)!
  return { address: host, port }
}

const random = new SeededRandom(1)

describe.skipIf(items.length === 0)(
  items.length > 0 ? "ztunnel's corpus" : "ztunnel's corpus: skipped, shared/corpus/ztunnel is not on this machine",
  () => {
    it.each(ofKind('inboundConnect'))('$id', ({ state, connection, connectAuthority, expected }) => {
      const snapshot = stateOf(state!.services, state!.workloads)
      const local = snapshot.workloadByAddress('', socketAddress(connection!.dst).address)!
      const plan = planInbound(snapshot, local, connectAuthority!)
      const wanted = expected as Expected
      expect(plan.kind === 'rejection').toBe(wanted.rejected ?? false)
      if (plan.kind === 'rejection') return
      expect(formatAddress(plan.upstream)).toBe(wanted.upstream)
      if (wanted.tunnelTarget) expect(formatAddress(plan.tunnelTarget!)).toBe(wanted.tunnelTarget)
    })

    it.each(ofKind('outboundRequest'))('$id $note', ({ source, destination, addresses, expected }) => {
      const sourceWorkload = { uid: 'cluster1//v1/Pod/ns/source-workload', name: 'source-workload', namespace: 'ns' }
      const waypoints = [
        { uid: 'cluster1//v1/Pod/ns/waypoint', workloadIps: ['127.0.0.10'] },
        { uid: 'cluster1//v1/Pod/ns/dual-waypoint', workloadIps: ['127.0.0.11', 'ff06::c5'] },
      ]
      const workloads = addresses!.flatMap(({ workload }) => (workload ? [workload] : []))
      const services = addresses!.flatMap(({ service }) => (service ? [service] : []))
      const own = { ...sourceWorkload, workloadIps: ['127.0.0.1', '::1'] }
      const state = stateOf(services, [own, ...waypoints, ...workloads])
      const plan = planOutbound(state, {
        source: state.workloadByAddress('', source as string)!,
        destination: socketAddress(destination!),
        random,
      })
      const wanted = expected as Expected
      expect(plan.kind === 'rejection').toBe(wanted.rejected ?? false)
      if (plan.kind === 'rejection') return
      expect(plan.kind).toBe(wanted.protocol === 'HBONE' ? 'tunnel' : 'plain')
      if (plan.kind === 'tunnel') {
        expect(plan.authority).toBe(wanted.hboneDestination)
        expect(formatAddress(plan.hboneAddress)).toBe(wanted.destination)
      } else {
        expect(formatAddress({ address: plan.target.host, port: plan.target.port })).toBe(wanted.destination)
      }
      if ('destinationWorkload' in wanted) expect(plan.destination?.name ?? null).toBe(wanted.destinationWorkload)
    })

    it.each(ofKind('loadBalance'))('$id', ({ workloads, service, source, expected }) => {
      const state = stateOf([{ ...service!, name: 'svc', hostname: 'svc.default' }], workloads!)
      const from = toWorkload({ uid: 'x//Pod/default/source', ...(source as Pick<Workload, 'network' | 'locality'>) })
      const chosen = new Set<string>()
      for (let draw = 0; draw < 200; draw += 1) {
        const endpoint = chooseEndpoint(state, from, state.service('default/svc.default')!, 80, random)
        if (endpoint) chosen.add(endpoint.workload.uid)
      }
      expect([...chosen].sort()).toEqual([...(expected as Expected).possibleEndpoints!].sort())
    })

    it.each(ofKind('upstreamPort'))('$id', ({ workload, service, destination, resolutionMode, expected }) => {
      const state = stateOf([service!], [workload!])
      const endpoint = state.endpointsOf(`default/${service!.hostname}`).get(workload!.uid!)!
      const { port } = socketAddress(destination!)
      const throughTunnel = resolutionMode === 'Waypoint'
      expect(targetPortOf(endpoint, toService(service!), port, throughTunnel)).toBe((expected as Expected).port)
    })

    it.each(ofKind('serviceByVip'))('$id', ({ services, vip, clientNamespace, expected }) => {
      const { network, address } = networkAddress(vip!)
      const found = stateOf(services!, []).serviceByVip(network, address, clientNamespace ?? undefined)
      expect(found ? `${found.namespace}/${found.name}` : null).toBe(expected)
    })

    it.each(ofKind('serviceByHost'))('$id', ({ services, host, hostname, clientNamespace, expected }) => {
      const found = stateOf(services!, []).serviceByHostname((host ?? hostname)!, clientNamespace ?? undefined)
      expect(found ? `${found.namespace}/${found.name}` : null).toBe(expected)
    })

    it.each(ofKind('parseBaggage'))('$id', ({ headers, expected }) => {
      const baggage: Readonly<Record<string, string | undefined>> = { ...parseBaggage(headers) }
      for (const [field, value] of Object.entries(expected as Expected)) expect(baggage[field] ?? null).toBe(value)
    })

    it.each(ofKind('forwardedHeader'))('$id', ({ source, serviceHostname, expected }) => {
      expect(formatForwarded(socketAddress(source as string), serviceHostname ?? undefined)).toBe(expected)
    })
  },
)

const dns = readCorpus<{ services: readonly CorpusService[]; workloads?: readonly CorpusWorkload[] }>('dns-state.json')

describe.skipIf(!dns)(dns ? 'names of the corpus' : 'names of the corpus: skipped, not on this machine', () => {
  // The lab has no AAAA question, and its preferred namespace is the client's own: those items ask for other things.
  const askable = ofKind('dnsLookup').filter(
    ({ id, query }) => query!.type === 'A' && !['dns/31', 'dns/36'].includes(id),
  )

  it.each(askable)('$id $query.name', ({ query, expected }) => {
    const client = toWorkload({ uid: 'x//Pod/ns1/client', namespace: 'ns1', network: 'nw1' })
    const state = stateOf(dns!.services, dns!.workloads ?? [])
    const request = { host: query!.name, source: client, clusterDomain: 'cluster.local', random }
    const resolution = resolveHost(state, request)
    const { authoritative, answers } = expected as Expected
    if (!authoritative) expect(resolution.kind).not.toBe('address')
    else expect(answers!.map(({ data }) => data)).toContain(resolution.kind === 'address' ? resolution.address : '')
  })
})

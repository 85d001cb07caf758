import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import {
  ADDRESS_TYPE,
  type Address,
  type Cluster as ClusterConfig,
  type GatewayAddress,
  type L7Proxy,
  type Service,
  type Workload,
} from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { MemoryPlainNetwork } from '../../memory-plain-network.ts'
import { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import { MemoryNetwork, MemoryTransport } from '../../tunnel/memory-transport.ts'
import { TunnelPool } from '../../tunnel/tunnel-pool.ts'
import { planToNetwork } from '../../ztunnel/outbound-plan.ts'
import { serviceOf, workloadOf } from '../../ztunnel/two-nodes.conformance.ts'
import { clusterOf, WEB } from '../mesh-with-waypoint.conformance.ts'
import { OwnWorkload } from '../own-workload.ts'
import { Cluster } from './cluster.ts'
import { EndpointDialer } from './endpoint-dialer.ts'

const gatewayOf = (name: string): GatewayAddress => ({
  hostname: { namespace: 'default', hostname: `${name}.default.svc.cluster.local` },
  hboneMtlsPort: 15008,
})
const WEST: Partial<Workload> = { network: 'west', networkGateway: gatewayOf('west-gateway') }
const zone = (name: string) => ({ locality: { region: 'r', zone: name, subzone: '' } })
const GLOBAL = serviceOf('web', '', { scope: 'GLOBAL', addresses: [{ network: 'east', address: '10.96.0.20' }] })
const own = workloadOf('own', 'a', '10.244.1.1', { network: 'east' })

function pod(index: number, overrides: Partial<Workload> = {}): Address {
  const services = { [WEB]: [] }
  return {
    workload: workloadOf(`web-${index}`, 'b', `10.244.2.${index}`, { network: 'east', services, ...overrides }),
  }
}

function nameOf(address: Address): string {
  if ('workload' in address) return address.workload.uid
  return `${address.service.namespace}/${address.service.hostname}`
}

/** A cluster of `web` in a proxy of network east, and what it has said to its log. */
class EastProxy implements Disposable {
  readonly said: string[] = []
  readonly state = new ProxyStateHolder()
  readonly cluster: Cluster

  constructor(overrides: Partial<ClusterConfig> = {}) {
    const clock = new VirtualClock()
    const random = new SeededRandom(1)
    const { state } = this
    const holder = new OwnWorkload(state, own.uid)
    const never = () => Promise.reject(new Error('no certificates here'))
    const svids = { clientSvid: never, serverSvid: never }
    const transport = new MemoryTransport({ network: new MemoryNetwork(), clock, svids })
    const network = new MemoryPlainNetwork({ clock })
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'own' }
    const dialer = new EndpointDialer(
      { random, state, own: holder, transport, tunnels: new TunnelPool({ transport, clock }), network },
      { node: 'a', identity, clusterDomain: 'cluster.local', labRanges: [] },
    )
    const log = { warn: (line: string) => void this.said.push(line) }
    const place = { network: 'east', ...zone('z1'), labels: {} }
    this.apply([{ workload: own }])
    holder.follow()
    this.cluster = new Cluster({ clock, random, state, network, dialer, log }, clusterOf('web', overrides), place)
  }

  apply(addresses: readonly Address[]): void {
    const upserts = addresses.map((resource) => ({ name: nameOf(resource), resource }))
    expect(this.state.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
  }

  get hosts(): readonly (readonly [string, number])[] {
    return this.cluster.hosts.map(({ address, weight }) => [address, weight] as const)
  }

  [Symbol.dispose](): void {
    this.cluster[Symbol.dispose]()
  }
}

const DOOR = 'west-gateway.default.svc.cluster.local:15008'

describe('the hosts of a service with endpoints in two networks', () => {
  it.each<readonly [string, readonly Address[], Service, readonly (readonly [string, number])[]]>([
    [
      'are those of its own network and the other’s gateway',
      [pod(1), pod(2, WEST)],
      GLOBAL,
      [
        ['10.244.2.1:8080', 1],
        [DOOR, 1],
      ],
    ],
    [
      'weigh the gateway as all that are behind it',
      [pod(1, WEST), pod(2, { ...WEST, capacity: 3 })],
      GLOBAL,
      [[DOOR, 4]],
    ],
    [
      'are told apart by locality',
      [pod(1, { ...WEST, ...zone('z1') }), pod(2, { ...WEST, ...zone('z2') })],
      GLOBAL,
      [
        [DOOR, 1],
        [DOOR, 1],
      ],
    ],
    [
      'are its own alone where the service is not global',
      [pod(1), pod(2, WEST)],
      { ...GLOBAL, scope: 'LOCAL' },
      [['10.244.2.1:8080', 1]],
    ],
    ['leave out a network without a gateway', [pod(1), pod(2, { network: 'west' })], GLOBAL, [['10.244.2.1:8080', 1]]],
    [
      'leave out who ends no tunnel',
      [pod(1), pod(2, { ...WEST, tunnelProtocol: 'NONE' })],
      GLOBAL,
      [['10.244.2.1:8080', 1]],
    ],
    ['leave out who is not healthy', [pod(1, WEST), pod(2, { ...WEST, status: 'UNHEALTHY' })], GLOBAL, [[DOOR, 1]]],
    ['leave out who has no weight', [pod(1, { ...WEST, capacity: 0 })], GLOBAL, []],
    ['need no address of the other network', [pod(1, { ...WEST, addresses: [] })], GLOBAL, [[DOOR, 1]]],
  ])('%s', (_, pods, service, hosts) => {
    using proxy = new EastProxy()
    proxy.apply([...pods, { service }])
    expect(proxy.hosts).toEqual(hosts)
  })

  it('stay what they are while their number changes, and are others behind another gateway', () => {
    using proxy = new EastProxy()
    proxy.apply([pod(1, WEST), { service: GLOBAL }])
    const [before] = proxy.cluster.hosts
    proxy.apply([pod(2, WEST)])
    expect(proxy.cluster.hosts).toEqual([before])
    expect(before!.weight).toBe(2)
    const moved = { ...WEST, networkGateway: gatewayOf('new-gateway') }
    proxy.apply([pod(1, moved), pod(2, moved)])
    expect(proxy.hosts).toEqual([['new-gateway.default.svc.cluster.local:15008', 2]])
    expect(proxy.cluster.hosts[0]).not.toBe(before)
  })

  it('come nearest first: the other network’s place counts as any other place', () => {
    using proxy = new EastProxy({
      loadBalancing: { policy: 'ROUND_ROBIN', locality: {} },
      outlierDetection: {
        ...{ consecutive5xx: 1, consecutiveGatewayErrors: 0, splitExternalLocalOriginErrors: false },
        ...{ consecutiveLocalOriginFailures: 0, intervalMs: 10_000, baseEjectionTimeMs: 30_000 },
        ...{ maxEjectionPercent: 100, minHealthPercent: 0 },
      },
    })
    proxy.apply([pod(1, zone('z1')), pod(2, { ...WEST, ...zone('z2') }), { service: GLOBAL }])
    const peer = {} as Parameters<Cluster['pick']>[1]
    const pick = () => proxy.cluster.pick({ random: new SeededRandom(1), hash: undefined }, peer)
    expect(pick()?.address).toBe('10.244.2.1:8080')
    // Failover: nobody is left at home.
    proxy.cluster.record(pick()!, { status: 503 })
    expect(pick()?.address).toBe(DOOR)
  })
})

describe('who is left out', () => {
  it('is said once, with the reason', () => {
    using proxy = new EastProxy()
    proxy.apply([pod(1, { network: 'west' }), pod(2, { network: 'west' }), { service: GLOBAL }])
    const reason = '2 endpoints of network west left out: network west has no reachable east-west gateway'
    expect(proxy.hosts).toEqual([])
    proxy.apply([pod(3, WEST)])
    expect(proxy.hosts).toEqual([[DOOR, 1]])
    expect(proxy.said).toEqual([`web: ${reason}`])
    proxy.apply([pod(1, WEST), pod(2, WEST)])
    expect(proxy.cluster.leftOut).toEqual([])
  })

  it('of a service that is not global is said only where nobody else is there', () => {
    using proxy = new EastProxy()
    proxy.apply([pod(1), pod(2, WEST), { service: { ...GLOBAL, scope: 'LOCAL' } }])
    expect([proxy.hosts.length, proxy.said]).toEqual([1, []])
    proxy.apply([pod(1, WEST)])
    expect(proxy.hosts).toEqual([])
    expect(proxy.said).toEqual([
      'web: 2 endpoints of network west left out: the service is not global (label istio.io/global)',
    ])
  })
})

describe('planToNetwork', () => {
  const waypoint = gatewayOf('waypoint')
  const hbone = [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }] as const
  const of = (name: string) => ({ services: { [`default/${name}.default.svc.cluster.local`]: [] }, nativeTunnel: true })
  const world: readonly Address[] = [
    pod(1, { ...WEST, serviceAccount: 'web' }),
    { workload: workloadOf('west-gateway', 'b', '10.244.2.9', { ...WEST, ...of('west-gateway') }) },
    { workload: workloadOf('waypoint', 'b', '10.244.2.8', { ...WEST, ...of('waypoint') }) },
    { service: serviceOf('west-gateway', '', { ports: hbone }) },
    { service: serviceOf('waypoint', '', { ports: hbone }) },
  ]

  it.each<readonly [string, L7Proxy['kind'], Partial<Service>, string]>([
    ['a waypoint expects an endpoint: policies were kept', 'waypoint', { waypoint }, 'web'],
    ['a gateway expects an endpoint', 'gateway', { waypoint }, 'web'],
    ['… and the waypoint of a service that wants that', 'gateway', { waypoint, ingressUseWaypoint: true }, 'waypoint'],
    ['a sidecar expects the waypoint', 'sidecar', { waypoint }, 'waypoint'],
    ['… and an endpoint where there is none', 'sidecar', {}, 'web'],
  ])('%s', (_, sentBy, overrides, account) => {
    using proxy = new EastProxy()
    const service = { ...GLOBAL, ...overrides }
    proxy.apply([...world, { service }])
    const gateway = WEST.networkGateway!
    const request = {
      source: own,
      random: new SeededRandom(1),
      service,
      servicePort: 80,
      network: 'west',
      gateway,
      sentBy,
    }
    expect(planToNetwork(proxy.state.current, request)).toMatchObject({
      ...{ kind: 'tunnel', authority: 'web.default.svc.cluster.local:80', destination: { name: 'west-gateway' } },
      expectedIds: [{ serviceAccount: 'west-gateway' }],
      inner: { expectedIds: [{ serviceAccount: account }], originNetwork: 'east' },
    })
  })
})

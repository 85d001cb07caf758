import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { silentLogger } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { MemoryPlainNetwork } from '../../memory-plain-network.ts'
import { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import { MemoryNetwork, MemoryTransport } from '../../tunnel/memory-transport.ts'
import { TunnelPool } from '../../tunnel/tunnel-pool.ts'
import { serviceOf, workloadOf } from '../../ztunnel/two-nodes.conformance.ts'
import { clusterOf, WEB } from '../mesh-with-waypoint.conformance.ts'
import { OwnWorkload } from '../own-workload.ts'
import type { DownstreamPeer } from '../request-record.ts'
import { Cluster } from './cluster.ts'
import { EndpointDialer } from './endpoint-dialer.ts'

const DOOR = 'default/door.default.svc.cluster.local'
const PICKS = 4_000

const at = (zone: string) => ({ region: 'eu', zone, subzone: '' })

/** A gateway of which replicas stand in zones, before `web` whose pods do; itself in zone a. */
class Zones {
  readonly state = new ProxyStateHolder()
  readonly #random = new SeededRandom(3)
  readonly cluster: Cluster

  constructor(replicas: string, pods: string) {
    const clock = new VirtualClock()
    const never = () => Promise.reject(new Error('no certificates here'))
    const transport = new MemoryTransport({
      network: new MemoryNetwork(),
      clock,
      svids: { clientSvid: never, serverSvid: never },
    })
    const network = new MemoryPlainNetwork({ clock })
    this.#push('web', '10.244.2.', WEB, pods)
    this.place(replicas)
    this.#apply(WEB, { service: serviceOf('web', '10.96.0.20') })
    this.#apply(DOOR, { service: serviceOf('door', '10.96.0.21') })
    const own = new OwnWorkload(this.state, 'Kubernetes//Pod/default/door-0')
    own.follow()
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'door' }
    const dialer = new EndpointDialer(
      {
        random: this.#random,
        state: this.state,
        own,
        transport,
        tunnels: new TunnelPool({ transport, clock }),
        network,
      },
      { node: 'a', identity, clusterDomain: 'cluster.local', labRanges: [] },
    )
    const loadBalancing = { policy: 'RANDOM', zoneAware: { minClusterSize: 2 } } as const
    this.cluster = new Cluster(
      { clock, random: this.#random, state: this.state, network, dialer, log: silentLogger() },
      clusterOf('web', { loadBalancing }),
      { network: '', locality: at('a'), labels: {} },
    )
  }

  /** Where the replicas are from now on: `aab` is two in zone a, one in b. */
  place(replicas: string): void {
    this.#push('door', '10.244.1.', DOOR, replicas)
  }

  /** Of the requests, in tenths. */
  shares(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (let index = 0; index < PICKS; index += 1) {
      const host = this.cluster.pick({ random: this.#random, hash: undefined }, {
        side: undefined,
      } as unknown as DownstreamPeer)
      const zone = host?.locality?.zone ?? 'none'
      counts[zone] = (counts[zone] ?? 0) + 1
    }
    return Object.fromEntries(Object.entries(counts).map(([zone, count]) => [zone, Math.round((10 * count) / PICKS)]))
  }

  #push(name: string, prefix: string, service: string, zones: string): void {
    for (const [index, zone] of [...zones].entries()) {
      const workload = workloadOf(`${name}-${index}`, 'a', `${prefix}${index}`, {
        services: { [service]: [] },
        locality: at(zone),
      })
      this.#apply(workload.uid, { workload })
    }
  }

  #apply(name: string, resource: object): void {
    expect(this.state.apply(ADDRESS_TYPE, [{ name, resource } as never], [])).toEqual([])
  }
}

describe('a gateway with replicas in two zones', () => {
  it('stays in its own zone while that has its share of hosts', () => {
    expect(new Zones('ab', 'aabb').shares()).toEqual({ a: 10 })
  })

  it('sends what its zone has no room for to the other', () => {
    expect(new Zones('ab', 'abbb').shares()).toEqual({ a: 5, b: 5 })
  })

  it('hears of replicas that move', () => {
    const zones = new Zones('aa', 'aabb')
    expect(zones.shares()).toEqual({ a: 5, b: 5 })
    zones.place('ab')
    expect(zones.shares()).toEqual({ a: 10 })
  })
})

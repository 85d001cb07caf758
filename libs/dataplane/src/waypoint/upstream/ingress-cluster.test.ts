import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { silentLogger } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE, type L7Proxy, type Service } from '@ambient-lab/xds'
import { expect, it } from 'vitest'
import { MemoryPlainNetwork } from '../../memory-plain-network.ts'
import { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import { MemoryNetwork, MemoryTransport } from '../../tunnel/memory-transport.ts'
import { TunnelPool } from '../../tunnel/tunnel-pool.ts'
import { serviceOf, workloadOf } from '../../ztunnel/two-nodes.conformance.ts'
import { clusterOf, WEB } from '../mesh-with-waypoint.conformance.ts'
import { OwnWorkload } from '../own-workload.ts'
import { Cluster } from './cluster.ts'
import { EndpointDialer } from './endpoint-dialer.ts'

const waypoint: NonNullable<Service['waypoint']> = {
  hostname: { namespace: 'default', hostname: 'waypoint.default.svc.cluster.local' },
  hboneMtlsPort: 15008,
}

/** Hosts of the cluster of a service with one pod, as a proxy sees them. */
function hostsOf(service: Partial<Service>, kind: L7Proxy['kind'], address = '10.96.0.20') {
  const clock = new VirtualClock()
  const random = new SeededRandom(1)
  const state = new ProxyStateHolder()
  const pod = workloadOf('web-0', 'b', '10.244.2.10', { services: { [WEB]: [] } })
  const refused = state.apply(
    ADDRESS_TYPE,
    [
      { name: pod.uid, resource: { workload: pod } },
      { name: WEB, resource: { service: serviceOf('web', address, service) } },
    ],
    [],
  )
  expect(refused).toEqual([])
  const never = () => Promise.reject(new Error('no certificates here'))
  const transport = new MemoryTransport({
    network: new MemoryNetwork(),
    clock,
    svids: { clientSvid: never, serverSvid: never },
  })
  const network = new MemoryPlainNetwork({ clock })
  const own = new OwnWorkload(state, 'u')
  const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'door' }
  const dialer = new EndpointDialer(
    { random, state, own, transport, tunnels: new TunnelPool({ transport, clock }), network },
    { node: 'a', identity, clusterDomain: 'cluster.local', labRanges: [], kind: () => kind },
  )
  const place = { network: '', locality: undefined, labels: {} }
  using cluster = new Cluster({ clock, random, state, network, dialer, log: silentLogger() }, clusterOf('web'), place)
  return cluster.hosts.map(({ address: at, isService }) => ({ address: at, isService }))
}

const POD = [{ address: '10.244.2.10:8080', isService: false }]
const SERVICE = [{ address: '10.96.0.20:80', isService: true }]

it.each<readonly [string, Partial<Service>, L7Proxy['kind'], readonly object[]]>([
  ['a gateway, of a service that wants its waypoint there', { ingressUseWaypoint: true, waypoint }, 'gateway', SERVICE],
  ['a waypoint, of the same', { ingressUseWaypoint: true, waypoint }, 'waypoint', POD],
  ['a gateway, of one that does not want it', { waypoint }, 'gateway', POD],
  ['a gateway, of one that has none', { ingressUseWaypoint: true }, 'gateway', POD],
])('the hosts of %s', (_, service, kind, hosts) => {
  expect(hostsOf(service, kind)).toEqual(hosts)
})

it('are the pods where the service has no address that could lead to its waypoint', () => {
  expect(hostsOf({ ingressUseWaypoint: true, waypoint }, 'gateway', '')).toEqual(POD)
})

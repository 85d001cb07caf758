import {
  chooseEndpoint,
  formatAddress,
  type OutboundPlan,
  parseAuthority,
  planInbound,
  planOutbound,
  type SocketAddress,
  targetPortOf,
} from '@ambient-lab/dataplane'
import { SeededRandom } from '@ambient-lab/std'
import { same } from '../expectation.ts'
import { failed, skipped, type Verdict } from '../judge.ts'
import type { InboundCase, LoadBalanceCase, OutboundCase, UpstreamPortCase } from './cases.ts'
import { serviceOf, stateOf, type WorkloadRecord, workloadOf } from './records.ts'

/** Picks that show which endpoints can be picked at all. */
const PICKS = 400

/** What upstream's tests have beside the addresses of a case. */
const OUTBOUND_BASE: readonly WorkloadRecord[] = [
  {
    uid: 'cluster1//v1/Pod/ns/source-workload',
    name: 'source-workload',
    namespace: 'ns',
    workloadIps: ['127.0.0.1', '::1'],
  },
  { uid: 'cluster1//v1/Pod/ns/waypoint', workloadIps: ['127.0.0.10'] },
  { uid: 'cluster1//v1/Pod/ns/dual-waypoint', workloadIps: ['127.0.0.11', 'ff06::c5'] },
]

export function judgeInbound({ state, connection, connectAuthority, expected }: InboundCase): Verdict {
  const snapshot = stateOf(state.services, state.workloads)
  const { address } = socketAddress(connection.dst)
  const local = snapshot.workloadByAddress('', address)
  if (!local) return failed(`nobody has the address ${address}`)
  const plan = planInbound(snapshot, local, connectAuthority)
  if (plan.kind === 'rejection') return same({ rejected: true }, expected)
  const { upstream, tunnelTarget } = plan
  const got = { upstream: formatAddress(upstream), tunnelTarget: tunnelTarget && formatAddress(tunnelTarget) }
  // Upstream asks for it only where it builds the whole request.
  return same('tunnelTarget' in expected ? got : { ...got, tunnelTarget: undefined }, expected)
}

export function judgeOutbound({ source, destination, addresses, expected }: OutboundCase): Verdict {
  if (expected.protocol === 'DOUBLEHBONE') return skipped('needs several networks (double HBONE)')
  const workloads = addresses.flatMap(({ workload }) => workload ?? [])
  const services = addresses.flatMap(({ service }) => service ?? [])
  const state = stateOf(services, [...OUTBOUND_BASE, ...workloads])
  const from = state.workloadByAddress('', source)
  if (!from) return failed(`nobody has the address ${source}`)
  const request = { source: from, destination: socketAddress(destination), random: new SeededRandom(1) }
  const plan = planOutbound(state, request)
  if (plan.kind === 'rejection') return same({ rejected: true }, { rejected: expected.rejected })
  const got = outboundResult(plan)
  return same('destinationWorkload' in expected ? got : { ...got, destinationWorkload: undefined }, expected)
}

function outboundResult(plan: OutboundPlan) {
  const destinationWorkload = plan.destination?.name ?? null
  if (plan.kind === 'tunnel') {
    const { authority, hboneAddress } = plan
    const destination = formatAddress(hboneAddress)
    return { protocol: 'HBONE', hboneDestination: authority, destination, destinationWorkload }
  }
  const { host, port } = plan.target
  const destination = formatAddress({ address: host, port })
  return { protocol: 'TCP', hboneDestination: '', destination, destinationWorkload }
}

export function judgeLoadBalance({ workloads, service, source, expected }: LoadBalanceCase): Verdict {
  const known = { ...service, name: 'svc', hostname: 'svc.default' }
  const state = stateOf([known], workloads)
  const from = workloadOf({ uid: 'x//Pod/default/source', ...source })
  const random = new SeededRandom(1)
  const chosen = new Set<string>()
  for (let pick = 0; pick < PICKS; pick += 1) {
    // A real ztunnel is told of no workload that it cannot reach; the lab's sorts them out itself, by scope and gateway.
    const endpoint = chooseEndpoint(state, from, serviceOf(known), 80, random, { networks: 'any' })
    if (endpoint) chosen.add(endpoint.workload.uid)
  }
  return same([...chosen].sort(), [...expected.possibleEndpoints].sort())
}

export function judgeUpstreamPort(item: UpstreamPortCase): Verdict {
  const { workload, service, destination, resolutionMode, expected } = item
  const state = stateOf([service], [workload])
  const known = serviceOf(service)
  const endpoint = state.endpointsOf(`${known.namespace}/${known.hostname}`).get(workload.uid)
  if (!endpoint) return failed(`${workload.uid} is no endpoint of ${known.hostname}`)
  const port = targetPortOf(endpoint, known, socketAddress(destination).port, resolutionMode === 'Waypoint')
  return same(port ?? null, expected.port ?? null)
}

/** @throws Error for what is no `ip:port` */
export function socketAddress(text: string): SocketAddress {
  const parsed = parseAuthority(text)
  if (!parsed) throw new Error(`not an address: ${text}`)
  return { address: parsed.host, port: parsed.port }
}

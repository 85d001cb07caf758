import type { SvidState } from '@ambient-lab/pki'
import { type Random, SeededRandom } from '@ambient-lab/std'
import type { Checkpoint, ReviewAnswer, ReviewHop, Service, SourceReviewQuery, Workload } from '@ambient-lab/xds'
import { formatAddress, type SocketAddress } from '../address.ts'
import { resolveHost } from '../capture/resolver.ts'
import { rejection } from '../errors.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { planEastWest } from '../waypoint/east-west-plan.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import {
  isSelfCall,
  type OutboundPlan,
  planOutbound,
  planUncaptured,
  type TunnelPlan,
} from '../ztunnel/outbound-plan.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { CheckpointWriter } from './checkpoint.ts'

export interface SourceReviewInit {
  readonly state: ProxyState
  readonly node: string
  readonly clusterDomain: string
  readonly local: LocalWorkload | undefined
  /** Of the local workload's identity. */
  readonly svid: SvidState | undefined
}

/** What the source's ztunnel would decide: capture, name, route, certificate. The endpoint is one that could be drawn. */
export function reviewSource(init: SourceReviewInit, { uid, host, port }: SourceReviewQuery): ReviewAnswer {
  const { state, node, clusterDomain, local, svid } = init
  const write = new CheckpointWriter(`ztunnel ${node}`)
  const source = state.workload(uid)
  if (!source || !local) {
    const unknown = rejection('SOURCE_UNKNOWN', `failed to fetch information about local workload: ${uid}`)
    return { checkpoints: [write.denied('capture', uid, unknown)] }
  }
  const checkpoints: Checkpoint[] = [
    local.captured
      ? write.ok('capture', source.name, 'captured by the mesh')
      : write.skipped(
          'capture',
          source.name,
          'not captured: bytes travel as they are, no policy of the source applies',
        ),
  ]
  const random = new SeededRandom(0)
  const ofClusterOnly = local.bypassesDnsCapture ?? false
  const { checkpoint, destination } = reviewName(write, state, { host, port, source, clusterDomain, ofClusterOnly })
  checkpoints.push(checkpoint)
  if (!destination) return { checkpoints }
  if (isSelfCall(local.address, destination)) return { checkpoints: [...checkpoints, ...selfCall(write, local, port)] }
  const request = { source, destination, random }
  const plan = local.captured ? planOutbound(state, request) : planUncaptured(state, request)
  if (plan.kind === 'rejection') {
    return { checkpoints: [...checkpoints, write.denied('route', formatAddress(destination), plan)] }
  }
  checkpoints.push(write.ok('route', plan.service?.hostname ?? formatAddress(destination), describeRoute(state, plan)))
  if (plan.kind === 'tunnel') {
    const certificate = write.certificate(factsOf(source).identity, svid)
    checkpoints.push(certificate)
    if (certificate.verdict === 'denied') return { checkpoints }
  }
  if (plan.kind === 'tunnel' && plan.inner) {
    const { identity } = factsOf(source)
    const sourceIp = source.addresses[0] ?? ''
    return reviewBehindGateway(write, checkpoints, { state, plan, identity, sourceIp, random })
  }
  const next = hopOf(plan, source)
  return { checkpoints, ...(next && { next }) }
}

export interface GatewayPassage {
  readonly state: ProxyState
  /** To the gateway. */
  readonly plan: TunnelPlan
  /** As whom the inner tunnel is opened. */
  readonly identity: string
  /** Of whom it is opened for. */
  readonly sourceIp: string
  readonly random: Random
  /** As `planEastWest` has it. */
  readonly sentBy?: string
}

/** The gateway of another network reads nothing of what it passes on: the next to decide is whom it picks. */
export function reviewBehindGateway(
  write: CheckpointWriter,
  checkpoints: readonly Checkpoint[],
  { state, plan, identity, sourceIp, random, sentBy }: GatewayPassage,
): ReviewAnswer {
  const { destination, authority } = plan
  const picked = planEastWest(state, destination, authority, random, sentBy)
  if (picked.kind === 'rejection') {
    return { checkpoints: [...checkpoints, write.denied('route', `gateway ${destination.name}`, picked)] }
  }
  const { workload, isWaypoint } = picked
  const detail = `leads to ${isWaypoint ? 'its waypoint, pod ' : ''}${workload.name}`
  const next: ReviewHop = {
    kind: isWaypoint ? 'waypoint' : 'destination',
    ...{ uid: workload.uid, node: workload.node, protocol: 'HBONE', authority },
    ...{ identity, sourceIp },
    ...serviceOf(plan.service),
  }
  return { checkpoints: [...checkpoints, write.ok('route', `gateway ${destination.name}`, detail)], next }
}

/** @returns also the address behind the name, unless the way ends here, or leads to where nobody knows any more */
export function reviewName(
  write: CheckpointWriter,
  state: ProxyState,
  asked: Omit<Parameters<typeof resolveHost>[1], 'random'> & { readonly port: number },
): { readonly checkpoint: Checkpoint; readonly destination?: SocketAddress } {
  const { host, port } = asked
  const resolution = resolveHost(state, { ...asked, random: new SeededRandom(0) })
  if (resolution.kind === 'unknown') {
    const unknown = rejection('UNKNOWN_HOST', `the mesh does not know the name ${host}`)
    return { checkpoint: write.denied('name', host, unknown) }
  }
  if (resolution.kind === 'external') {
    return { checkpoint: write.ok('name', host, 'not of the mesh: the DNS of the machine is asked') }
  }
  const destination = { address: resolution.address, port }
  return { checkpoint: write.ok('name', host, `is ${formatAddress(destination)}`), destination }
}

/** A workload's own loopback, as in a real pod: no tunnel and no policy. */
export function selfCall(
  write: CheckpointWriter,
  local: Pick<LocalWorkload, 'name' | 'dialTarget'>,
  port: number,
): readonly Checkpoint[] {
  const way = write.skipped('route', local.name, 'the workload itself: stays on its loopback, where no policy is asked')
  const listens = local.dialTarget(port) !== undefined
  const saw = `port ${port}`
  if (listens) return [way, write.ok('listener', saw, 'the application listens')]
  // Without a flag: of what is not captured there is no record.
  return [way, write.refused('listener', saw, `nothing listens on port ${port}`, {})]
}

function describeRoute(state: ProxyState, plan: OutboundPlan): string {
  if (!plan.destination) return 'not of the mesh: passed through as plain TCP'
  const { name } = plan.destination
  if (plan.kind === 'tunnel' && plan.inner) {
    return `through the gateway of network ${plan.destination.network}, pod ${name}`
  }
  if (isWaypointHop(plan)) return `through its waypoint, pod ${name}`
  const how = plan.kind === 'tunnel' ? 'HBONE' : 'plain TCP'
  const many = plan.service ? state.endpointsOf(serviceKeyOf(plan.service)).size : 1
  return many > 1 ? `${how} to one of ${many} endpoints, such as ${name}` : `${how} to ${name}`
}

/** A waypoint is asked for something that is not its own address. */
function isWaypointHop(plan: OutboundPlan): boolean {
  return plan.kind === 'tunnel' && !plan.destination.addresses.includes(plan.requested.address)
}

function hopOf(plan: OutboundPlan, source: Workload): ReviewHop | undefined {
  const { destination } = plan
  if (!destination) return undefined
  const tunnelled = plan.kind === 'tunnel'
  return {
    kind: isWaypointHop(plan) ? 'waypoint' : 'destination',
    uid: destination.uid,
    node: destination.node,
    protocol: tunnelled ? 'HBONE' : 'TCP',
    authority: tunnelled ? plan.authority : formatAddress({ address: plan.target.host, port: plan.target.port }),
    identity: tunnelled ? factsOf(source).identity : '',
    sourceIp: source.addresses[0] ?? '',
    ...serviceOf(plan.service),
  }
}

function serviceOf(service: Service | undefined): { readonly service?: string } {
  return service ? { service: serviceKeyOf(service) } : {}
}

import { formatSpiffeId, parseSpiffeId } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import type {
  DestinationReviewQuery,
  ReviewAnswer,
  ReviewedRequest,
  SourceReviewQuery,
  Workload,
} from '@ambient-lab/xds'
import { formatAddress, parseAuthority, type SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import { chooseOutbound, serviceAt } from '../sidecar/outbound-choice.ts'
import type { Sidecar, SidecarPod } from '../sidecar/sidecar.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import { planInbound } from '../ztunnel/inbound-plan.ts'
import { isSelfCall } from '../ztunnel/outbound-plan.ts'
import { CheckpointWriter } from './checkpoint.ts'
import { ReviewRequest } from './review-request.ts'
import { reviewName, selfCall } from './source-review.ts'
import { reviewArrival, type WaypointReviewInit } from './waypoint-review.ts'

export interface SidecarReviewInit extends WaypointReviewInit {
  readonly sidecar: Sidecar
  readonly pod: SidecarPod
  readonly clusterDomain: string
}

/** What a sidecar would decide about a connection or a request, of its workload or to it. */
export async function reviewSidecar(
  init: SidecarReviewInit,
  query: SourceReviewQuery | DestinationReviewQuery,
): Promise<ReviewAnswer> {
  const { state, uid, identity, svid, title } = init
  const write = new CheckpointWriter(title)
  const own = state.workload(uid)
  if (!own) {
    const unknown = rejection('SOURCE_UNKNOWN', `failed to fetch information about local workload: ${uid}`)
    return { checkpoints: [write.denied('capture', uid, unknown)] }
  }
  const certificate = write.certificate(formatSpiffeId(identity), svid)
  if (query.at === 'source') return reviewOutbound(init, write, own, query)
  if (query.protocol === 'TCP') return reviewInbound(init, write, own, query, [])
  return certificate.verdict === 'denied'
    ? { checkpoints: [certificate] }
    : reviewInbound(init, write, own, query, [certificate])
}

async function reviewOutbound(
  init: SidecarReviewInit,
  write: CheckpointWriter,
  own: Workload,
  { host, port, request }: SourceReviewQuery,
): Promise<ReviewAnswer> {
  const { state, sidecar, pod, clusterDomain } = init
  const captured = write.ok('capture', pod.name, 'goes out through its sidecar, past every waypoint')
  const { checkpoint, destination } = reviewName(write, state, { host, port, source: own, clusterDomain })
  const checkpoints = [captured, checkpoint]
  if (!destination) return { checkpoints }
  if (isSelfCall(pod.address, destination)) {
    const local = { name: pod.name, dialTarget: (target: number) => pod.targetOf(target) }
    return { checkpoints: [...checkpoints, ...selfCall(write, local, port)] }
  }
  const service = serviceAt(state, own, destination)
  const chain = chooseOutbound(sidecar.routes, service, port)
  const facts = factsOf(own.addresses[0] ?? '', destination, '')
  const asked = { authority: formatAddress(destination), request: ReviewRequest.of(request ?? plain(host)) }
  return reviewArrival(init, write, { ...asked, arrival: { chain, facts } }, checkpoints)
}

async function reviewInbound(
  init: SidecarReviewInit,
  write: CheckpointWriter,
  own: Workload,
  query: DestinationReviewQuery,
  before: ReviewAnswer['checkpoints'],
): Promise<ReviewAnswer> {
  const { sidecar, pod, state } = init
  const { protocol, authority, identity, sourceIp, request } = query
  const target = targetOf(state, own, query)
  if ('kind' in target) return { checkpoints: [...before, write.denied('authority', authority, target)] }
  const chain = sidecar.inboundChain(target.port)
  if (!chain) {
    const reason = `no filter chain for ${authority}`
    return { checkpoints: [...before, write.refused('chain', authority, reason, { httpStatus: 503 })] }
  }
  if (protocol === 'TCP' && chain.source.mutualTls === 'STRICT') {
    const reason = 'PeerAuthentication STRICT: plaintext is not let in'
    return { checkpoints: [...before, write.refused('chain', 'plaintext', reason, { responseFlags: 'NR' })] }
  }
  const arrival = { chain, facts: factsOf(sourceIp, target, identity) }
  const asked = { authority, arrival, request: ReviewRequest.of(request ?? plain(authority)) }
  const { checkpoints } = await reviewArrival(init, write, asked, before)
  if (checkpoints.at(-1)?.point !== 'endpoint') return { checkpoints }
  const saw = `port ${target.port}`
  const listener = pod.targetOf(target.port)
    ? write.ok('listener', saw, 'the application listens')
    : write.refused('listener', saw, `nothing listens on port ${target.port}`, { httpStatus: 503, responseFlags: 'UF' })
  return { checkpoints: [...checkpoints, listener] }
}

function targetOf(
  state: ProxyState,
  own: Workload,
  { protocol, authority }: DestinationReviewQuery,
): SocketAddress | Rejection {
  if (protocol === 'HBONE') {
    const plan = planInbound(state, own, authority)
    return plan.kind === 'rejection' ? plan : plan.upstream
  }
  const parsed = parseAuthority(authority)
  if (!parsed?.isIp) return rejection('AUTHORITY_INVALID', `${authority} is no address`)
  return { address: parsed.host, port: parsed.port }
}

function factsOf(sourceIp: string, destination: SocketAddress, identity: string): ConnectionFacts {
  return new ConnectionFacts({
    sourceIp,
    destinationIp: destination.address,
    destinationPort: destination.port,
    identity: identity === '' ? undefined : parseSpiffeId(identity),
  })
}

function plain(authority: string): ReviewedRequest {
  return { method: 'GET', path: '/', authority, headers: {} }
}

import { formatSpiffeId, parseSpiffeId, type SpiffeId, type SvidState } from '@ambient-lab/pki'
import {
  ConnectionFacts,
  evaluateDryRuns,
  explainRequest,
  type Facts,
  type HttpPolicies,
  type JwtPayload,
  RequestFacts,
} from '@ambient-lab/policy'
import { type Clock, SeededRandom } from '@ambient-lab/std'
import type { Checkpoint, PolicyReview, ReviewAnswer, ReviewHop, Service, WaypointReviewQuery } from '@ambient-lab/xds'
import { formatAddress, parseAuthority } from '../address.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import type { Guard } from '../waypoint/filter.ts'
import type { CompiledRoute, HttpRuntime } from '../waypoint/http-runtime.ts'
import type { KeptRequest } from '../waypoint/kept-request.ts'
import { destinationKeys } from '../waypoint/listener.ts'
import { LOCAL_REPLIES, type LocalReply } from '../waypoint/local-replies.ts'
import type { CompiledChain, ProxyConfig } from '../waypoint/proxy-config.ts'
import type { RequestDecisions } from '../waypoint/request-decisions.ts'
import type { Clusters } from '../waypoint/upstream/clusters.ts'
import { isPlaintext } from '../waypoint/upstream/endpoint-dialer.ts'
import type { NetworkDoor, UpstreamHost } from '../waypoint/upstream/host.ts'
import { describeLeftOut } from '../waypoint/upstream/other-networks.ts'
import { planToNetwork } from '../ztunnel/outbound-plan.ts'
import { CheckpointWriter } from './checkpoint.ts'
import { policyReview } from './policy-review.ts'
import { requestFix } from './request-fix.ts'
import { ReviewRequest } from './review-request.ts'
import { withoutSecrets } from './secrets.ts'
import { reviewBehindGateway } from './source-review.ts'

export interface WaypointReviewInit {
  /** As its checkpoints name it. */
  readonly title: string
  readonly clock: Clock
  readonly state: ProxyState
  readonly config: ProxyConfig
  readonly clusters: Clusters
  /** Whose pod it is. */
  readonly uid: string
  readonly identity: SpiffeId
  readonly svid: SvidState | undefined
  /** Of this proxy: what a fix would turn besides. */
  readonly decisions: RequestDecisions
}

/** What a waypoint would decide about a request: certificate, chain, CUSTOM, JWT, DENY, ALLOW, route, endpoint. */
export function reviewWaypoint(init: WaypointReviewInit, query: WaypointReviewQuery): Promise<ReviewAnswer> {
  const arrival = arrivalOf(init, query)
  return review(init, query.authority, arrival, ReviewRequest.of(query.request))
}

/** What it would decide now about a request that was sent, with all that the request was, header lines and token too. */
export async function reviewKept(init: WaypointReviewInit, kept: KeptRequest): Promise<ReviewAnswer> {
  const { chain, facts, head } = kept
  const { connection } = facts
  const { destinationIp: address, destinationPort: port } = connection.init
  const current = init.config.chain(chain)
  const arrival = current ? { chain: current, facts: connection } : `the filter chain ${chain} is gone`
  const answer = await review(
    init,
    formatAddress({ address, port }),
    arrival,
    new ReviewRequest(head),
    kept.authorizerRefusal,
  )
  return { ...answer, checkpoints: withoutSecrets(answer.checkpoints, head) }
}

/** Something that has come to a filter chain. */
export interface ReviewArrival {
  readonly chain: CompiledChain
  readonly facts: ConnectionFacts
}

/**
 * @param arrival the chain that it comes to, or why there is none
 * @param said how an authorizer refused this very request, where one did
 */
async function review(
  init: WaypointReviewInit,
  authority: string,
  arrival: ReviewArrival | string,
  request: ReviewRequest,
  said?: KeptRequest['authorizerRefusal'],
): Promise<ReviewAnswer> {
  const { title, identity, svid } = init
  const write = new CheckpointWriter(title)
  const certificate = write.certificate(formatSpiffeId(identity), svid)
  if (certificate.verdict === 'denied') return { checkpoints: [certificate] }
  if (typeof arrival === 'string') {
    return { checkpoints: [certificate, write.refused('chain', authority, arrival, { httpStatus: 503 })] }
  }
  return reviewArrival(init, write, { authority, arrival, request, said }, [certificate])
}

export interface ReviewedArrival {
  readonly authority: string
  readonly arrival: ReviewArrival
  readonly request: ReviewRequest
  /** How an authorizer refused this very request, where one did. */
  readonly said?: KeptRequest['authorizerRefusal']
}

/** From the filter chain on, the same in each L7 proxy: CUSTOM, JWT, DENY, ALLOW, route, endpoint. */
export async function reviewArrival(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  { authority, arrival, request, said }: ReviewedArrival,
  before: readonly Checkpoint[],
): Promise<ReviewAnswer> {
  const { chain, facts } = arrival
  const kind = chain.http ? 'HTTP' : 'TCP'
  const found = write.ok('chain', authority, `${chain.source.name}, ${kind}`)
  if (!chain.http) return reviewConnection(init, write, arrival, [...before, found])
  const checkpoints = [...before, found, ...(await guardCheckpoints(init, write, arrival, request, said))]
  if (checkpoints.at(-1)?.verdict === 'denied') return { checkpoints }
  return reviewRoute(init, write, chain.http, request, facts, checkpoints)
}

function arrivalOf({ state, config, uid }: WaypointReviewInit, query: WaypointReviewQuery): ReviewArrival | string {
  const own = state.workload(uid)
  const destination = parseAuthority(query.authority)
  if (!own || !destination) return `unknown destination: ${query.authority}`
  const { host, port } = destination
  const workload = state.workloadByAddress(own.network, host)
  const service: Service | undefined = workload
    ? undefined
    : (state.serviceByVip(own.network, host, undefined) ?? state.serviceByHostname(host, own.namespace))
  const chain = config.find(destinationKeys(workload, service, port))
  if (!chain) return `no filter chain for ${query.authority}`
  const identity = parseSpiffeId(query.identity)
  const facts = new ConnectionFacts({ sourceIp: query.sourceIp, destinationIp: host, destinationPort: port, identity })
  return { chain, facts }
}

/** Of a connection whose bytes nobody reads: policies, then the first backend. */
function reviewConnection(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  { chain, facts }: ReviewArrival,
  before: readonly Checkpoint[],
): ReviewAnswer {
  const { tcpPolicies } = chain
  const custom = tcpPolicies ? customCheckpoint(write, facts, tcpPolicies, 'a connection') : []
  if (custom.at(-1)?.verdict === 'denied') return { checkpoints: [...before, ...custom] }
  const decided = tcpPolicies ? policyCheckpoints(init, write, chain, facts, tcpPolicies) : []
  const checkpoints = [...before, ...custom, ...decided]
  if (checkpoints.at(-1)?.verdict === 'denied') return { checkpoints }
  const route = chain.source.tcp?.routes[0]
  const cluster = route?.backends.find(({ weight }) => weight > 0)?.cluster
  return withEndpoint(init, write, cluster, facts, [
    ...checkpoints,
    write.ok('route', route?.name ?? '-', cluster ?? '-'),
  ])
}

/** In the order of the filters: CUSTOM knows no token yet. */
async function guardCheckpoints(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  { chain, facts: connection }: ReviewArrival,
  request: ReviewRequest,
  said: KeptRequest['authorizerRefusal'],
): Promise<Checkpoint[]> {
  const { policies, authenticator } = chain.guard
  const custom = policies
    ? customCheckpoint(write, new RequestFacts(connection, request), policies, request.line, { httpStatus: 403, said })
    : []
  if (custom.at(-1)?.verdict === 'denied') return custom
  const { checkpoint: token, judged } = await tokenCheckpoint(write, authenticator, request, init.clock)
  const checkpoints = [...custom, token]
  if (token.verdict === 'denied') return checkpoints
  if (!policies) return [...checkpoints, write.skipped('allow', request.line, 'no policy applies: everybody may')]
  return [
    ...checkpoints,
    ...policyCheckpoints(init, write, chain, new RequestFacts(connection, judged), policies, judged),
  ]
}

interface CustomAnswer {
  /** Of a refusal; a connection has none. */
  readonly httpStatus?: number
  /** How an authorizer refused this very request, where one did. */
  readonly said?: KeptRequest['authorizerRefusal']
}

function customCheckpoint(
  write: CheckpointWriter,
  facts: Facts,
  policies: HttpPolicies,
  saw: string,
  { httpStatus, said }: CustomAnswer = {},
): Checkpoint[] {
  const { custom, policies: explanations } = explainRequest(facts, policies)
  if (!custom) return []
  const reviews = explanations.map(policyReview).filter(({ action }) => action === 'CUSTOM')
  if ('allowed' in custom) {
    const refusal = httpStatus === undefined ? {} : { httpStatus }
    return [{ ...write.refused('custom', saw, custom.details, refusal), policies: reviews }]
  }
  if (said) {
    const { status, reason } = said
    const then = `${custom.ask.join(', ')}: ${reason} then; what it says now is not known before it is asked`
    return [{ ...write.refused('custom', saw, then, status >= 400 ? { httpStatus: status } : {}), policies: reviews }]
  }
  const asked = `${custom.ask.join(', ')} would be asked: what it says is not known before`
  return [{ ...write.skipped('custom', saw, asked), policies: reviews }]
}

async function tokenCheckpoint(
  write: CheckpointWriter,
  authenticator: Guard['authenticator'],
  request: ReviewRequest,
  clock: Clock,
): Promise<{ readonly checkpoint: Checkpoint; readonly judged: ReviewRequest }> {
  const saw = request.token
  if (!authenticator)
    return { checkpoint: write.skipped('jwt', saw, 'no RequestAuthentication applies'), judged: request }
  const verdict = await authenticator.authenticate(request, clock.now() / 1000)
  if (!verdict.accepted) {
    return { checkpoint: write.refused('jwt', saw, verdict.body, { httpStatus: verdict.status }), judged: request }
  }
  const checkpoint = verdict.payload
    ? write.ok('jwt', saw, `accepted: ${principalOf(verdict.payload)}`)
    : write.skipped('jwt', saw, 'no token, which is no fault by itself')
  return { checkpoint, judged: request.accepted(verdict) }
}

function policyCheckpoints(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  { source }: CompiledChain,
  facts: ConnectionFacts | RequestFacts,
  policies: HttpPolicies,
  request?: ReviewRequest,
): Checkpoint[] {
  const { verdict, policies: explanations } = explainRequest(facts, policies)
  const reviews = explanations.map(policyReview)
  const of = (action: string) => ({ policies: reviews.filter((review) => review.action === action) })
  const saw = request?.line ?? 'a connection'
  const noted = [...auditCheckpoint(write, saw, of('AUDIT').policies), ...dryRunCheckpoint(write, saw, facts, policies)]
  if (verdict.allowed) {
    const reason = verdict.policy === undefined ? 'no ALLOW policy applies: everybody may' : `${verdict.policy} matches`
    const passed = { ...write.ok('deny', saw, 'no DENY policy matches'), ...of('DENY') }
    return [...noted, passed, { ...write.ok('allow', saw, reason), ...of('ALLOW') }]
  }
  const isDenied = verdict.policy !== undefined
  const reason = isDenied ? `explicitly denied by: ${verdict.policy}` : 'allow policies exist, but none allowed'
  const refusal = write.refused(isDenied ? 'deny' : 'allow', saw, reason, request ? { httpStatus: 403 } : {})
  const [namespace = 'default'] = (reviews[0]?.policy ?? '').split('/')
  const fix = requestFix(init, facts, policies, { chain: source, namespace })
  return [...noted, { ...refusal, ...of(isDenied ? 'DENY' : 'ALLOW'), ...fix }]
}

/** AUDIT stops nothing: what it matches is marked for whoever logs. */
function auditCheckpoint(write: CheckpointWriter, saw: string, policies: readonly PolicyReview[]): Checkpoint[] {
  if (policies.length === 0) return []
  const matched = policies.find((policy) => policy.matched)
  if (!matched) return [{ ...write.skipped('audit', saw, 'no AUDIT policy matches'), policies }]
  return [{ ...write.ok('audit', saw, `${matched.policy} matches: marked for the access log, not stopped`), policies }]
}

/** What would be decided if policies in dry run were in force, of each action alone: as Envoy's shadow engines have it. */
function dryRunCheckpoint(
  write: CheckpointWriter,
  saw: string,
  facts: ConnectionFacts | RequestFacts,
  policies: HttpPolicies,
): Checkpoint[] {
  const results = evaluateDryRuns(facts, policies)
  if (!results) return []
  const { deny, allow } = results
  const words = [
    deny && (deny.policy === undefined ? 'no DENY would refuse it' : `DENY ${deny.policy} would refuse it`),
    allow && (allow.policy === undefined ? 'no ALLOW would let it in' : `ALLOW ${allow.policy} would let it in`),
  ]
  return [write.skipped('dry-run', saw, `not enforced: ${words.filter(Boolean).join('; ')}`)]
}

function reviewRoute(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  runtime: HttpRuntime,
  request: ReviewRequest,
  connection: ConnectionFacts,
  checkpoints: readonly Checkpoint[],
): ReviewAnswer {
  const route = runtime.routes.find(request)
  if (!route)
    return { checkpoints: [...checkpoints, write.answered('route', request.line, LOCAL_REPLIES.ROUTE_NOT_FOUND)] }
  const own = ownAnswer(route)
  if (own)
    return { checkpoints: [...checkpoints, { ...write.ok('route', request.line, own.reason), httpStatus: own.status }] }
  const backend = route.backends[0]
  if (!backend)
    return { checkpoints: [...checkpoints, write.answered('route', request.line, LOCAL_REPLIES.INVALID_BACKEND)] }
  const shares = route.backends.map(({ cluster = 'nowhere', weight }) => `${cluster} ${weight}/${route.totalWeight}`)
  const taken = write.ok('route', request.line, `${route.source.name} to ${shares.join(', ')}`)
  return withEndpoint(init, write, backend.cluster, connection, [...checkpoints, taken])
}

/** Routes that answer without a backend. */
function ownAnswer({ source }: CompiledRoute): { readonly status: number; readonly reason: string } | undefined {
  const { action } = source
  if (action.kind === 'redirect') {
    return { status: action.redirect.status, reason: `${source.name} redirects with ${action.redirect.status}` }
  }
  if (action.kind === 'direct-response')
    return { status: action.status, reason: `${source.name} answers ${action.status}` }
  return undefined
}

function withEndpoint(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  name: string | undefined,
  connection: ConnectionFacts,
  checkpoints: readonly Checkpoint[],
): ReviewAnswer {
  const { state, clusters, uid, identity } = init
  const refuse = (reply: LocalReply) => ({
    checkpoints: [...checkpoints, write.answered('endpoint', name ?? '-', reply)],
  })
  if (name === undefined) return refuse(LOCAL_REPLIES.INVALID_BACKEND)
  const cluster = clusters.get(name)
  if (!cluster) return refuse(LOCAL_REPLIES.CLUSTER_NOT_FOUND)
  const { kind } = cluster.config.endpoints
  if (kind === 'local' || kind === 'original-destination') {
    return { checkpoints: [...checkpoints, write.ok('endpoint', name, 'to where it was dialled')] }
  }
  const healthy = cluster.hosts.filter(({ health }) => !health.isEjected)
  const [host] = healthy
  if (!host) {
    const { body } = LOCAL_REPLIES.NO_HEALTHY_UPSTREAM
    const reason = [body, ...cluster.leftOut.map(describeLeftOut)].join('; ')
    return refuse({ ...LOCAL_REPLIES.NO_HEALTHY_UPSTREAM, body: reason })
  }
  if (host.isService) {
    const chosen = write.ok(
      'endpoint',
      name,
      `${host.address}, through the waypoint of the service, which decides again`,
    )
    return { checkpoints: [...checkpoints, chosen] }
  }
  if (host.network) {
    const found = { name, host, network: host.network, count: healthy.length }
    return throughNetwork(init, write, found, connection, checkpoints)
  }
  const many = healthy.length > 1 ? `one of ${healthy.length} endpoints, such as ` : ''
  const workload = host.workload
  const chosen = write.ok('endpoint', name, `${many}${workload?.name ?? host.address}`)
  const answer = { checkpoints: [...checkpoints, chosen] }
  if (!workload?.node) return answer
  const own = state.workload(uid)
  const inTheClear = own?.sidecar !== undefined && isPlaintext(workload, host.port, cluster.config.plaintext)
  const tunnelled = workload.tunnelProtocol === 'HBONE' && !inTheClear
  const next: ReviewHop = {
    kind: 'destination',
    uid: workload.uid,
    node: workload.node,
    protocol: tunnelled ? 'HBONE' : 'TCP',
    authority: formatAddress({ address: host.host, port: host.port }),
    identity: tunnelled ? formatSpiffeId(identity) : '',
    sourceIp: connection.init.sourceIp || (own?.addresses[0] ?? ''),
  }
  return { ...answer, next }
}

/** An endpoint of another network: its gateway picks, and reads nothing. */
function throughNetwork(
  { state, config, uid, identity }: WaypointReviewInit,
  write: CheckpointWriter,
  found: {
    readonly name: string
    readonly host: UpstreamHost
    readonly network: NetworkDoor
    readonly count: number
  },
  connection: ConnectionFacts,
  before: readonly Checkpoint[],
): ReviewAnswer {
  const { name, host, network, count } = found
  const source = state.workload(uid)
  const service = state.service(network.service)
  if (!source || !service) {
    return { checkpoints: [...before, write.answered('endpoint', name, LOCAL_REPLIES.NO_HEALTHY_UPSTREAM)] }
  }
  const sentBy = config.proxy.kind
  const random = new SeededRandom(0)
  const request = { source, random, service, servicePort: host.port, network: network.name, gateway: network.gateway }
  const plan = planToNetwork(state, { ...request, sentBy })
  if (plan.kind === 'rejection') {
    const refusal = { httpStatus: 503, responseFlags: 'UF' }
    return { checkpoints: [...before, write.refused('endpoint', name, plan.reason, refusal)] }
  }
  const many = count > 1 ? `one of ${count} ways, such as ` : ''
  const way = `${many}through the gateway of network ${network.name}, pod ${plan.destination.name}`
  const sourceIp = connection.init.sourceIp || (source.addresses[0] ?? '')
  const passage = { state, plan, identity: formatSpiffeId(identity), sourceIp, random, sentBy }
  return reviewBehindGateway(write, [...before, write.ok('endpoint', name, way)], passage)
}

function principalOf({ iss, sub }: JwtPayload): string {
  return `${String(iss ?? '')}/${String(sub ?? '')}`
}

import { formatSpiffeId, parseSpiffeId, type SpiffeId, type SvidState } from '@ambient-lab/pki'
import {
  ConnectionFacts,
  explainRequest,
  type HttpPolicies,
  type JwtPayload,
  RequestFacts,
  type TokenRequest,
} from '@ambient-lab/policy'
import type { Clock } from '@ambient-lab/std'
import type {
  Checkpoint,
  ReviewAnswer,
  ReviewedRequest,
  ReviewHop,
  Service,
  WaypointReviewQuery,
} from '@ambient-lab/xds'
import { formatAddress, parseAuthority } from '../address.ts'
import { HeaderMap } from '../http1/index.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import type { Guard } from '../waypoint/filter.ts'
import type { CompiledRoute, HttpRuntime } from '../waypoint/http-runtime.ts'
import { destinationKeys } from '../waypoint/listener.ts'
import { LOCAL_REPLIES, type LocalReply } from '../waypoint/local-replies.ts'
import type { CompiledChain, ProxyConfig } from '../waypoint/proxy-config.ts'
import type { RequestDecisions } from '../waypoint/request-decisions.ts'
import type { Clusters } from '../waypoint/upstream/clusters.ts'
import { isPlaintext } from '../waypoint/upstream/endpoint-dialer.ts'
import { CheckpointWriter } from './checkpoint.ts'
import { policyReview } from './policy-review.ts'
import { requestFix } from './request-fix.ts'

export interface WaypointReviewInit {
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
export async function reviewWaypoint(init: WaypointReviewInit, query: WaypointReviewQuery): Promise<ReviewAnswer> {
  const { config, identity, svid } = init
  const write = new CheckpointWriter(`waypoint ${config.name}`)
  const certificate = write.certificate(formatSpiffeId(identity), svid)
  if (certificate.verdict === 'denied') return { checkpoints: [certificate] }
  const arrival = arrivalOf(init, query)
  if (typeof arrival === 'string') {
    return { checkpoints: [certificate, write.refused('chain', query.authority, arrival, { httpStatus: 503 })] }
  }
  return reviewArrival(init, write, arrival, query, [certificate])
}

/** Something that has come to a filter chain. */
export interface ReviewArrival {
  readonly chain: CompiledChain
  readonly facts: ConnectionFacts
}

/** What is asked about it. */
export type ReviewedArrival = Pick<WaypointReviewQuery, 'authority' | 'sourceIp' | 'request'>

/** From the filter chain on, the same in each L7 proxy: CUSTOM, JWT, DENY, ALLOW, route, endpoint. */
export async function reviewArrival(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  arrival: ReviewArrival,
  query: ReviewedArrival,
  before: readonly Checkpoint[],
): Promise<ReviewAnswer> {
  const { chain, facts } = arrival
  const kind = chain.http ? 'HTTP' : 'TCP'
  const found = write.ok('chain', query.authority, `${chain.source.name}, ${kind}`)
  if (!chain.http) return reviewConnection(init, write, arrival, query, [...before, found])
  const request = new ReviewRequest(query.request)
  const checkpoints = [...before, found, ...(await guardCheckpoints(init, write, chain, facts, request))]
  if (checkpoints.at(-1)?.verdict === 'denied') return { checkpoints }
  return reviewRoute(init, write, chain.http, request, query, checkpoints)
}

function arrivalOf({ state, config, uid }: WaypointReviewInit, query: WaypointReviewQuery): ReviewArrival | string {
  const own = state.workload(uid)
  const destination = parseAuthority(query.authority)
  if (!own || !destination) return `unknown destination: ${query.authority}`
  const { host, port } = destination
  const workload = state.workloadByAddress(own.network, host)
  const service: Service | undefined = workload ? undefined : state.serviceByVip(own.network, host, undefined)
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
  query: ReviewedArrival,
  before: readonly Checkpoint[],
): ReviewAnswer {
  const decided = chain.tcpPolicies ? policyCheckpoints(init, write, chain, facts, chain.tcpPolicies) : []
  const checkpoints = [...before, ...decided]
  if (checkpoints.at(-1)?.verdict === 'denied') return { checkpoints }
  const route = chain.source.tcp?.routes[0]
  const cluster = route?.backends.find(({ weight }) => weight > 0)?.cluster
  return withEndpoint(init, write, cluster, query, [
    ...checkpoints,
    write.ok('route', route?.name ?? '-', cluster ?? '-'),
  ])
}

/** In the order of the filters: CUSTOM knows no token yet. */
async function guardCheckpoints(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  chain: CompiledChain,
  connection: ConnectionFacts,
  request: ReviewRequest,
): Promise<Checkpoint[]> {
  const { policies, authenticator } = chain.guard
  const custom = policies ? customCheckpoint(write, new RequestFacts(connection, request), policies, request.line) : []
  if (custom.at(-1)?.verdict === 'denied') return custom
  const token = await tokenCheckpoint(write, authenticator, request, init.clock)
  const checkpoints = [...custom, token]
  if (token.verdict === 'denied') return checkpoints
  if (!policies) return [...checkpoints, write.skipped('allow', request.line, 'no policy applies: everybody may')]
  return [
    ...checkpoints,
    ...policyCheckpoints(init, write, chain, new RequestFacts(connection, request), policies, request),
  ]
}

function customCheckpoint(
  write: CheckpointWriter,
  facts: RequestFacts,
  policies: HttpPolicies,
  saw: string,
): Checkpoint[] {
  const { custom, policies: explanations } = explainRequest(facts, policies)
  if (!custom) return []
  const reviews = explanations.map(policyReview).filter(({ action }) => action === 'CUSTOM')
  if ('allowed' in custom) {
    return [{ ...write.refused('custom', saw, custom.details, { httpStatus: 403 }), policies: reviews }]
  }
  const asked = `${custom.ask.join(', ')} would be asked: what it says is not known before`
  return [{ ...write.skipped('custom', saw, asked), policies: reviews }]
}

async function tokenCheckpoint(
  write: CheckpointWriter,
  authenticator: Guard['authenticator'],
  request: ReviewRequest,
  clock: Clock,
): Promise<Checkpoint> {
  if (!authenticator) return write.skipped('jwt', request.token, 'no RequestAuthentication applies')
  const verdict = await authenticator.authenticate(request, clock.now() / 1000)
  if (!verdict.accepted) return write.refused('jwt', request.token, verdict.body, { httpStatus: verdict.status })
  request.jwt = verdict.payload
  return verdict.payload
    ? write.ok('jwt', request.token, `accepted: ${principalOf(verdict.payload)}`)
    : write.skipped('jwt', request.token, 'no token, which is no fault by itself')
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
  if (verdict.allowed) {
    const reason = verdict.policy === undefined ? 'no ALLOW policy applies: everybody may' : `${verdict.policy} matches`
    const passed = { ...write.ok('deny', saw, 'no DENY policy matches'), ...of('DENY') }
    return [passed, { ...write.ok('allow', saw, reason), ...of('ALLOW') }]
  }
  const isDenied = verdict.policy !== undefined
  const reason = isDenied ? `explicitly denied by: ${verdict.policy}` : 'allow policies exist, but none allowed'
  const refusal = write.refused(isDenied ? 'deny' : 'allow', saw, reason, request ? { httpStatus: 403 } : {})
  const [namespace = 'default'] = (reviews[0]?.policy ?? '').split('/')
  const fix = requestFix(init, facts, policies, { chain: source, namespace })
  return [{ ...refusal, ...of(isDenied ? 'DENY' : 'ALLOW'), ...fix }]
}

function reviewRoute(
  init: WaypointReviewInit,
  write: CheckpointWriter,
  runtime: HttpRuntime,
  request: ReviewRequest,
  query: ReviewedArrival,
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
  return withEndpoint(init, write, backend.cluster, query, [...checkpoints, taken])
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
  { state, clusters, uid, identity }: WaypointReviewInit,
  write: CheckpointWriter,
  name: string | undefined,
  query: ReviewedArrival,
  checkpoints: readonly Checkpoint[],
): ReviewAnswer {
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
  if (!host) return refuse(LOCAL_REPLIES.NO_HEALTHY_UPSTREAM)
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
    sourceIp: query.sourceIp || (own?.addresses[0] ?? ''),
  }
  return { ...answer, next }
}

/** A request that nobody sends, as filters and routes ask about one. */
class ReviewRequest implements TokenRequest {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly scheme = 'http'
  readonly headers = new HeaderMap()
  jwt: JwtPayload | undefined

  constructor({ method, authority, path, headers }: ReviewedRequest) {
    this.method = method
    this.authority = authority
    this.path = path
    for (const [name, value] of Object.entries(headers)) this.headers.append(name.toLowerCase(), value)
  }

  /** For people. */
  get line(): string {
    return `${this.method} ${this.path}`
  }

  get token(): string {
    return this.headers.has('authorization') ? 'a token' : 'no token'
  }

  header(name: string): string | undefined {
    return this.headers.getJoined(name)
  }
}

function principalOf({ iss, sub }: JwtPayload): string {
  return `${String(iss ?? '')}/${String(sub ?? '')}`
}

import { formatSpiffeId } from '@ambient-lab/pki'
import type { Clock } from '@ambient-lab/std'
import { uuid } from '../random-id.ts'
import { GrpcMessageCounter } from './grpc/message-counter.ts'
import type { HttpRuntime } from './http-runtime.ts'
import { type DownstreamExchange, type HttpRequest, HttpStream } from './http-stream.ts'
import { LOCAL_REPLIES, type LocalReply } from './local-replies.ts'
import { normalizePath } from './path-normalization.ts'
import { type DownstreamPeer, RequestRecord } from './request-record.ts'
import { isGrpc } from './router/route-table.ts'

export interface RequestIntake {
  readonly runtime: HttpRuntime
  readonly clock: Clock
  readonly peer: DownstreamPeer
  readonly request: HttpRequest
  readonly protocol: RequestRecord['protocol']
  readonly exchange: DownstreamExchange
  /** When the head had come, on the monotonic clock. */
  readonly startedMs: number
}

/**
 * A head that arrived becomes a stream: recorded, judged, its path normalized, the fields added that Envoy adds on the
 * way in, and its route found. What is refused without asking anybody comes with the answer, and has no route.
 */
export function takeIn(intake: RequestIntake): {
  readonly stream: HttpStream
  readonly refusal: LocalReply | undefined
} {
  const { runtime, clock, peer, request, protocol, exchange, startedMs } = intake
  const record = new RequestRecord({ peer, startedAtMs: clock.now(), startedMs })
  record.method = request.method
  record.path = request.path
  record.authority = request.authority
  record.protocol = protocol
  record.requestHeaders = request.headers
  record.isGrpc = isGrpc(request.headers.get('content-type'))
  if (record.isGrpc) {
    record.requestMessages = new GrpcMessageCounter()
    runtime.recorder.began(record)
  }
  const refusal = refusalOf(request, protocol, runtime)
  if (!refusal) prepare(request, peer, record, runtime)
  const route = refusal ? undefined : runtime.routes.find(request)
  if (route) record.routeName = route.source.name
  return { stream: new HttpStream({ runtime, peer, request, record, route, exchange }), refusal }
}

function refusalOf(
  request: HttpRequest,
  protocol: RequestRecord['protocol'],
  runtime: HttpRuntime,
): LocalReply | undefined {
  if (protocol === 'HTTP/1.0') return LOCAL_REPLIES.LOW_VERSION
  if (request.authority === '') return LOCAL_REPLIES.MISSING_HOST
  // A tunnel through a tunnel: Envoy wants a route that says so, and Istio never writes one for a waypoint.
  if (request.method === 'CONNECT') return LOCAL_REPLIES.ROUTE_NOT_FOUND
  const path = normalizePath(request.path, runtime.proxy.pathNormalization)
  if (path === undefined) return LOCAL_REPLIES.PATH_REJECTED
  request.path = path
  return undefined
}

function prepare(
  { headers, scheme }: HttpRequest,
  peer: DownstreamPeer,
  record: RequestRecord,
  runtime: HttpRuntime,
): void {
  // At the edge of the mesh nobody's word counts but the socket's.
  if (runtime.proxy.kind === 'gateway') {
    const before = headers.getJoined('x-forwarded-for')
    headers.set('x-forwarded-for', before === undefined ? peer.address.address : `${before},${peer.address.address}`)
    headers.set('x-forwarded-proto', peer.scheme)
  } else if (!headers.has('x-forwarded-proto')) {
    headers.append('x-forwarded-proto', scheme)
  }
  const requestId = headers.get('x-request-id')
  record.requestId = requestId ?? uuid(runtime.random)
  if (requestId === undefined) headers.append('x-request-id', record.requestId)
  else headers.set('x-request-id', requestId)
  // What a client says of itself counts for nothing: only who ends mutual TLS may write it.
  headers.delete('x-forwarded-client-cert')
  const certificate = peer.clientCertificate ?? clientNamed(runtime, peer)
  if (certificate !== undefined) headers.set('x-forwarded-client-cert', certificate)
  runtime.recorder.tellingOf(peer).tracing?.begin(record, headers)
}

/** What a waypoint says of a client where it is to. */
function clientNamed({ proxy }: HttpRuntime, { identity }: DownstreamPeer): string | undefined {
  return proxy.kind === 'waypoint' && proxy.namesClients && identity ? `URI=${formatSpiffeId(identity)}` : undefined
}

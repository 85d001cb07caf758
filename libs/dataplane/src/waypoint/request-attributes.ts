import { formatSpiffeId } from '@ambient-lab/pki'
import {
  type Attribute,
  type Attributes,
  type CelBindings,
  celBindings,
  Milliseconds,
  Unsigned,
} from '@ambient-lab/policy'
import type { Workload } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import type { HttpFlag } from './local-replies.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'

/** Undefined: the request has none of it, or not yet. */
type Lookup = (record: RequestRecord) => Attribute | undefined
type Lookups = Readonly<Record<string, Lookup>>

/**
 * What expressions may ask about a request or a connection: Envoy's attributes, and what Istio tells of the peers.
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
 */
export class RequestAttributes {
  readonly #bindings: CelBindings
  #record: RequestRecord | undefined
  #withHeads = true

  constructor() {
    const peers = { downstream_peer: this.#of(DOWNSTREAM_PEER), upstream_peer: this.#of(UPSTREAM_PEER) }
    this.#bindings = celBindings({
      request: this.#of(REQUEST, HEAD_OF_REQUEST),
      response: this.#of(RESPONSE, HEAD_OF_RESPONSE),
      source: this.#of(SOURCE),
      destination: this.#of(DESTINATION),
      connection: this.#of(CONNECTION),
      upstream: this.#of(UPSTREAM),
      xds: this.#of(XDS),
      // Istio's filter takes the peers as names of their own also, Envoy's knows them as state of filters alone.
      filter_state: {
        get: (name) => (Object.hasOwn(peers, name) ? peers[name as 'upstream_peer'] : undefined),
        names: () => Object.keys(peers),
      },
      ...peers,
    })
  }

  /**
   * What the names of expressions stand for, until the next one is asked for.
   * @param withHeads whether the heads of request and response are there; Istio tells of gRPC messages without them
   */
  of(record: RequestRecord, { withHeads = record.protocol !== '-' } = {}): CelBindings {
    this.#record = record
    this.#withHeads = withHeads
    return this.#bindings
  }

  #of(lookups: Lookups, ofHead: Lookups = {}): Attributes {
    return {
      get: (name) => {
        const lookup = own(lookups, name) ?? (this.#withHeads ? own(ofHead, name) : undefined)
        return this.#record && lookup?.(this.#record)
      },
      names: () => [...Object.keys(lookups), ...Object.keys(ofHead)],
    }
  }
}

function own(lookups: Lookups, name: string): Lookup | undefined {
  return Object.hasOwn(lookups, name) ? lookups[name] : undefined
}

const REQUEST: Lookups = {
  time: ({ startedAtMs }) => new Date(startedAtMs),
  duration: ({ durationMs }) => new Milliseconds(durationMs),
  size: ({ requestHeaders, bytesReceived }) => {
    const length = requestHeaders?.get('content-length')
    return BigInt(length !== undefined && /^\d{1,15}$/.test(length) ? length : bytesReceived)
  },
  total_size: ({ requestHeaders, bytesReceived }) => BigInt(bytesReceived + headBytes(requestHeaders)),
}

const HEAD_OF_REQUEST: Lookups = {
  path: ({ path }) => text(path),
  url_path: ({ path }) => text(path.split('?', 1)[0]),
  query: ({ path }) => (path === '' ? undefined : (text(queryOf(path)) ?? '')),
  host: ({ authority }) => text(authority),
  scheme: ({ peer, requestHeaders }) => requestHeaders?.get('x-forwarded-proto') ?? peer.scheme,
  method: ({ method }) => text(method),
  headers: (record) =>
    headers(record.requestHeaders, {
      ':authority': text(record.authority),
      ':method': text(record.method),
      ':path': text(record.path),
    }),
  headers_bytes: ({ requestHeaders }) => BigInt(headBytes(requestHeaders)),
  referer: ({ requestHeaders }) => text(requestHeaders?.get('referer')),
  useragent: ({ requestHeaders }) => text(requestHeaders?.get('user-agent')),
  id: ({ requestId }) => text(requestId),
  protocol: ({ protocol }) => protocol,
}

const RESPONSE: Lookups = {
  code: ({ status }) => (status === 0 ? undefined : BigInt(status)),
  code_details: ({ details }) => text(details),
  flags: ({ flags }) => BigInt(flagBits(flags)),
  size: ({ bytesSent }) => BigInt(bytesSent),
  total_size: ({ responseHeaders, responseTrailers, bytesSent }) =>
    BigInt(bytesSent + headBytes(responseHeaders) + headBytes(responseTrailers)),
  backend_latency: ({ upstreamServiceMs }) =>
    upstreamServiceMs === undefined ? undefined : new Milliseconds(upstreamServiceMs),
}

const HEAD_OF_RESPONSE: Lookups = {
  headers: (record) =>
    headers(record.responseHeaders, { ':status': record.status === 0 ? undefined : String(record.status) }),
  headers_bytes: ({ responseHeaders }) => BigInt(headBytes(responseHeaders)),
  trailers: (record) => headers(record.responseTrailers),
  grpc_status: ({ grpcStatus }) => (grpcStatus === '' ? undefined : BigInt(grpcStatus)),
}

const SOURCE: Lookups = {
  address: ({ peer }) => formatAddress(peer.address),
  port: ({ peer }) => BigInt(peer.address.port),
}

const DESTINATION: Lookups = {
  address: ({ peer }) => formatAddress(peer.local),
  port: ({ peer }) => BigInt(peer.local.port),
}

const CONNECTION: Lookups = {
  id: ({ peer }) => new Unsigned(connectionId(peer)),
  mtls: ({ peer }) => peer.identity !== undefined,
  requested_server_name: ({ peer }) => peer.facts.serverName,
  tls_version: ({ peer }) => (peer.identity ? 'TLSv1.3' : undefined),
  uri_san_peer_certificate: ({ peer }) => peer.identity && formatSpiffeId(peer.identity),
  termination_details: ({ terminationDetails }) => text(terminationDetails),
}

const UPSTREAM: Lookups = {
  address: ({ upstreamHost }) => upstreamHost?.address,
  port: ({ upstreamHost }) => upstreamHost && BigInt(upstreamHost.port),
  uri_san_peer_certificate: ({ upstreamHost }) => identityOf(upstreamHost?.workload),
  transport_failure_reason: ({ upstreamFailure }) => upstreamFailure,
  request_attempt_count: ({ tries }) => new Unsigned(tries),
}

const XDS: Lookups = {
  cluster_name: ({ cluster }) => text(cluster),
  route_name: ({ routeName }) => text(routeName),
}

const DOWNSTREAM_PEER = peerLookups(({ peer }) => peer.workload)
const UPSTREAM_PEER = peerLookups(({ upstreamHost }) => upstreamHost?.workload)

/** By Istio's names. @see istio/proxy extensions/common/metadata_object.h */
function peerLookups(workloadOf: (record: RequestRecord) => Workload | undefined): Lookups {
  const lookup =
    (get: (workload: Workload) => string | undefined): Lookup =>
    (record) => {
      const workload = workloadOf(record)
      return workload && text(get(workload))
    }
  return {
    name: lookup(({ name }) => name),
    namespace: lookup(({ namespace }) => namespace),
    cluster: lookup(({ clusterId }) => clusterId),
    workload: lookup(({ workloadName, name }) => workloadName || name),
    type: lookup(({ workloadType }) => workloadType.toLowerCase()),
    service: lookup(({ canonicalName }) => canonicalName),
    revision: lookup(({ canonicalRevision }) => canonicalRevision),
    app: lookup(({ canonicalName }) => canonicalName),
    version: lookup(({ canonicalRevision }) => canonicalRevision),
    identity: lookup(identityOf),
    region: lookup(({ locality }) => locality?.region),
    availability_zone: lookup(({ locality }) => locality?.zone),
  }
}

function identityOf(workload: Workload | undefined): string | undefined {
  return workload?.tunnelProtocol === 'HBONE' ? factsOf(workload).identity : undefined
}

/** Fields by name, repeated ones joined; beside them what Envoy keeps as fields. */
function headers(map: HeaderMap | undefined, pseudo: Readonly<Record<string, string | undefined>> = {}): Attributes {
  return {
    get: (name) => (name.startsWith(':') ? pseudo[name] : text(map?.getJoined(name), '')),
    names: () => new Set([...Object.keys(pseudo), ...Array.from(map ?? [], ([name]) => name)]),
  }
}

/** Fields are byte strings: text of them is UTF-8. @param empty what an empty one is; by default nothing */
function text(bytes: string | undefined, empty?: string): string | undefined {
  if (!bytes) return bytes === '' ? empty : undefined
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII, which is the same in both.
  return /^[\x00-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

function queryOf(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? '' : path.slice(at + 1).split('#', 1)[0]!
}

/** As Envoy counts a head: its names and values. */
function headBytes(map: HeaderMap | undefined): number {
  let bytes = 0
  for (const [name, value] of map ?? []) bytes += name.length + value.length
  return bytes
}

/** Bits of Envoy's flags. @see envoy/stream_info/stream_info.h, `CoreResponseFlag` */
const FLAG_BITS: Readonly<Record<HttpFlag, number>> = {
  UH: 1,
  UT: 2,
  LR: 3,
  UR: 4,
  UF: 5,
  UC: 6,
  UO: 7,
  NR: 8,
  DI: 9,
  FI: 10,
  RL: 11,
  UAEX: 12,
  RLSE: 13,
  DC: 14,
  URX: 15,
  SI: 16,
  DPE: 18,
  DT: 22,
  UPE: 23,
  NC: 24,
  OM: 25,
}

function flagBits(flags: string): number {
  if (flags === '-') return 0
  return flags.split(',').reduce((bits, flag) => bits + 2 ** FLAG_BITS[flag as HttpFlag], 0)
}

const connectionIds = new WeakMap<DownstreamPeer, number>()
let connectionsNamed = 0

/** Connections are numbered when somebody asks. */
function connectionId(peer: DownstreamPeer): number {
  let id = connectionIds.get(peer)
  if (id === undefined) {
    connectionsNamed += 1
    id = connectionsNamed
    connectionIds.set(peer, id)
  }
  return id
}

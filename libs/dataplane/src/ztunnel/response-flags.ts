import type { PkiErrorCode } from '@ambient-lab/pki'
import { type CodedError, errorCode as systemCodeOf } from '@ambient-lab/std'
import { type DataplaneErrorCode, isDataplaneErrorCode } from '../errors.ts'
import { ConnectRejectedError, type TunnelErrorCode } from '../tunnel/errors.ts'

/** ztunnel's response flags; `-` is a connection that ended in order. */
export type ResponseFlag =
  | '-'
  | 'DENY'
  | 'CONNECT'
  | 'TLS_FAILURE'
  | 'H2_HANDSHAKE_FAILURE'
  | 'NETWORK_POLICY'
  | 'IDENTITY_ERROR'
  | 'CERT_REVOKED'
  // Of L4TrafficPolicies, by Envoy's names: no real ztunnel has them.
  | 'UO'
  | 'RL'
  | 'URX'
  | 'SI'
  | 'DT'

/** How one error code looks to each of those who meet it. */
export interface Outcome {
  readonly flag: ResponseFlag
  /** Answer to a CONNECT that arrived through a tunnel. */
  readonly connectStatus: 400 | 401 | 503
  /** RFC 1928 §6: 1 general failure, 2 not allowed, 3 network, 4 host unreachable, 5 refused, 6 TTL expired, 7 command. */
  readonly socksReply: 1 | 2 | 3 | 4 | 5 | 6 | 7
  /** Answer to a captured program's HTTP CONNECT. */
  readonly httpStatus: 400 | 403 | 502 | 503 | 504
  /** What an operator looks at next. */
  readonly hint: string
}

const denied = (hint: string): Outcome => ({ flag: 'DENY', connectStatus: 401, socksReply: 2, httpStatus: 403, hint })
const noRoute = (hint: string): Outcome => ({
  flag: 'CONNECT',
  connectStatus: 503,
  socksReply: 4,
  httpStatus: 503,
  hint,
})
const malformed = (hint: string): Outcome => ({
  flag: 'CONNECT',
  connectStatus: 400,
  socksReply: 1,
  httpStatus: 400,
  hint,
})
const failed = (flag: ResponseFlag, hint: string): Outcome => ({
  flag,
  connectStatus: 503,
  socksReply: 1,
  httpStatus: 502,
  hint,
})

/** Every error code → flag, statuses and hint. Exhaustive by type: a code without a line does not compile. */
export const OUTCOMES: Readonly<Record<DataplaneErrorCode, Outcome>> = {
  RECURSIVE_CALL: noRoute('dial the port of the application, not one of the proxy (15001, 15006, 15008, 15080)'),
  SOURCE_UNKNOWN: noRoute('is the control plane connected? `ambient get pods` shows whether the pod is known'),
  UNKNOWN_HOST: noRoute('check the name and its namespace with `ambient get services -A`'),
  NO_HEALTHY_UPSTREAM: noRoute('no pod of the service is ready: `ambient get pods`, then `ambient describe service`'),
  UNKNOWN_WAYPOINT: noRoute('the waypoint is gone or has no ready pod: `ambient get gateways`'),
  UNKNOWN_NETWORK_GATEWAY: noRoute('the gateway of that network is gone or has no ready pod: `ambient get gateways`'),
  NO_ROUTE: noRoute('it is on another network: no gateway leads there, or its service is not global'),
  CONNECTION_LIMIT: {
    ...noRoute('connections end, or maxConnections of the L4TrafficPolicy is raised: `ambient get l4tp`'),
    flag: 'UO',
  },
  CONNECTION_RATE_LIMITED: {
    ...noRoute('call less often, or raise rateLimit of the L4TrafficPolicy: `ambient get l4tp`'),
    flag: 'RL',
  },
  POLICY_DENIED: denied('`ambient why` names the policy and the rule that decided'),
  AUTHORITY_INVALID: malformed('the peer sent no ip:port or host:port; is it an HBONE client?'),
  AUTHORITY_MISMATCH: malformed('the address belongs to another pod: the source may act on old news'),
  DESTINATION_UNKNOWN: noRoute('the pod is gone from this node: the source may act on old news'),
  HOST_NOT_FOUND: noRoute('the destination does not know that host name'),
  SERVICE_PORT_UNRESOLVED: noRoute('the service has no such port, or the pod has no port behind it'),
  SOURCE_MISMATCH: malformed('the client certificate and the claimed source address belong to different workloads'),
  CONNECT_DENIED: denied('`ambient why` names the policy at the destination that decided'),
  CONNECT_MISDIRECTED: failed('CONNECT', 'the access log of the destination node has the reason'),
  CONNECT_UNAVAILABLE: {
    ...noRoute('the application refused or is not there: see the destination node'),
    socksReply: 5,
  },
  CONNECT_FAILED: failed('CONNECT', 'the address cannot be reached from this node'),
  CONNECT_REFUSED: {
    ...failed('CONNECT', 'nothing listens on that port of the workload'),
    socksReply: 5,
    httpStatus: 503,
  },
  CONNECT_TIMEOUT: {
    flag: 'NETWORK_POLICY',
    connectStatus: 503,
    socksReply: 6,
    httpStatus: 504,
    hint: 'a NetworkPolicy, a partition (`ambient get faults`) or a dead node is in between',
  },
  CONNECT_RETRIES_EXHAUSTED: failed('URX', 'no endpoint that was tried answered: `ambient get pods`'),
  NODE_UNREACHABLE: noRoute('the node of the destination has no agent: `ambient get nodes`'),
  TLS_FAILED: failed('TLS_FAILURE', 'compare the certificates of both sides: `ambient zc certificate`'),
  IDENTITY_MISMATCH: failed('TLS_FAILURE', 'another workload answers at that address, or its certificate is old'),
  UPGRADE_REFUSED: failed('H2_HANDSHAKE_FAILURE', 'the listener there is not one of this lab'),
  CERTIFICATE_UNAVAILABLE: failed('IDENTITY_ERROR', '`ambient zc certificate` shows why it was not signed'),
  CERTIFICATE_REVOKED: failed('CERT_REVOKED', 'the revocation list names the certificate of the peer'),
  POLICY_CHANGED: denied('a policy was applied while the connection was open: `ambient get events`'),
  IDLE_TIMEOUT: failed('SI', 'say something in time, or raise idleTimeout of the L4TrafficPolicy'),
  DURATION_EXCEEDED: failed('DT', 'connect anew in time, or raise maxConnectionDuration of the L4TrafficPolicy'),
  DRAINED: noRoute('the pod or node is shutting down; connect again'),
  DRAIN_TIMEOUT: noRoute('the connection outlived the time to drain; connect again'),
  DOWNSTREAM_DISCONNECTED: failed('-', 'the client went away'),
  UPSTREAM_DISCONNECTED: failed('CONNECT', 'the application reset the connection: see its log'),
  SESSION_CLOSED: failed('CONNECT', 'the tunnel to the other node broke: `ambient get nodes`'),
  CAPTURE_MALFORMED: malformed('set the proxy to socks5h://… or http://…'),
  CAPTURE_UNSUPPORTED: { ...malformed('use CONNECT: TCP is what the mesh captures'), socksReply: 7 },
  CAPTURE_TIMEOUT: malformed('the program opened the connection and sent no request'),
  PROXY_HEADER_MALFORMED: malformed('only agents of this lab connect to the underlay'),
  ADDRESS_IN_USE: failed('CONNECT', 'another process listens there'),
}

/** What the tunnel's codes mean to a connection that wanted to use it. */
const OF_TUNNEL: Readonly<Record<Exclude<TunnelErrorCode, DataplaneErrorCode>, DataplaneErrorCode>> = {
  FRAME_MALFORMED: 'SESSION_CLOSED',
  FRAME_TOO_LARGE: 'SESSION_CLOSED',
  FLOW_CONTROL: 'SESSION_CLOSED',
  STREAM_PROTOCOL: 'SESSION_CLOSED',
  CONTROL_FLOOD: 'SESSION_CLOSED',
  PING_TIMEOUT: 'SESSION_CLOSED',
  SESSION_DRAINING: 'SESSION_CLOSED',
  SESSION_FULL: 'CONNECT_UNAVAILABLE',
  STREAM_REFUSED: 'CONNECT_UNAVAILABLE',
  CONNECT_REJECTED: 'CONNECT_UNAVAILABLE',
  HANDSHAKE_TIMEOUT: 'CONNECT_TIMEOUT',
  SERVER_NAME_UNKNOWN: 'DESTINATION_UNKNOWN',
  POOL_DRAINING: 'DRAINED',
  POOL_FULL: 'CONNECT_UNAVAILABLE',
}

const OF_CERTIFICATES: Readonly<Record<PkiErrorCode, DataplaneErrorCode>> = {
  INVALID_SPIFFE_ID: 'IDENTITY_MISMATCH',
  INVALID_TRUST_DOMAIN: 'IDENTITY_MISMATCH',
  CERTIFICATE_MALFORMED: 'CERTIFICATE_UNAVAILABLE',
  BUNDLE_MALFORMED: 'CERTIFICATE_UNAVAILABLE',
  CSR_REFUSED: 'CERTIFICATE_UNAVAILABLE',
  CERTIFICATE_TTL_REFUSED: 'CERTIFICATE_UNAVAILABLE',
  NO_ROOT_CERTIFICATE: 'CERTIFICATE_UNAVAILABLE',
  SVID_KEY_MISMATCH: 'CERTIFICATE_UNAVAILABLE',
  SVID_UNEXPECTED_SAN: 'CERTIFICATE_UNAVAILABLE',
  CERTIFICATE_UNAVAILABLE: 'CERTIFICATE_UNAVAILABLE',
  CERTIFICATE_FORGOTTEN: 'DRAINED',
  CERTIFICATE_FETCH_TIMEOUT: 'CERTIFICATE_UNAVAILABLE',
  PEER_NO_CERTIFICATE: 'TLS_FAILED',
  PEER_UNTRUSTED: 'TLS_FAILED',
  PEER_EXPIRED: 'TLS_FAILED',
  PEER_NOT_YET_VALID: 'TLS_FAILED',
  PEER_NO_IDENTITY: 'IDENTITY_MISMATCH',
  PEER_WRONG_TRUST_DOMAIN: 'IDENTITY_MISMATCH',
  PEER_UNEXPECTED_SAN: 'IDENTITY_MISMATCH',
  CRL_MALFORMED: 'CERTIFICATE_UNAVAILABLE',
  CERTIFICATE_REVOKED: 'CERTIFICATE_REVOKED',
}

const OF_STREAMS_AND_SYSTEM: Readonly<Record<string, DataplaneErrorCode>> = {
  STREAM_RESET: 'UPSTREAM_DISCONNECTED',
  STREAM_FAILED: 'UPSTREAM_DISCONNECTED',
  ECONNREFUSED: 'CONNECT_REFUSED',
  ECONNRESET: 'UPSTREAM_DISCONNECTED',
  ETIMEDOUT: 'CONNECT_TIMEOUT',
  EADDRINUSE: 'ADDRESS_IN_USE',
  ENOTFOUND: 'UNKNOWN_HOST',
  EAI_AGAIN: 'UNKNOWN_HOST',
}

const BELOW: Readonly<Record<string, DataplaneErrorCode>> = {
  ...OF_TUNNEL,
  ...OF_CERTIFICATES,
  ...OF_STREAMS_AND_SYSTEM,
}

const OF_STATUS: Readonly<Record<number, DataplaneErrorCode>> = {
  400: 'CONNECT_MISDIRECTED',
  401: 'CONNECT_DENIED',
  503: 'CONNECT_UNAVAILABLE',
}

/** The code of anything a dial or a stream failed with, as one of the data path's own. */
export function errorCodeOf(error: CodedError): DataplaneErrorCode {
  if (error instanceof ConnectRejectedError) return OF_STATUS[error.status] ?? 'CONNECT_UNAVAILABLE'
  if (error.code === 'CONNECT_FAILED' && systemCodeOf(error.cause) === 'ECONNREFUSED') return 'CONNECT_REFUSED'
  return isDataplaneErrorCode(error.code) ? error.code : (BELOW[error.code] ?? 'CONNECT_FAILED')
}

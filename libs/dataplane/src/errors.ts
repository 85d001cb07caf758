import { CodedError, type CodedErrorInit } from '@ambient-lab/std'

/** Every code with which a connection of the data path can end, and what it means. */
export const DATAPLANE_ERRORS = {
  // Verdicts of the source.
  RECURSIVE_CALL: 'a connection aims at a port of the proxy itself',
  SOURCE_UNKNOWN: 'the control plane has not told about the workload that connects',
  UNKNOWN_HOST: 'a name is neither of the mesh nor known to the machine',
  NO_HEALTHY_UPSTREAM: 'the service has no endpoint that may be used',
  UNKNOWN_WAYPOINT: 'the service or workload has a waypoint that cannot be found',
  UNKNOWN_NETWORK_GATEWAY: 'the gateway of another network cannot be found',
  NO_ROUTE: 'the workload is on a network that cannot be reached from here',
  CONNECTION_LIMIT: 'as many connections to the service are open as its L4TrafficPolicy allows',
  CONNECTION_RATE_LIMITED: 'more connections to the service began than its L4TrafficPolicy allows',
  // Verdicts of the destination, and how the source hears of them.
  POLICY_DENIED: 'an authorization policy does not allow the connection',
  AUTHORITY_INVALID: 'a CONNECT names no destination that can be read',
  AUTHORITY_MISMATCH: 'a CONNECT names a destination that is not the workload it reached',
  DESTINATION_UNKNOWN: 'a CONNECT or plain connection reached a node that does not run its destination',
  HOST_NOT_FOUND: 'a CONNECT names a host that the destination does not know',
  SERVICE_PORT_UNRESOLVED: 'a CONNECT names a service port that leads to no port of the workload',
  SOURCE_MISMATCH: 'a CONNECT claims to come from an address that belongs to another identity',
  CONNECT_DENIED: 'the destination answered 401',
  CONNECT_MISDIRECTED: 'the destination answered 400',
  CONNECT_UNAVAILABLE: 'the destination answered 503',
  // Not reached.
  CONNECT_FAILED: 'a connection could not be made',
  CONNECT_REFUSED: 'nothing listens there',
  CONNECT_TIMEOUT: 'nobody answered in time',
  CONNECT_RETRIES_EXHAUSTED: 'as many endpoints failed as an L4TrafficPolicy lets be tried',
  NODE_UNREACHABLE: 'the node of the destination has no agent',
  TLS_FAILED: 'the TLS handshake failed',
  IDENTITY_MISMATCH: 'the peer is not whom we dialled',
  UPGRADE_REFUSED: 'the peer speaks TLS but no HBONE',
  CERTIFICATE_UNAVAILABLE: 'the workload has no certificate at the moment',
  // Ended while bytes moved.
  CERTIFICATE_REVOKED: 'the certificate of the peer was revoked',
  POLICY_CHANGED: 'a policy that came later does not allow the connection',
  IDLE_TIMEOUT: 'no byte moved for as long as an L4TrafficPolicy allows',
  DURATION_EXCEEDED: 'the connection lasted as long as an L4TrafficPolicy allows',
  DRAINED: 'the proxy or its workload went away',
  DRAIN_TIMEOUT: 'the connection was still open when the time to drain was over',
  DOWNSTREAM_DISCONNECTED: 'the client went away before it took every byte',
  UPSTREAM_DISCONNECTED: 'the destination went away before it took every byte',
  SESSION_CLOSED: 'the tunnel broke',
  // A captured program or a plain peer that does not speak as agreed.
  CAPTURE_MALFORMED: 'neither SOCKS5 nor an HTTP CONNECT',
  CAPTURE_UNSUPPORTED: 'a request of SOCKS5 or HTTP that this listener does not serve',
  CAPTURE_TIMEOUT: 'the request did not arrive in time',
  PROXY_HEADER_MALFORMED: 'a plain connection without a PROXY protocol v2 header',
  ADDRESS_IN_USE: 'somebody else listens there',
} as const

export type DataplaneErrorCode = keyof typeof DATAPLANE_ERRORS

/** A verdict against a connection: a value, never thrown. */
export interface Rejection {
  readonly kind: 'rejection'
  readonly code: DataplaneErrorCode
  /** ztunnel's words, as the access log has them. */
  readonly reason: string
}

export function rejection(code: DataplaneErrorCode, reason: string): Rejection {
  return { kind: 'rejection', code, reason }
}

export function dataplaneError(code: DataplaneErrorCode, message: string, init?: CodedErrorInit): CodedError {
  return new CodedError(code, message, init)
}

export function isDataplaneErrorCode(code: string): code is DataplaneErrorCode {
  return Object.hasOwn(DATAPLANE_ERRORS, code)
}

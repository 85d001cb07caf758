import type { ResetReason } from './router/retries.ts'

/** Envoy's response flags for requests, with their long names, in the order in which several are written. */
export const HTTP_FLAGS = {
  UH: 'NoHealthyUpstream',
  UT: 'UpstreamRequestTimeout',
  LR: 'LocalReset',
  UR: 'UpstreamRemoteReset',
  UF: 'UpstreamConnectionFailure',
  UC: 'UpstreamConnectionTermination',
  UO: 'UpstreamOverflow',
  NR: 'NoRouteFound',
  DI: 'DelayInjected',
  FI: 'FaultInjected',
  RL: 'RateLimited',
  UAEX: 'UnauthorizedExternalService',
  RLSE: 'RateLimitServiceError',
  DC: 'DownstreamConnectionTermination',
  URX: 'UpstreamRetryLimitExceeded',
  SI: 'StreamIdleTimeout',
  DPE: 'DownstreamProtocolError',
  DT: 'DurationTimeout',
  UPE: 'UpstreamProtocolError',
  NC: 'NoClusterFound',
  OM: 'OverloadManagerTerminated',
} as const

export type HttpFlag = keyof typeof HTTP_FLAGS

/** An answer that the proxy gives by itself. */
export interface LocalReply {
  readonly status: number
  /** Undefined: answered as configured, which is no fault. */
  readonly flag: HttpFlag | undefined
  /** Envoy's `response_code_details`. */
  readonly details: string
  readonly body: string
  /** What an operator looks at next. */
  readonly hint: string
}

const reply = (
  status: number,
  flag: HttpFlag | undefined,
  details: string,
  body: string,
  hint: string,
): LocalReply => ({ status, flag, details, body, hint })

/** Every answer that a waypoint gives by itself, one table: `docs/ERRORS.md` has a line for each. */
export const LOCAL_REPLIES = {
  ROUTE_NOT_FOUND: reply(404, 'NR', 'route_not_found', '', 'no rule matches the request: `ambient describe httproute`'),
  CLUSTER_NOT_FOUND: reply(500, 'NC', 'cluster_not_found', '', 'the route names a backend that does not exist'),
  INVALID_BACKEND: reply(500, undefined, 'direct_response', '', 'a backendRef of the route is invalid: see its status'),
  NO_HEALTHY_UPSTREAM: reply(
    503,
    'UH',
    'no_healthy_upstream',
    'no healthy upstream',
    'no pod of the backend is ready, or all are ejected: `ambient get pods`',
  ),
  RESPONSE_TIMEOUT: reply(
    504,
    'UT',
    'response_timeout',
    'upstream request timeout',
    "the route's timeout passed before the response was complete",
  ),
  PER_TRY_TIMEOUT: reply(
    504,
    'UT',
    'upstream_per_try_timeout',
    'upstream request timeout',
    'each try took longer than perTryTimeout',
  ),
  STREAM_IDLE_TIMEOUT: reply(408, 'SI', 'stream_idle_timeout', 'stream timeout', 'the client stopped sending its body'),
  RESPONSE_IDLE_TIMEOUT: reply(504, 'SI', 'stream_idle_timeout', 'stream timeout', 'the backend stopped answering'),
  HEADERS_TIMEOUT: reply(408, 'DPE', 'request_header_timeout', '', 'the client did not finish its request head'),
  CORS_PREFLIGHT: reply(200, undefined, 'cors_response', '', 'the route has a CORS policy, which answers preflights'),
  FAULT_ABORT: reply(503, 'FI', 'fault_filter_abort', 'fault filter abort', 'a fault is configured on the route'),
  RATE_LIMITED_LOCAL: reply(429, 'RL', 'local_rate_limited', 'local_rate_limited', 'a local rate limit is exhausted'),
  RATE_LIMITED: reply(429, 'RL', 'request_rate_limited', '', 'the rate limit service said no'),
  RATE_LIMITER_ERROR: reply(500, 'RLSE', 'rate_limiter_error', '', 'the rate limit service cannot be reached'),
  RBAC_DENIED: reply(
    403,
    undefined,
    'rbac_access_denied_matched_policy[none]',
    'RBAC: access denied',
    '`ambient why` names policy and rule; its id: `ambient get requests`',
  ),
  JWT_DENIED: reply(401, undefined, 'jwt_authn_access_denied', '', 'the token was refused: the body says why'),
  EXT_AUTHZ_DENIED: reply(403, 'UAEX', 'ext_authz_denied', '', 'the external authorizer said no'),
  EXT_AUTHZ_INVALID: reply(
    500,
    'UAEX',
    'ext_authz_invalid',
    '',
    'the answer of the authorizer has a header, path or status that is none',
  ),
  EXT_AUTHZ_ERROR: reply(403, 'UAEX', 'ext_authz_error', '', 'the external authorizer cannot be reached'),
  MISSING_HOST: reply(400, 'DPE', 'missing_host_header', '', 'the client sent no Host'),
  LOW_VERSION: reply(426, 'DPE', 'low_version', '', 'the client speaks HTTP/1.0, which is off'),
  PROTOCOL_ERROR: reply(400, 'DPE', 'http1.codec_error', 'Bad Request', 'the client does not speak HTTP as it should'),
  HEADERS_TOO_LARGE: reply(
    431,
    'DPE',
    'request_headers_too_large',
    'Request Header Fields Too Large',
    'the head of the request is longer than 60 KiB or has more than 100 fields',
  ),
  PAYLOAD_TOO_LARGE: reply(
    413,
    undefined,
    'request_payload_too_large',
    'Payload Too Large',
    'a filter has to hold the whole body, and it does not fit',
  ),
  UPGRADE_NOT_ALLOWED: reply(403, undefined, 'upgrade_failed', '', 'the route does not let this upgrade through'),
  PATH_REJECTED: reply(400, 'DPE', 'path_normalization_failed', '', 'the path cannot be normalized'),
  INVALID_HEADERS: reply(502, 'UPE', 'upstream_protocol_error', '', 'a rewritten request or answer cannot be encoded'),
} as const satisfies Readonly<Record<string, LocalReply>>

export type LocalReplyCode = keyof typeof LOCAL_REPLIES

/** How a try that was cut looks to the client, by the reason. */
export const RESETS: Readonly<Record<ResetReason, { readonly status: number; readonly flag: HttpFlag }>> = {
  'connection failure': { status: 503, flag: 'UF' },
  'remote connection failure': { status: 503, flag: 'UF' },
  'local connection failure': { status: 503, flag: 'UF' },
  'connection timeout': { status: 503, flag: 'UF' },
  'connection termination': { status: 503, flag: 'UC' },
  'remote reset': { status: 503, flag: 'UR' },
  'remote refused stream reset': { status: 503, flag: 'UR' },
  'local reset': { status: 503, flag: 'LR' },
  overflow: { status: 503, flag: 'UO' },
  'protocol error': { status: 502, flag: 'UPE' },
}

/**
 * The answer to a request whose last try was cut before the head of a response.
 * @param wasRetried whether there had been other tries
 * @param failure why the transport failed, as Envoy's `UPSTREAM_TRANSPORT_FAILURE_REASON`; may be empty
 */
export function resetReply(reason: ResetReason, wasRetried: boolean, failure: string): LocalReply {
  const { status, flag } = RESETS[reason]
  const words = wasRetried ? 'retried and the latest reset reason' : 'reset reason'
  const because = failure === '' ? '' : `, transport failure reason: ${failure}`
  return {
    status,
    flag,
    details: `upstream_reset_before_response_started{${reason.replaceAll(' ', '_')}}`,
    body: `upstream connect error or disconnect/reset before headers. ${words}: ${reason}${because}`,
    hint: 'the log of the backend and the access log of its node tell more',
  }
}

/** A gRPC client reads no HTTP status: what a local reply says to it instead. */
export function grpcStatusOf(httpStatus: number): number {
  return GRPC_STATUSES[httpStatus] ?? 2
}

/** @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
const GRPC_STATUSES: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
}

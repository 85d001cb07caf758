import { CodedError, type CodedErrorInit } from '@ambient-lab/std'

/** Every code that the tunnel gives an error, with what it means. */
export const TUNNEL_ERRORS = {
  FRAME_MALFORMED: 'the peer sent something that is no frame of this protocol',
  FRAME_TOO_LARGE: 'the peer sent a frame beyond its limit',
  FLOW_CONTROL: 'the peer sent more than it was granted',
  STREAM_PROTOCOL: 'the peer used a stream in a way that its state does not allow',
  CONTROL_FLOOD: 'the peer asks and asks and does not read the answers',
  PING_TIMEOUT: 'the peer did not answer a ping in time',
  SESSION_CLOSED: 'the connection under a tunnel ended',
  SESSION_DRAINING: 'one of the ends takes no new streams on this tunnel',
  SESSION_FULL: 'as many streams are open as the two ends allow',
  STREAM_REFUSED: 'the peer had not begun to work on the stream; another tunnel may take it',
  CONNECT_REJECTED: 'the peer answered a CONNECT with another status than 200',
  TLS_FAILED: 'the TLS handshake did not come to an end',
  UPGRADE_REFUSED: 'the peer did not switch to the tunnel protocol',
  HANDSHAKE_TIMEOUT: 'a connection did not become a session in time',
  SERVER_NAME_UNKNOWN: 'nobody here answers to the server name that was asked for',
  DRAIN_TIMEOUT: 'a stream was still open at the end of a drain',
  POOL_DRAINING: 'this pool opens nothing any more',
  POOL_FULL: 'as many tunnels are open to one peer as the pool allows',
} as const

export type TunnelErrorCode = keyof typeof TUNNEL_ERRORS

export function tunnelError(code: TunnelErrorCode, message: string, init?: CodedErrorInit): CodedError {
  return new CodedError(code, message, init)
}

/** A CONNECT that was answered with another status than 200. */
export class ConnectRejectedError extends CodedError {
  readonly status: number
  /** As the peer gave it; may be empty. */
  readonly reason: string

  constructor(status: number, reason: string) {
    super('CONNECT_REJECTED', `http status: ${status} ${STATUS_TEXT[status] ?? ''}`.trim(), { origin: 'upstream' })
    this.status = status
    this.reason = reason
  }
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  503: 'Service Unavailable',
}

/** Codes on the wire, in RESET and GOAWAY: HTTP/2's numbers where it has one. */
export const WIRE_CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
} as const

const WIRE_CODES_OF_ERRORS: Readonly<Record<string, number>> = {
  FRAME_MALFORMED: WIRE_CODE.PROTOCOL_ERROR,
  FRAME_TOO_LARGE: WIRE_CODE.FRAME_SIZE_ERROR,
  FLOW_CONTROL: WIRE_CODE.FLOW_CONTROL_ERROR,
  STREAM_PROTOCOL: WIRE_CODE.PROTOCOL_ERROR,
  CONTROL_FLOOD: WIRE_CODE.ENHANCE_YOUR_CALM,
}

/** What to tell the peer about a session that ends for this reason. */
export function wireCodeOf(reason: CodedError): number {
  return WIRE_CODES_OF_ERRORS[reason.code] ?? WIRE_CODE.NO_ERROR
}

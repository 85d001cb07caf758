import type { ForwardAction } from '@ambient-lab/xds'
import type { HeaderReader } from './matchers.ts'

/** How long the parts of one exchange may take, ms; undefined: as long as they like. */
export interface Timeouts {
  /** From the end of the request to the end of the response, all tries included. */
  readonly overallMs: number | undefined
  /** From the start of one try to the end of its response. */
  readonly perTryMs: number | undefined
}

const UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1 / 1_000,
  n: 1 / 1_000_000,
}

/**
 * What the route says, unless the caller asks for less time: `grpc-timeout` of a gRPC request counts when it is
 * shorter, as Istio sets Envoy up.
 */
export function timeoutsOf(forward: ForwardAction, headers: HeaderReader): Timeouts {
  const ownMs = forward.timeoutMs || undefined
  const grpcMs = parseGrpcTimeout(headers.getJoined('grpc-timeout'))
  const overallMs = grpcMs === undefined ? ownMs : Math.min(grpcMs, ownMs ?? grpcMs)
  const perTryMs = forward.retry?.perTryTimeoutMs || undefined
  // A try that may take as long as everything together needs no clock of its own.
  const isIdle = perTryMs === undefined || (overallMs !== undefined && perTryMs >= overallMs)
  return { overallMs, perTryMs: isIdle ? undefined : perTryMs }
}

/** `100m`, `5S`; undefined for anything that the protocol does not allow. @see gRPC over HTTP2, "Timeout" */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  const match = text === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(text)
  if (!match) return undefined
  return Math.ceil(Number(match[1]) * UNITS_MS[match[2]!]!)
}

import type { ByteStream } from '../stream/byte-stream.ts'
import type { ConnectRequest, DialTarget, Transport } from './transport.ts'
import type { PoolTarget, TunnelPool } from './tunnel-pool.ts'

/** One tunnel in another: to a network's gateway, and through it to somebody whom the gateway picks. */
export interface DoubleTunnel {
  /** The gateway. */
  readonly outer: PoolTarget
  /** Whom the inner tunnel may end at, and what is sent as its SNI: the service, for nobody knows the pod yet. */
  readonly inner: Pick<DialTarget, 'serverName' | 'expectedIds'>
  readonly request: ConnectRequest
  /** Ours; told inside only. */
  readonly originNetwork: string
  /** Which proxy of requests asks; told outside only. @default none, a ztunnel */
  readonly sentBy?: string | undefined
}

export interface DoubleTunnelComponents {
  readonly transport: Transport
  readonly tunnels: TunnelPool
}

/**
 * Asks a gateway for a stream, shakes hands through it with whoever is at its end, and asks that one. The outer tunnel
 * is a pooled one; the inner is never shared, because which pod it leads to was drawn for this connection: it closes
 * with its one stream (ambient.md §2.5).
 * @throws CodedError as TunnelPool.connect and Transport.dialOver
 */
export async function connectThroughGateway(
  { transport, tunnels }: DoubleTunnelComponents,
  { outer, inner, request, originNetwork, sentBy }: DoubleTunnel,
  signal?: AbortSignal,
): Promise<ByteStream> {
  const { stream: carrier } = await tunnels.connect(outer, sentBy ? { ...request, sentBy } : request, signal)
  const session = await transport.dialOver(carrier, { ...outer, ...inner }, signal)
  try {
    return (await session.connect(innerRequest(request, originNetwork), signal)).stream
  } finally {
    session.drain()
  }
}

/** The CONNECT that the destination reads; the outer one says nothing of networks. */
export function innerRequest(request: ConnectRequest, originNetwork: string): ConnectRequest {
  return { ...request, originNetwork }
}

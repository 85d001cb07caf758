import { CodedError } from '@ambient-lab/std'
import type { AppReply, AppRequest } from '../hosting/workload.ts'

/** @see https://grpc.io/docs/guides/status-codes/ */
export const GrpcStatus = { ok: '0', unknown: '2', invalidArgument: '3', unimplemented: '12', internal: '13' } as const

const PREFIX_BYTES = 5

export function isGrpc({ headers }: AppRequest): boolean {
  return headers['content-type']?.startsWith('application/grpc') ?? false
}

/** The answer to a unary call; without a message the status says why, and `reason` in words. */
export function grpcReply(message: Uint8Array | undefined, status: string = GrpcStatus.ok, reason = ''): AppReply {
  return {
    status: 200,
    headers: { 'content-type': 'application/grpc' },
    body: chunks(message ? [framed(message)] : []),
    trailers: { 'grpc-status': status, ...(reason && { 'grpc-message': encodeURIComponent(reason) }) },
  }
}

/** The message of a unary call. @throws CodedError PROTOBUF_MALFORMED for one that is compressed or cut short */
export async function grpcMessage(request: AppRequest): Promise<Uint8Array> {
  const body = await request.body()
  const isPlain = body.length >= PREFIX_BYTES && body[0] === 0
  if (!isPlain || body.readUInt32BE(1) !== body.length - PREFIX_BYTES)
    throw new CodedError('PROTOBUF_MALFORMED', 'not one gRPC message, uncompressed', { origin: 'downstream' })
  return body.subarray(PREFIX_BYTES)
}

/** In pieces, so that no length is announced. */
async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(PREFIX_BYTES)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

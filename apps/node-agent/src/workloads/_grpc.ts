import { CodedError, errorMessage, MiB } from '@ambient-lab/std'
import type { AppReply, AppRequest } from '../hosting/workload.ts'

/** @see https://grpc.io/docs/guides/status-codes/ */
export const GrpcStatus = {
  ok: '0',
  unknown: '2',
  invalidArgument: '3',
  resourceExhausted: '8',
  unimplemented: '12',
  internal: '13',
} as const

export type GrpcStatusCode = (typeof GrpcStatus)[keyof typeof GrpcStatus]

/** A call that is not answered with a message. */
export interface GrpcFault {
  readonly status: GrpcStatusCode
  /** For people. */
  readonly text: string
}

/** What a unary method makes of its message. What it throws is told as UNKNOWN. */
export type UnaryMethod = (message: Uint8Array) => Uint8Array | GrpcFault | Promise<Uint8Array | GrpcFault>

const PREFIX_BYTES = 5
/** grpc-go's default. */
const MESSAGE_BYTES_MAX = 4 * MiB

export function isGrpc({ headers }: AppRequest): boolean {
  return headers['content-type']?.startsWith('application/grpc') ?? false
}

/** Answers a unary call. @param methods by path, `/package.Service/Method` */
export async function serveUnary(
  request: AppRequest,
  methods: Readonly<Record<string, UnaryMethod>>,
): Promise<AppReply> {
  const method = Object.hasOwn(methods, request.path) ? methods[request.path] : undefined
  if (!method) return grpcFault({ status: GrpcStatus.unimplemented, text: `unknown method ${request.path}` })
  try {
    const message = await grpcMessage(request)
    const answer = message instanceof Uint8Array ? await method(message) : message
    return answer instanceof Uint8Array ? grpcReply(answer) : grpcFault(answer)
  } catch (error) {
    if (CodedError.is(error, 'BODY_TOO_LARGE')) return grpcFault(tooLarge(errorMessage(error)))
    const isMalformed = CodedError.is(error, 'PROTOBUF_MALFORMED')
    return grpcFault({ status: isMalformed ? GrpcStatus.internal : GrpcStatus.unknown, text: errorMessage(error) })
  }
}

function grpcReply(message: Uint8Array): AppReply {
  return reply([framed(message)], { 'grpc-status': GrpcStatus.ok })
}

function grpcFault({ status, text }: GrpcFault): AppReply {
  return reply([], { 'grpc-status': status, 'grpc-message': percentEncoded(text) })
}

/** A status goes behind what there is of a message, and where there is none, too. */
function reply(messages: readonly Uint8Array[], trailers: Readonly<Record<string, string>>): AppReply {
  // Whoever asks in a coding that is not read is told of those that are.
  const headers = { 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity' }
  return { status: 200, headers, body: chunks(messages), trailers }
}

/** The one message of a unary call, or why there is none. */
async function grpcMessage(request: AppRequest): Promise<Uint8Array | GrpcFault> {
  const body = await request.body()
  if (body.length < PREFIX_BYTES) return malformed('no message')
  if (body[0] === 1) {
    const encoding = request.headers['grpc-encoding'] ?? 'identity'
    return { status: GrpcStatus.unimplemented, text: `messages compressed with ${encoding} are not read` }
  }
  if (body[0] !== 0) return malformed(`compressed flag ${body[0]}`)
  const length = body.readUInt32BE(1)
  if (length > MESSAGE_BYTES_MAX) return tooLarge(`message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`)
  if (length !== body.length - PREFIX_BYTES) return malformed('a message that is cut short, or more than one')
  return body.subarray(PREFIX_BYTES)
}

function malformed(text: string): GrpcFault {
  return { status: GrpcStatus.internal, text }
}

function tooLarge(text: string): GrpcFault {
  return { status: GrpcStatus.resourceExhausted, text }
}

/** @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Status-Message */
function percentEncoded(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent)
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

import { formatSpiffeId } from '@ambient-lab/pki'
import type { SocketAddress } from '../../address.ts'
import type { HttpStream } from '../http-stream.ts'
import { type ProtoMessage, ProtoWriter } from './protobuf.ts'

const NOTHING = new Uint8Array(0)

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check'

/** What an authorizer decided. */
export interface CheckAnswer {
  readonly allowed: boolean
  /** Of the refusal. */
  readonly status: number
  readonly body: string
  readonly headers: readonly HeaderOption[]
  readonly headersToRemove: readonly string[]
  /** For the response to an allowed request. */
  readonly responseHeaders: readonly HeaderOption[]
}

export interface HeaderOption {
  readonly name: string
  readonly value: string
  readonly append: boolean
}

/** What an authorizer is shown of a request's body. */
export interface CheckedBody {
  readonly bytes: Uint8Array
  readonly isPartial: boolean
}

/** Says whether there is more of the body than was sent along. */
export const PARTIAL_BODY_HEADER = 'x-envoy-auth-partial-body'

/** `envoy.service.auth.v3.CheckRequest` about a request. @param packAsBytes the body is not text */
export function encodeCheckRequest(
  { peer, request, record }: HttpStream,
  body?: CheckedBody,
  packAsBytes = false,
): Buffer {
  const question = request.path.indexOf('?')
  const principal = peer.identity ? formatSpiffeId(peer.identity) : ''
  const headers = new Map<string, string>([
    [':authority', request.authority],
    [':method', request.method],
    [':path', request.path],
    [':scheme', request.scheme],
  ])
  for (const [name] of request.headers) headers.set(name, request.headers.getJoined(name)!)
  if (body) headers.set(PARTIAL_BODY_HEADER, String(body.isPartial))
  return new ProtoWriter()
    .message(1, (attributes) =>
      attributes
        .message(1, (source) => address(source, peer.address).string(4, principal))
        .message(2, (destination) => address(destination, peer.local))
        .message(4, (wrapper) =>
          wrapper
            .message(1, (time) => time.uint(1, Math.floor(record.startedAtMs / 1000)))
            .message(2, (http) =>
              http
                .string(1, record.requestId)
                .string(2, request.method)
                .entries(3, headers)
                .string(4, request.path)
                .string(5, request.authority)
                .string(6, request.scheme)
                .string(7, question < 0 ? '' : request.path.slice(question + 1))
                .string(10, record.protocol)
                .bytes(packAsBytes ? 12 : 11, body?.bytes ?? NOTHING),
            ),
        ),
    )
    .finish()
}

function address(writer: ProtoWriter, { address, port }: SocketAddress): ProtoWriter {
  return writer.message(1, (outer) => outer.message(1, (socket) => socket.string(2, address).uint(3, port)))
}

/** `envoy.service.auth.v3.CheckResponse`. @throws CodedError PROTOBUF_MALFORMED */
export function decodeCheckResponse(message: ProtoMessage): CheckAnswer {
  const denied = message.message(2)
  const ok = message.message(3)
  const allowed = (message.message(1)?.uint(1) ?? 0) === 0
  return {
    allowed,
    status: denied?.message(1)?.uint(1) || 403,
    body: denied?.string(3) ?? '',
    headers: headerOptions((allowed ? ok : denied)?.messages(2) ?? []),
    headersToRemove: ok?.strings(5) ?? [],
    responseHeaders: headerOptions(ok?.messages(6) ?? []),
  }
}

function headerOptions(options: readonly ProtoMessage[]): HeaderOption[] {
  return options.flatMap((option) => {
    const header = option.message(1)
    const name = header?.string(1).toLowerCase() ?? ''
    if (name === '') return []
    const value = header!.string(2) || header!.string(3)
    return { name, value, append: option.message(2)?.uint(1) === 1 }
  })
}

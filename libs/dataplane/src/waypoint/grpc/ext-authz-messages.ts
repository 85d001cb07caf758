import { formatSpiffeId } from '@ambient-lab/pki'
import { CodedError } from '@ambient-lab/std'
import type { SocketAddress } from '../../address.ts'
import type { CheckAnswer, HeaderAction, HeaderOption } from '../check-answer.ts'
import type { HttpStream } from '../http-stream.ts'
import type { DownstreamPeer } from '../request-record.ts'
import { headerValueOf, textOfValue } from './header-value.ts'
import { type ProtoMessage, ProtoWriter } from './protobuf.ts'

const NOTHING = new Uint8Array(0)

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check'

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
  const headers = new Map<string, string>([
    [':authority', request.authority],
    [':method', request.method],
    [':path', request.path],
    [':scheme', request.scheme],
  ])
  for (const [name] of request.headers) {
    if (name !== 'host') headers.set(name, textOfValue(request.headers.getJoined(name)!))
  }
  if (body) headers.set(PARTIAL_BODY_HEADER, String(body.isPartial))
  return new ProtoWriter()
    .message(1, (attributes) =>
      peers(attributes, peer).message(4, (wrapper) =>
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
              .string(10, record.protocol)
              .bytes(packAsBytes ? 12 : 11, body?.bytes ?? NOTHING),
          ),
      ),
    )
    .finish()
}

/** The same about a connection. @param serverName SNI; undefined without TLS */
export function encodeConnectionCheck(peer: DownstreamPeer, serverName: string | undefined): Buffer {
  const writer = new ProtoWriter().message(1, (attributes) => {
    peers(attributes, peer)
    if (serverName) attributes.message(12, (session) => session.string(1, serverName))
  })
  return writer.finish()
}

function peers(attributes: ProtoWriter, { address: source, local, identity }: DownstreamPeer): ProtoWriter {
  const principal = identity ? formatSpiffeId(identity) : ''
  return attributes
    .message(1, (writer) => address(writer, source).string(4, principal))
    .message(2, (writer) => address(writer, local))
}

function address(writer: ProtoWriter, { address, port }: SocketAddress): ProtoWriter {
  return writer.message(1, (outer) => outer.message(1, (socket) => socket.string(2, address).uint(3, port)))
}

/** `envoy.service.auth.v3.CheckResponse`; undefined where a part of it cannot be read. */
export function readCheckResponse(message: ProtoMessage): CheckAnswer | undefined {
  try {
    return decodeCheckResponse(message)
  } catch (error) {
    if (!CodedError.is(error, 'PROTOBUF_MALFORMED')) throw error
    return undefined
  }
}

/** Without a status it allows. @throws CodedError PROTOBUF_MALFORMED */
function decodeCheckResponse(message: ProtoMessage): CheckAnswer {
  const allowed = (message.message(1)?.uint(1) ?? 0) === 0
  const denied = message.message(2)
  const ok = allowed ? message.message(3) : undefined
  return {
    allowed,
    status: denied?.message(1)?.uint(1) || 403,
    body: denied?.bytes(3) ?? '',
    // Where nothing is said a header of the request is replaced, as the .proto of OkHttpResponse has it.
    headers: headerOptions((allowed ? ok : denied)?.messages(2) ?? [], allowed ? 'set' : 'append'),
    headersToRemove: ok?.strings(5) ?? [],
    queryToSet: (ok?.messages(7) ?? []).map((parameter) => [parameter.string(1), parameter.string(2)] as const),
    queryToRemove: ok?.strings(8) ?? [],
    responseHeaders: headerOptions(ok?.messages(6) ?? [], 'append'),
  }
}

/** `HeaderValueOption.HeaderAppendAction`, from APPEND_IF_EXISTS_OR_ADD, which is 0 and cannot be told from silence. */
const ACTIONS: readonly (HeaderAction | undefined)[] = [undefined, 'add-if-absent', 'set', 'set-if-present']

/** @param silent what is done with a header of which nothing is said */
function headerOptions(options: readonly ProtoMessage[], silent: HeaderAction): HeaderOption[] {
  return options.flatMap((option) => {
    const [name, value] = headerValueOf(option.message(1))
    if (name === '') return []
    // Deprecated, and older than the actions: a wrapped boolean.
    const append = option.message(2)?.uint(1)
    const action = append === undefined ? ACTIONS[option.uint(3)] : append === 1 ? 'append' : 'set'
    return { name, value, action: action ?? silent }
  })
}

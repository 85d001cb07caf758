import type { ExtAuthz, ExtAuthzHttp } from '@ambient-lab/xds'
import { HeaderMap, type OutgoingRequest, removeHopByHop } from '../http1/index.ts'
import type { CheckAnswer, HeaderAction, HeaderOption } from './check-answer.ts'
import { type CheckedBody, PARTIAL_BODY_HEADER } from './grpc/ext-authz-messages.ts'
import type { HttpStream } from './http-stream.ts'
import type { UpstreamCallResult } from './upstream/upstream-call.ts'

/** Names, in an answer, headers that are to be taken off the request. */
const HEADERS_TO_REMOVE = 'x-envoy-auth-headers-to-remove'
/** What a client gets with a refusal besides the headers that are listed for it. */
const ALWAYS_ON_DENY = ['www-authenticate', 'location']
const SILENT: ExtAuthzHttp = {
  ...{ pathPrefix: '', requestHeaders: [], additionalHeaders: [] },
  ...{ upstreamOnAllow: [], downstreamOnDeny: [], downstreamOnAllow: [] },
}

/** The request about the request: its method and path, with the headers and the body that the provider wants to see. */
export function httpCheckRequest(
  { request }: HttpStream,
  { http = SILENT, authority }: ExtAuthz,
  body: CheckedBody | undefined,
): OutgoingRequest {
  const headers = new HeaderMap([['host', request.authority || authority]])
  for (const [name, value] of request.headers) {
    if (isFraming(name)) continue
    if (name === 'authorization' || matchesName(http.requestHeaders, name)) headers.append(name, value)
  }
  for (const { name, value } of http.additionalHeaders) headers.set(name, value)
  const target = `${http.pathPrefix}${request.path}`
  if (!body) return { method: request.method, target, headers, framing: 'none', contentLength: 0 }
  headers.set(PARTIAL_BODY_HEADER, String(body.isPartial))
  return { method: request.method, target, headers, framing: 'length', contentLength: body.bytes.length }
}

/** 200 allows; anything else is the refusal, as the client gets it. */
export function httpCheckAnswer({ status, headers, body }: UpstreamCallResult, http = SILENT): CheckAnswer {
  const allowed = status === 200
  const shown = new HeaderMap(headers)
  removeHopByHop(shown)
  for (const name of ['content-length', 'host']) shown.delete(name)
  const { upstreamOnAllow, downstreamOnAllow, downstreamOnDeny } = http
  const onDeny = downstreamOnDeny.length === 0 ? ['*'] : [...downstreamOnDeny, ...ALWAYS_ON_DENY]
  return {
    allowed,
    status,
    body,
    headers: allowed ? select(shown, upstreamOnAllow, 'set') : select(shown, onDeny, 'append'),
    headersToRemove: (headers.getJoined(HEADERS_TO_REMOVE) ?? '').split(',').flatMap((name) => name.trim() || []),
    queryToSet: [],
    queryToRemove: [],
    responseHeaders: select(shown, downstreamOnAllow, 'append'),
  }
}

/** Exact, or with a `*` at its beginning or end. */
export function matchesName(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => {
    if (pattern === '*') return true
    if (pattern.endsWith('*')) return name.startsWith(pattern.slice(0, -1))
    if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1))
    return name === pattern
  })
}

function select(headers: HeaderMap, patterns: readonly string[], action: HeaderAction): HeaderOption[] {
  return [...headers].flatMap(([name, value]) => (matchesName(patterns, name) ? { name, value, action } : []))
}

/** The body of the request about the request is another one. */
function isFraming(name: string): boolean {
  return name === 'content-length' || name === 'transfer-encoding' || name === 'host'
}

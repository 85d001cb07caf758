import { consistsOf, TARGET, TOKEN } from '../http1/characters.ts'
import { HeaderMap, HttpCodecError } from '../http1/index.ts'
import type { HttpRequest, HttpStream } from './http-stream.ts'
import { withoutQueryParameters, withQueryParameters } from './router/query.ts'

/** What an authorizer decided about a request, over whichever protocol. */
export interface CheckAnswer {
  readonly allowed: boolean
  /** Of the refusal. */
  readonly status: number
  readonly body: string | Uint8Array
  /** For the request that goes on, or for the refusal. */
  readonly headers: readonly HeaderOption[]
  readonly headersToRemove: readonly string[]
  readonly queryToSet: readonly (readonly [name: string, value: string])[]
  readonly queryToRemove: readonly string[]
  /** For the response to an allowed request. */
  readonly responseHeaders: readonly HeaderOption[]
}

/** One field, as a byte string; its name is in lower case. */
export interface HeaderOption {
  readonly name: string
  readonly value: string
  readonly action: HeaderAction
}

/** Envoy's `HeaderAppendAction`. */
export type HeaderAction = 'append' | 'add-if-absent' | 'set' | 'set-if-present'

/**
 * Does to the request what the authorizer wants.
 * @returns whether that is anything by which a route may be chosen
 * @throws HttpCodecError NOT_ENCODABLE for what could not be sent on
 */
export function applyToRequest(stream: HttpStream, answer: CheckAnswer): boolean {
  const { request } = stream
  const { headers, headersToRemove, queryToSet, queryToRemove } = answer
  if (headers.length + headersToRemove.length + queryToSet.length + queryToRemove.length === 0) return false
  for (const option of headers) applyToHead(request, option)
  for (const name of headersToRemove) if (isRemovable(name)) request.headers.delete(name)
  request.path = withQueryParameters(request.path, queryToSet)
  request.path = withoutQueryParameters(request.path, queryToRemove)
  stream.headChanged()
  return true
}

/** @throws HttpCodecError NOT_ENCODABLE */
export function applyHeader(headers: HeaderMap, { name, value, action }: HeaderOption): void {
  if (action === 'append') return headers.append(name, value)
  if (action === 'set') return headers.set(name, value)
  if (headers.has(name) === (action === 'set-if-present')) headers.set(name, value)
}

/** Throws what `applyHeader` would, while the answer can still be another one. @throws HttpCodecError NOT_ENCODABLE */
export function checkHeaders(options: readonly HeaderOption[]): void {
  for (const { name, value } of options) new HeaderMap([[name, value]])
}

function applyToHead(request: HttpRequest, option: HeaderOption): void {
  const { name, value } = option
  switch (name) {
    case ':authority':
    case 'host':
      request.headers.set('host', value)
      request.authority = value
      return
    case ':path':
      if (!value.startsWith('/') || !consistsOf(TARGET, value)) throw notEncodable('path', value)
      request.path = value
      return
    case ':method':
      if (value === '' || !consistsOf(TOKEN, value)) throw notEncodable('method', value)
      request.method = value
      return
    case 'content-length':
    case 'transfer-encoding':
      // The body stays what it is.
      return
    default:
      applyHeader(request.headers, option)
  }
}

/** Without these the request would be none. */
function isRemovable(name: string): boolean {
  return !name.startsWith(':') && name.toLowerCase() !== 'host'
}

function notEncodable(what: string, text: string): HttpCodecError {
  return new HttpCodecError('NOT_ENCODABLE', { origin: 'upstream' }, `${what} ${JSON.stringify(text)}`)
}

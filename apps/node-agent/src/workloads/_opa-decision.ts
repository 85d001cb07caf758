import { ProtoWriter } from '@ambient-lab/dataplane'
import { CodedError } from '@ambient-lab/std'

const PERMISSION_DENIED = 7
const FORBIDDEN = 403

/**
 * A decision as `envoy.service.auth.v3.CheckResponse`: a boolean, or an object with `allowed` and what goes with it. Dynamic
 * metadata of a decision is not sent, since nothing in the lab reads it.
 * @throws CodedError OPA_DECISION_INVALID, with the plugin's words, for a decision of another shape
 */
export function checkResponse(decision: unknown, { decisionId }: { readonly decisionId: string }): Buffer {
  const allowed = isAllowed(decision)
  const writer = new ProtoWriter().message(1, (status) => status.uint(1, allowed ? 0 : PERMISSION_DENIED))
  if (isObject(decision)) {
    if (allowed) withOkResponse(writer, decision)
    else withDeniedResponse(writer, decision)
  }
  return withId(writer, decisionId)
}

/** @throws CodedError OPA_DECISION_INVALID for what does not say */
export function isAllowed(decision: unknown): boolean {
  if (typeof decision === 'boolean') return decision
  const doing = 'failed to get response status'
  if (!isObject(decision)) {
    throw invalid(`${doing}: illegal value for policy evaluation result: ${typeOf(decision)}`)
  }
  const { allowed } = decision
  if (allowed === undefined) {
    throw invalid(`${doing}: unable to determine evaluation result due to missing "allowed" key`)
  }
  if (typeof allowed !== 'boolean') throw invalid(expected('allowed', 'boolean', allowed, doing))
  return allowed
}

/** A request that policies cannot be shown is refused before they are asked. */
export function unreadableResponse(problem: string, { decisionId }: { readonly decisionId: string }): Buffer {
  const text = `request_parse_error: ${problem}`
  const writer = new ProtoWriter()
    .message(1, (status) => status.uint(1, PERMISSION_DENIED).string(2, text))
    .message(2, (denied) => denied.message(1, (status) => status.uint(1, 400)).string(3, text))
  return withId(writer, decisionId)
}

type Decision = Readonly<Record<string, unknown>>

function withOkResponse(writer: ProtoWriter, decision: Decision): ProtoWriter {
  const headers = headersOf(decision, 'headers', 'failed to get response headers')
  const toRemove = texts(decision, 'request_headers_to_remove', 'failed to get request headers to remove')
  const toAdd = headersOf(decision, 'response_headers_to_add', 'failed to get response headers to send to client')
  const queryToRemove = texts(
    decision,
    'query_parameters_to_remove',
    'failed to get request query parameters to remove',
  )
  const queryToSet = queryOf(decision)
  return writer.message(3, (ok) => {
    for (const header of headers) withHeader(ok, 2, header)
    for (const name of toRemove) ok.string(5, name)
    for (const header of toAdd) withHeader(ok, 6, header)
    for (const [name, value] of queryToSet) ok.message(7, (parameter) => parameter.string(1, name).string(2, value))
    for (const name of queryToRemove) ok.string(8, name)
  })
}

function withDeniedResponse(writer: ProtoWriter, decision: Decision): ProtoWriter {
  const headers = headersOf(decision, 'headers', 'failed to get response headers')
  const { body = '', http_status: status = FORBIDDEN } = decision
  if (typeof body !== 'string') throw invalid(expected('body', 'string', body, 'failed to get response body'))
  if (typeof status !== 'number') {
    throw invalid(expected('http_status', 'number', status, 'failed to get response http status'))
  }
  if (!STATUSES.has(status)) throw invalid(`failed to get response http status: invalid HTTP status code ${status}`)
  return writer.message(2, (denied) => {
    denied.message(1, (code) => code.uint(1, status))
    for (const header of headers) withHeader(denied, 2, header)
    denied.string(3, body)
  })
}

function withHeader(writer: ProtoWriter, field: number, [name, value]: readonly [string, string]): void {
  writer.message(field, (option) => option.message(1, (header) => header.string(1, name).string(2, value)))
}

/** The plugin names each decision in the dynamic metadata. */
function withId(writer: ProtoWriter, decisionId: string): Buffer {
  const id = (value: ProtoWriter) => value.string(3, decisionId)
  return writer
    .message(4, (struct) => struct.message(1, (entry) => entry.string(1, 'decision_id').message(2, id)))
    .finish()
}

/** An object of headers, or a list of such; a value may be a list itself. */
function headersOf(decision: Decision, field: string, doing: string): (readonly [string, string])[] {
  const value = decision[field]
  if (value === undefined) return []
  const objects = Array.isArray(value) ? value : [value]
  return objects.flatMap((headers: unknown) => {
    if (!isObject(headers)) throw invalid(expected('headers', 'object', headers, doing))
    return Object.entries(headers).flatMap(([name, one]) => {
      const values = Array.isArray(one) ? one : [one]
      return values.map((text: unknown) => {
        if (typeof text === 'string') return [name, text] as const
        if (Array.isArray(one)) throw invalid(`${doing}: invalid value type ${typeOf(text)} for header '${name}'`)
        throw invalid(`${doing}: type assertion error for header '${name}'`)
      })
    })
  })
}

function texts(decision: Decision, field: string, doing: string): string[] {
  const value = decision[field]
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalid(expected(field, '[]string', value, doing))
  return value.map((text: unknown) => {
    if (typeof text !== 'string') throw invalid(expected(`${field} value`, 'string', text, doing))
    return text
  })
}

function queryOf({ query_parameters_to_set: value }: Decision): (readonly [string, string])[] {
  const doing = 'failed to get request query parameters to set: type assertion error'
  if (value === undefined) return []
  if (!isObject(value))
    throw invalid(`${doing}, expected query_parameters_to_set to be a map but got '${typeOf(value)}'`)
  return Object.entries(value).flatMap(([name, one]) => {
    if (typeof one === 'string') return [[name, one] as const]
    if (!Array.isArray(one)) throw invalid(`${doing}, expected value to be string or array but got '${typeOf(one)}'`)
    return one.map((text: unknown) => {
      if (typeof text === 'string') return [name, text] as const
      throw invalid(`${doing}: expected array element to be string but got '${typeOf(text)}'`)
    })
  })
}

function isObject(value: unknown): value is Decision {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function expected(what: string, type: string, value: unknown, doing: string): string {
  return `${doing}: type assertion error, expected ${what} to be of type '${type}' but got '${typeOf(value)}'`
}

/** As Go names what JSON holds. */
function typeOf(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'object') return 'map[string]interface {}'
  return { number: 'json.Number', boolean: 'bool' }[typeof value as string] ?? typeof value
}

function invalid(problem: string): CodedError {
  return new CodedError('OPA_DECISION_INVALID', problem)
}

/** Those that both Go and Envoy have a name for. */
const STATUSES: ReadonlySet<number> = new Set([
  ...[100, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 423, 424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
])

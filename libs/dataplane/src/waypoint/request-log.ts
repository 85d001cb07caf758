import { CelExpression } from '@ambient-lab/policy'
import { CodedError } from '@ambient-lab/std'
import type { AccessLogConfig } from '@ambient-lab/xds'
import { Format } from './format-commands.ts'
import { RequestAttributes } from './request-attributes.ts'
import type { RequestRecord } from './request-record.ts'

/** Istio's default line. @see ambient.md §9.3 */
export const DEFAULT_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%'

/** The keys that Istio gives the parts of its default line in JSON. */
const DEFAULT_JSON: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  route_name: '%ROUTE_NAME%',
}

/**
 * Makes the line of a request, without its end: heads were judged when they came, so that no field of one ends it.
 * Undefined: the log's filter passes it over.
 */
export type LineOf = (record: RequestRecord) => string | undefined

/**
 * @returns undefined when the log is off
 * @throws CodedError INVALID_FORMAT
 */
export function compileRequestLog(config: AccessLogConfig): LineOf | undefined {
  if (!config.enabled) return undefined
  const lineOf = compileLine(config)
  if (config.filter === undefined) return lineOf
  const passes = compileFilter(config.filter)
  return (record) => (passes(record) ? lineOf(record) : undefined)
}

/**
 * For whoever wants to know beforehand; what a filter is, is none of it.
 * @throws CodedError INVALID_FORMAT
 */
export function checkLogFormat(config: AccessLogConfig): void {
  if (config.enabled) compileLine(config)
}

/** Passes what its expression is true of: an error is not, and what is no expression is of nothing, as at Envoy. */
function compileFilter(source: string): (record: RequestRecord) => boolean {
  try {
    const expression = CelExpression.compile(source)
    const attributes = new RequestAttributes()
    return (record) => expression.holds(attributes.of(record))
  } catch (error) {
    if (!CodedError.is(error, 'INVALID_EXPRESSION')) throw error
    return () => false
  }
}

function compileLine(config: AccessLogConfig): LineOf {
  if (config.encoding === 'TEXT') {
    const format = new Format((config.format ?? DEFAULT_LOG_FORMAT).replace(/\n$/, ''), '-')
    return (record) => format.render(record)
  }
  const fields = jsonFields(config.format).map(([key, text]) => [key, new Format(text, '-')] as const)
  return (record) => {
    const line: Record<string, string | number | null> = {}
    for (const [key, format] of fields) line[key] = format.value(record)
    return JSON.stringify(line)
  }
}

/** A JSON log's format is an object of formats, as Telemetry's `labels` make it. */
function jsonFields(format: string | undefined): [string, string][] {
  if (format === undefined) return Object.entries(DEFAULT_JSON)
  const parsed: unknown = JSON.parse(format)
  return Object.entries(parsed as Record<string, unknown>).map(([key, value]) => [key, String(value)])
}

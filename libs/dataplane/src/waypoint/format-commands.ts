import { formatSpiffeId } from '@ambient-lab/pki'
import { CodedError } from '@ambient-lab/std'
import { formatAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import { IsoTime } from './date-header.ts'
import { LOG_FIELD_LENGTH_MAX } from './limits.ts'
import type { RequestRecord } from './request-record.ts'

/** A command's value for one request; undefined where there is none. */
type Command = (record: RequestRecord) => string | number | undefined
type CommandOf = (argument: string) => Command

const simple =
  (command: Command): CommandOf =>
  () =>
    command
const field = (headers: (record: RequestRecord) => HeaderMap | undefined): CommandOf => {
  return (argument) => {
    const sources = argument
      .toLowerCase()
      .split('?')
      .map((name): Command => PSEUDO_HEADERS[name] ?? ((record) => headers(record)?.getJoined(name)))
    const [only] = sources
    if (sources.length === 1) return only!
    return (record) => {
      for (const source of sources) {
        const value = source(record)
        if (value !== undefined) return value
      }
      return undefined
    }
  }
}

/** What the record knows better than the headers: as received, or as made here. */
const PSEUDO_HEADERS: Readonly<Record<string, Command>> = {
  ':method': ({ method }) => method || undefined,
  ':path': ({ path }) => path || undefined,
  ':authority': ({ authority }) => authority || undefined,
  host: ({ authority }) => authority || undefined,
  ':status': ({ status }) => status,
  // The record has the path as it was received, whatever a rewrite made of it.
  'x-envoy-original-path': () => undefined,
  'x-request-id': ({ requestId }) => requestId || undefined,
  'x-envoy-upstream-service-time': ({ upstreamServiceMs }) =>
    upstreamServiceMs === undefined ? undefined : Math.round(upstreamServiceMs),
}

/** What filters leave for whoever logs, by Envoy's names, `NAMESPACE:KEY`: of AUDIT policies, and of those in dry run. */
const METADATA: Readonly<Record<string, Command>> = {
  'envoy.common:access_log_hint': ({ isAudited }) => isAudited?.toString(),
  ...shadowMetadata('envoy.filters.http.rbac'),
  ...shadowMetadata('envoy.filters.network.rbac'),
}

function shadowMetadata(filter: string): Readonly<Record<string, Command>> {
  return {
    [`${filter}:istio_dry_run_allow_shadow_effective_policy_id`]: ({ dryRuns }) => dryRuns?.allow?.policy,
    [`${filter}:istio_dry_run_allow_shadow_engine_result`]: ({ dryRuns }) => dryRuns?.allow?.result,
    [`${filter}:istio_dry_run_deny_shadow_effective_policy_id`]: ({ dryRuns }) => dryRuns?.deny?.policy,
    [`${filter}:istio_dry_run_deny_shadow_engine_result`]: ({ dryRuns }) => dryRuns?.deny?.result,
  }
}

const isoTime = new IsoTime()

/** Envoy's access log commands. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage */
const COMMANDS: Readonly<Record<string, CommandOf>> = {
  START_TIME: simple(({ startedAtMs }) => isoTime.text(startedAtMs)),
  PROTOCOL: simple(({ protocol }) => protocol),
  RESPONSE_CODE: simple(({ status }) => status),
  RESPONSE_FLAGS: simple(({ flags }) => flags),
  RESPONSE_CODE_DETAILS: simple(({ details }) => details || undefined),
  CONNECTION_TERMINATION_DETAILS: simple(({ terminationDetails }) => terminationDetails || undefined),
  UPSTREAM_TRANSPORT_FAILURE_REASON: simple(({ upstreamFailure }) => upstreamFailure || undefined),
  BYTES_RECEIVED: simple(({ bytesReceived }) => bytesReceived),
  BYTES_SENT: simple(({ bytesSent }) => bytesSent),
  DURATION: simple(({ durationMs }) => Math.round(durationMs)),
  RESPONSE_DURATION: simple(({ responseStartedMs }) => responseStartedMs && Math.round(responseStartedMs)),
  UPSTREAM_HOST: simple(({ upstreamHost }) => upstreamHost?.address),
  UPSTREAM_CLUSTER: simple(({ cluster }) => cluster || undefined),
  UPSTREAM_LOCAL_ADDRESS: simple(() => undefined),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: simple(({ tries }) => tries),
  DOWNSTREAM_LOCAL_ADDRESS: simple(({ peer }) => formatAddress(peer.local)),
  DOWNSTREAM_LOCAL_PORT: simple(({ peer }) => peer.local.port),
  DOWNSTREAM_REMOTE_ADDRESS: simple(({ peer }) => formatAddress(peer.address)),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: simple(({ peer }) => peer.address.address),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: simple(({ peer }) => formatAddress(peer.address)),
  DOWNSTREAM_PEER_URI_SAN: simple(({ peer }) => peer.identity && formatSpiffeId(peer.identity)),
  REQUESTED_SERVER_NAME: simple(() => undefined),
  ROUTE_NAME: simple(({ routeName }) => routeName || undefined),
  DYNAMIC_METADATA: (argument) => METADATA[argument] ?? (() => undefined),
  GRPC_STATUS: simple(({ grpcStatus }) => grpcStatus || undefined),
  TRACE_ID: simple(({ traceId }) => traceId || undefined),
  REQ: field(({ requestHeaders }) => requestHeaders),
  RESP: field(({ responseHeaders }) => responseHeaders),
  TRAILER: field(({ responseTrailers }) => responseTrailers),
}

/** A format string, taken apart once: texts and commands in turn. */
export class Format {
  readonly #parts: readonly (string | Command)[]
  readonly #absent: string
  /** What `render` joins: its texts stand already. */
  readonly #texts: (string | number)[]

  /**
   * @param absent what stands where a value is missing: `-` in logs, nothing in headers
   * @throws CodedError INVALID_FORMAT for a command that nobody knows, or one that does not end
   */
  constructor(format: string, absent: string) {
    this.#absent = absent
    this.#parts = joinSteady(parseFormat(format), absent)
    this.#texts = this.#parts.map((part) => (typeof part === 'string' ? part : ''))
  }

  /** Without commands the text is the same for every request. */
  get constant(): string | undefined {
    return this.#parts.length === 1 && typeof this.#parts[0] === 'string' ? this.#parts[0] : undefined
  }

  /**
   * Joined, not concatenated: a string that grows by `+=` is a tree of its pieces, and lines are kept. The collector
   * would copy some sixty objects for each.
   */
  render(record: RequestRecord): string {
    const absent = this.#absent
    const parts = this.#parts
    const texts = this.#texts
    for (let index = 0; index < parts.length; index += 1) {
      const part = parts[index]!
      if (typeof part !== 'string') texts[index] = part(record) ?? absent
    }
    return texts.join('')
  }

  /** The value of a format that is one command alone, as JSON would have it; otherwise the text. */
  value(record: RequestRecord): string | number | null {
    const [only] = this.#parts
    if (this.#parts.length === 1 && typeof only === 'function') return only(record) ?? null
    return this.render(record)
  }
}

/**
 * Commands whose values are mostly those of the request before, also where clients, paths and answers are many: what
 * neighbours of them make is joined again only when one has another value.
 */
const STEADY: ReadonlySet<string> = new Set([
  ...['PROTOCOL', 'RESPONSE_CODE', 'RESPONSE_FLAGS', 'RESPONSE_CODE_DETAILS', 'CONNECTION_TERMINATION_DETAILS'],
  ...['UPSTREAM_TRANSPORT_FAILURE_REASON', 'UPSTREAM_HOST', 'UPSTREAM_CLUSTER', 'UPSTREAM_LOCAL_ADDRESS'],
  ...['DOWNSTREAM_LOCAL_ADDRESS', 'REQUESTED_SERVER_NAME', 'ROUTE_NAME'],
])

interface FormatPart {
  readonly command: Command
  readonly isSteady: boolean
}

/** Two steady commands and more, with the texts around them, become one. */
function joinSteady(parts: readonly (string | FormatPart)[], absent: string): (string | Command)[] {
  const joined: (string | Command)[] = []
  let run: (string | FormatPart)[] = []
  const endRun = () => {
    const commands = run.filter((part) => typeof part !== 'string')
    if (commands.length > 1) joined.push(steady(run, absent))
    else joined.push(...run.map((part) => (typeof part === 'string' ? part : part.command)))
    run = []
  }
  for (const part of parts) {
    if (typeof part === 'string' || part.isSteady) {
      run.push(part)
    } else {
      endRun()
      joined.push(part.command)
    }
  }
  endRun()
  return joined
}

function steady(parts: readonly (string | FormatPart)[], absent: string): Command {
  const commands = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.command]))
  const values: (string | number | undefined)[] = commands.map(() => undefined)
  let text: string | undefined
  const join = () => {
    let index = 0
    return parts.map((part) => (typeof part === 'string' ? part : (values[index++] ?? absent))).join('')
  }
  return (record) => {
    let isSame = text !== undefined
    for (let index = 0; index < commands.length; index += 1) {
      const value = commands[index]!(record)
      if (value === values[index]) continue
      values[index] = value
      isSame = false
    }
    if (!isSame) text = join()
    return text
  }
}

const COMMAND = /%(%|([A-Z_]+)(?:\(([^()]*)\))?(?::(\d+))?%)/g

function parseFormat(format: string): (string | FormatPart)[] {
  const parts: (string | FormatPart)[] = []
  let text = ''
  let end = 0
  for (const match of format.matchAll(COMMAND)) {
    text += textPart(format.slice(end, match.index))
    end = match.index + match[0].length
    if (match[1] === '%') {
      text += '%'
      continue
    }
    if (text !== '') parts.push(text)
    text = ''
    parts.push({ command: commandOf(match[2]!, match[3] ?? '', match[4]), isSteady: STEADY.has(match[2]!) })
  }
  text += textPart(format.slice(end))
  if (text !== '' || parts.length === 0) parts.push(text)
  return parts
}

function textPart(text: string): string {
  if (text.includes('%')) throw new CodedError('INVALID_FORMAT', `"${text}" has a % that begins no command`)
  return text
}

function commandOf(name: string, argument: string, length: string | undefined): Command {
  const make = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!make) throw new CodedError('INVALID_FORMAT', `%${name}% is no command that this proxy knows`)
  const command = make(argument)
  const limit = length === undefined ? LOG_FIELD_LENGTH_MAX : Number(length)
  return (record) => {
    const value = command(record)
    return typeof value === 'string' && value.length > limit ? value.slice(0, limit) : value
  }
}

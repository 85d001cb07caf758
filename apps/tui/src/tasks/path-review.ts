import type {
  PathCheckpoint,
  PathPolicy,
  PathReview,
  PathReviewPast,
  PathReviewRequest,
  PathReviewSpec,
  PathReviewStatus,
  PathReviewTarget,
} from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { cellText, layoutColumns } from '../output/columns.ts'
import { podsOf } from './pods.ts'
import { PATH_REVIEWS } from './resource-types.ts'

/** Asks the lab whether the workload (first argument) may reach the target (second). @throws CodedError NOT_FOUND */
export async function reviewPath(context: CommandContext): Promise<PathReview> {
  const { args, flags, signal } = context
  const [workload = '', what = ''] = args
  const namespace = flags.word('namespace')
  const { target, request } = parseTarget(what, namespace, flags.number('port'))
  const [pod] = await podsOf(await context.api(), namespace, workload, signal)
  return ask(context, { name: pod!.metadata.name, namespace }, target, request)
}

/**
 * The same about what was, by its id, as it would be decided now. A connection, by the id that `get connections -o wide`
 * and the access log have. A request, by its x-request-id, which `get requests` and the access log have: with all that
 * the request was.
 * @throws CodedError NOT_FOUND
 */
export async function reviewById(context: CommandContext): Promise<PathReview> {
  const [id = ''] = context.args
  const { signal, flags } = context
  const client = await context.api()
  const spec: PathReviewSpec = { connectionId: id, request: requestOf(flags, {}) }
  try {
    return await create(client, { name: 'connection' }, spec, signal)
  } catch (noConnection) {
    if (!CodedError.is(noConnection, 'NOT_FOUND')) throw noConnection
    try {
      return await create(client, { name: 'request' }, { requestId: id }, signal)
    } catch (noRequest) {
      if (!CodedError.is(noRequest, 'NOT_FOUND')) throw noRequest
      throw new CodedError('NOT_FOUND', `${noConnection.message}\n${noRequest.message}`, {
        next: 'ambient get requests, or ambient get connections -o wide',
      })
    }
  }
}

async function ask(
  context: CommandContext,
  source: { readonly name: string; readonly namespace: string },
  target: PathReviewTarget,
  request: PathReviewRequest,
): Promise<PathReview> {
  const { flags, signal } = context
  const name = `${source.name}-${target.name ?? target.host}`.toLowerCase().replaceAll(':', '-')
  const spec: PathReviewSpec = { source, target, request: requestOf(flags, request) }
  return create(await context.api(), { name }, spec, signal)
}

function requestOf(flags: CommandContext['flags'], { path }: PathReviewRequest): PathReviewRequest {
  return {
    method: flags.word('request'),
    path: path ?? flags.word('path'),
    headers: headersOf(flags.list('header')),
  }
}

function create(
  client: ApiClient,
  metadata: { readonly name: string },
  spec: PathReviewSpec,
  signal: AbortSignal,
): Promise<PathReview> {
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PathReview', metadata, spec }
  return client.create<PathReview>(PATH_REVIEWS, object, { signal })
}

/** AUDIT policies that match, `namespace/name`: they stop nothing. */
export function auditedBy(status: PathReviewStatus | undefined): readonly string[] {
  const audits = status?.checkpoints.filter(({ point }) => point === 'audit') ?? []
  return audits.flatMap(({ policies = [] }) => policies.filter(({ matched }) => matched).map(({ policy }) => policy))
}

/** `svc/pay`, `pod/pay-1`, `pay`, `pay.shop`, `pay:8080`, `http://pay:8080/charge`. @throws CodedError USAGE */
export function parseTarget(
  text: string,
  namespace: string,
  port: number | undefined,
): { readonly target: PathReviewTarget; readonly request: PathReviewRequest } {
  const [, type = '', name = ''] = /^([a-z]+)\/([^/]+)$/.exec(text) ?? []
  if (['svc', 'service', 'services', 'pod', 'pods', 'po'].includes(type)) {
    const kind = type.startsWith('s') ? 'Service' : 'Pod'
    return { target: { kind, name, namespace, ...(port !== undefined && { port }) }, request: {} }
  }
  const place = PLACE.exec(text)?.groups
  if (!place) throw usageError(`"${text}" is no target`, 'svc/NAME, pod/NAME, HOST:PORT or http://HOST:PORT/PATH')
  const host = place.v6 ?? place.host ?? ''
  const ofScheme = place.scheme === undefined ? undefined : place.scheme === 'https' ? 443 : 80
  const wanted = port ?? (place.port === undefined ? ofScheme : Number(place.port))
  if (wanted === undefined && /^[^.:]+$/.test(host)) {
    return { target: { kind: 'Service', name: host, namespace }, request: {} }
  }
  if (wanted === undefined) throw usageError(`"${text}" has no port`, `${text}:PORT, or --port PORT`)
  return { target: { host, port: wanted }, request: place.path === undefined ? {} : { path: place.path } }
}

/** `[scheme://]host[:port][/path]`; by hand, since URL forgets a port that is its scheme's default. */
const PLACE =
  /^(?:(?<scheme>https?):\/\/)?(?:\[(?<v6>[0-9a-f:.]+)\]|(?<host>[a-z0-9_.-]+))(?::(?<port>[0-9]{1,5}))?(?<path>\/.*)?$/i

function headersOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const colon = text.indexOf(':')
      if (colon < 1) throw usageError(`"${text}" is no header`, '-H NAME:VALUE')
      return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()]
    }),
  )
}

const VERDICTS = { ok: 'ok', skipped: '-', denied: 'NO' } as const

/** The way, a checkpoint a line; of the one that refused, each field that it compared. */
export function formatReview({ status }: PathReview): string {
  if (!status) return ''
  const head = `${status.allowed ? 'ALLOWED' : `DENIED  ${status.httpStatus ?? status.responseFlags}`}  ${status.summary}\n`
  const rows = status.checkpoints.map((one, index) => [
    `${index + 1}`,
    one.at,
    one.point,
    one.reason,
    VERDICTS[one.verdict],
  ])
  const way = layoutColumns([{ title: '', right: true }, ...COLUMNS], rows, false)
  const refused = status.checkpoints.find(({ verdict }) => verdict === 'denied')
  const fix = [...lines('fix ', status.fix), ...lines('also', status.also)].join('')
  return (
    head +
    (status.past ? pastText(status.past) : '') +
    way.replace(/^/gm, '  ').replace(/ +$/, '') +
    (refused ? formatPolicies(refused) : '') +
    (fix && `\n${fix}`)
  )
}

/** How a request that was sent ended; what a client chose of it is shown, and not obeyed. */
function pastText({
  at,
  by,
  source,
  method,
  host,
  path,
  httpStatus,
  responseFlags,
  details,
  hint,
  changed,
  movedTo,
}: PathReviewPast): string {
  const end = [httpStatus ?? 'no answer yet', responseFlags === '-' ? '' : responseFlags, details]
  const texts = [
    `then  ${end.filter(Boolean).join(' ')}  ${method} ${path} of ${source} to ${host} at ${by}, ${at}`,
    ...(hint === undefined ? [] : [`      ${hint}`]),
    ...(changed ? ['      what decides has changed since: now it ends as said above'] : []),
    ...(movedTo === undefined
      ? []
      : [
          `      the way leads through ${movedTo} by now: said above is what that one decides, without the request’s headers`,
        ]),
  ]
  return texts.map((text) => `${cellText(text)}\n`).join('')
}

function lines(word: string, texts: readonly string[] = []): string[] {
  return texts.map((text) => `${word}  ${text}\n`)
}

const COLUMNS = [{ title: '' }, { title: '' }, { title: '' }, { title: '' }]

function formatPolicies({ policies = [] }: PathCheckpoint): string {
  return policies.map(formatPolicy).join('')
}

function formatPolicy({ policy, action, dryRun, fields }: PathPolicy): string {
  const rows = fields.map(({ rule, field, wanted, got, held }) => [
    `rule ${rule}`,
    field,
    `want ${wanted.join(', ')}`,
    `got ${got}`,
    held ? 'ok' : 'x',
  ])
  const table =
    rows.length === 0 ? '  no condition was asked\n' : layoutColumns([{ title: '' }, ...COLUMNS], rows, false)
  return `\n${policy}  ${action}${dryRun ? '  dry-run' : ''}\n${table.replace(/^(?=.)/gm, '  ')}`
}

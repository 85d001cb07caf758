import type {
  Connection,
  PathCheckpoint,
  PathPolicy,
  PathReview,
  PathReviewRequest,
  PathReviewTarget,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'
import { podsOf } from './pods.ts'
import { CONNECTIONS, PATH_REVIEWS } from './resource-types.ts'

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
 * The same about a connection that was made, by the id that `get connections -o wide` and the access log have: its
 * source, to the address that it was opened to, as it would be decided now.
 * @throws CodedError NOT_FOUND
 */
export async function reviewConnection(context: CommandContext): Promise<PathReview> {
  const [id = ''] = context.args
  const client = await context.api()
  const { items } = await client.list<Connection>(CONNECTIONS, { signal: context.signal })
  const { source, target } = wayOf(id, items)
  return ask(context, source, target, {})
}

/** Where a connection came from and led to. Both halves have its trace id; the source's knows what was dialled. */
export function wayOf(
  id: string,
  connections: readonly Connection[],
): { readonly source: { readonly name: string; readonly namespace: string }; readonly target: PathReviewTarget } {
  const named = connections.find(({ metadata }) => metadata.name === id)?.spec
  const halves = connections.flatMap(({ spec }) => (spec && named && spec.traceId === named.traceId ? [spec] : []))
  const half = halves.find(({ direction }) => direction === 'outbound') ?? named
  const place = half && PLACE.exec(half.destination.address)?.groups
  if (!half || !place) {
    throw new CodedError('NOT_FOUND', `there is no connection ${id}: the lab knows those that stand or ended lately`, {
      next: 'ambient get connections -o wide',
    })
  }
  const { workload, namespace, address } = half.source
  if (workload === '') {
    throw new CodedError('NOT_FOUND', `connection ${id} came from ${address}, which is no workload of the lab`, {
      next: 'ambient get connections -o wide',
    })
  }
  return { source: { name: workload, namespace }, target: { host: place.v6 ?? place.host!, port: Number(place.port) } }
}

async function ask(
  context: CommandContext,
  source: { readonly name: string; readonly namespace: string },
  target: PathReviewTarget,
  request: PathReviewRequest,
): Promise<PathReview> {
  const { flags, signal } = context
  const client = await context.api()
  return client.create<PathReview>(
    PATH_REVIEWS,
    {
      apiVersion: 'ambient.lab/v1',
      kind: 'PathReview',
      metadata: { name: `${source.name}-${target.name ?? target.host}`.toLowerCase().replaceAll(':', '-') },
      spec: {
        source,
        target,
        request: {
          method: flags.word('request'),
          path: request.path ?? flags.word('path'),
          headers: headersOf(flags.list('header')),
        },
      },
    },
    { signal },
  )
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
    head + way.replace(/^/gm, '  ').replace(/ +$/, '') + (refused ? formatPolicies(refused) : '') + (fix && `\n${fix}`)
  )
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

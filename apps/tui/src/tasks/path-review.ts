import type { PathCheckpoint, PathPolicy, PathReview, PathReviewRequest, PathReviewTarget } from '@ambient-lab/api'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'
import { podsOf } from './pods.ts'
import { PATH_REVIEWS } from './resource-types.ts'

/** Asks the lab whether the workload (first argument) may reach the target (second). @throws CodedError NOT_FOUND */
export async function reviewPath(context: CommandContext): Promise<PathReview> {
  const { args, flags, signal } = context
  const [workload = '', what = ''] = args
  const namespace = flags.word('namespace')
  const { target, request } = parseTarget(what, namespace, flags.number('port'))
  const client = await context.api()
  const [pod] = await podsOf(client, namespace, workload, signal)
  return client.create<PathReview>(
    PATH_REVIEWS,
    {
      apiVersion: 'ambient.lab/v1',
      kind: 'PathReview',
      metadata: { name: `${workload.replaceAll('/', '-')}-${target.name ?? target.host}`.toLowerCase() },
      spec: {
        source: { name: pod!.metadata.name, namespace },
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

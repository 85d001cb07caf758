import { readFileSync } from 'node:fs'
import type { Load, Service } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, formatDuration } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { usageError } from '../cli/usage-error.ts'
import { histogramLog, judge, parseThreshold, progressLine, summaryText, type Threshold } from './load-report.ts'
import { LOADS, SERVICES } from './resource-types.ts'

type LoadSpec = NonNullable<Load['spec']>

/** Creates a Load, tells its progress, and answers with its numbers. */
export async function runLoad(context: CommandContext): Promise<number> {
  const { flags } = context
  const thresholds = flags.list('fail-if').map(parseThreshold)
  await checkRate(flags.word('rate'))
  const client = await context.api()
  const object = await newLoad(context, client)
  await client.create(LOADS, object, { signal: context.signal })
  const load = await follow(context, client, object)
  return report(context, load, thresholds)
}

async function checkRate(rate: string): Promise<void> {
  const { parseRatePerSecond } = await import('@ambient-lab/api')
  if (parseRatePerSecond(rate) !== undefined) return
  const hint = /^\d+(\.\d+)?$/.test(rate) ? `the unit is missing: ${rate}/s` : 'want a total rate such as 20/s'
  throw usageError(`--rate "${rate}" is no rate`, hint)
}

async function newLoad(context: CommandContext, client: ApiClient): Promise<Load> {
  const { flags, args, clock } = context
  const from = flags.text('from')
  if (from === undefined) throw usageError('load run needs --from: who sends?', '--from deploy/curl')
  const namespace = flags.word('namespace')
  const optional = {
    warmup: flags.durationMs('warmup'),
    bytes: flags.text('bytes'),
    maxInFlight: flags.number('max-in-flight'),
    headers: headersOf(flags.list('header')),
    body: bodyOf(flags.text('data')),
  }
  const spec = {
    from,
    url: await urlOf(context, client, args[0]!, namespace),
    method: flags.word('method'),
    rate: flags.word('rate'),
    duration: formatDuration(flags.durationMs('for') ?? 0),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    ...(optional.warmup === undefined ? {} : { warmup: formatDuration(optional.warmup) }),
  } as LoadSpec
  const name = flags.text('name') ?? `run-${clock.now().toString(36)}`
  return { apiVersion: 'ambient.lab/v1', kind: 'Load', metadata: { name, namespace }, spec }
}

/** `svc/pay`, `svc/pay:8080`, or a URL as it is. @throws CodedError NOT_FOUND */
async function urlOf(
  { flags, signal }: CommandContext,
  client: ApiClient,
  target: string,
  namespace: string,
): Promise<string> {
  if (/^[a-z]+:\/\//.test(target)) return target
  const match = /^(?:svc|service|services)\/([^:/]+)(?::(\d+))?$/.exec(target)
  if (!match)
    throw usageError(`"${target}" is no target`, 'svc/NAME, svc/NAME:PORT, http://HOST:PORT/PATH or tcp://HOST:PORT')
  const [, name = '', given] = match
  const service = await client.get<Service>(SERVICES, { namespace, name, signal })
  const port = given ?? service.spec?.ports?.[0]?.port
  return flags.boolean('tcp') ? `tcp://${name}:${port}` : `http://${name}:${port}${flags.word('path')}`
}

function headersOf(lines: readonly string[]): Readonly<Record<string, string>> | undefined {
  if (lines.length === 0) return undefined
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      if (colon < 1) throw usageError(`"${line}" is no header`, "-H 'name: value'")
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
    }),
  )
}

function bodyOf(data: string | undefined): string | undefined {
  return data?.startsWith('@') ? readFileSync(data.slice(1), 'utf8') : data
}

/** Until it is finished; Ctrl-C deletes it and rethrows after the last numbers were told. */
async function follow(context: CommandContext, client: ApiClient, { metadata, spec }: Load): Promise<Load> {
  const { signal, io } = context
  const options = { namespace: metadata.namespace, fieldSelector: `metadata.name=${metadata.name}`, signal }
  let last: Load | undefined
  for await (const event of client.watch<Load>(LOADS, options)) {
    if (event.type === 'SYNCED') continue
    if (event.type === 'DELETED') throw new CodedError('NOT_FOUND', `load/${metadata.name} was deleted while it ran`)
    last = event.object
    const { phase } = last.status ?? {}
    if (phase === 'Finished' || phase === 'Failed') return last
    if (last.status?.sent !== undefined) io.talk(progressLine(last))
  }
  await client.delete(LOADS, { name: metadata.name, namespace: metadata.namespace })
  if (last?.status?.sent) io.answer(summaryText({ ...last, spec: spec! }, { uncorrected: false }))
  throw signal.reason
}

function report({ flags, io }: CommandContext, load: Load, thresholds: readonly Threshold[]): number {
  const { status = {} } = load
  const format = flags.word('output')
  if (format === 'json')
    io.answer(
      `${JSON.stringify({ schema: 'ambient.lab/load/1', name: load.metadata.name, spec: load.spec, status }, null, 2)}\n`,
    )
  else if (format === 'hdr') io.answer(histogramLog(load))
  else io.answer(summaryText(load, { uncorrected: flags.boolean('uncorrected') }))
  const verdict = judge(load, thresholds)
  for (const line of verdict.says) io.error(line)
  return exitCode(verdict.exit)
}

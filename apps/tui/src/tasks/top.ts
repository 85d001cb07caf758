import { readFileSync } from 'node:fs'
import type { Edge, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError, formatBytes, sleep } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { usageError } from '../cli/usage-error.ts'
import { type Cell, layoutColumns } from '../output/columns.ts'
import { deploymentOf } from './pods.ts'
import { isNodeReady } from './ready.ts'
import { EDGES, NODES, PODS } from './resource-types.ts'

/** One row as JSON has it; the table shows the same. */
type TopRow = Readonly<Record<string, string | number | null>>

interface Sample {
  readonly atMs: number
  readonly edges: readonly Edge[]
  readonly pods: readonly Pod[]
  readonly nodes: readonly Node[]
  /** CPU seconds of each agent so far, by node. */
  readonly cpuSeconds: ReadonlyMap<string, number>
}

const WORKLOADS = ['wl', 'workload', 'workloads', 'po', 'pod', 'pods']
const NODE_WORDS = ['no', 'node', 'nodes']

/** Linux' USER_HZ, in which /proc counts CPU time; the same on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** Samples until Ctrl-C on a terminal, once elsewhere. */
export async function runTop(context: CommandContext): Promise<number> {
  const { args, flags, io, clock, signal } = context
  const [what = ''] = args
  const rowsOf = WORKLOADS.includes(what) ? workloadRows : NODE_WORDS.includes(what) ? nodeRows : undefined
  if (!rowsOf) throw usageError(`top knows no "${what}"`, 'ambient top wl, or ambient top no')
  const client = await context.api()
  const format = flags.word('output')
  const live = format === 'jsonl' || (io.isTty && format === 'table' && !flags.boolean('once'))
  let before = await sample(context, client)
  do {
    await sleep(clock, flags.durationMs('interval') ?? 0, signal)
    const now = await sample(context, client)
    io.answer(render(rowsOf(before, now), format, live, !flags.boolean('no-headers')))
    before = now
  } while (live)
  return exitCode('ok')
}

async function sample({ clock, signal }: CommandContext, client: ApiClient): Promise<Sample> {
  const [edges, pods, nodes] = await Promise.all([
    client.list<Edge>(EDGES, { signal }),
    client.list<Pod>(PODS, { signal }),
    client.list<Node>(NODES, { signal }),
  ])
  const cpuSeconds = new Map(
    nodes.items.flatMap(({ metadata, status }) => {
      const seconds = status?.agent && processNumbers(status.agent.pid)?.cpuSeconds
      return seconds === undefined ? [] : [[metadata.name, seconds] as const]
    }),
  )
  return { atMs: clock.monotonic(), edges: edges.items, pods: pods.items, nodes: nodes.items, cpuSeconds }
}

function render(rows: readonly TopRow[], format: string, live: boolean, headers: boolean): string {
  if (format === 'jsonl') return `${JSON.stringify({ items: rows })}\n`
  if (format === 'json') return `${JSON.stringify({ schema: 'ambient.lab/top/1', items: rows }, null, 2)}\n`
  const names = Object.keys(rows[0] ?? { name: '' })
  const columns = names.map((name) => ({
    title: name.toUpperCase().replaceAll('_', ' '),
    right: typeof rows[0]?.[name] === 'number',
  }))
  const cells = rows.map((row) => names.map((name): Cell => cell(name, row[name])))
  const clear = live ? '\x1b[H\x1b[2J' : ''
  return clear + layoutColumns(columns, cells, headers)
}

function cell(name: string, value: string | number | null | undefined): Cell {
  if (typeof value !== 'number') return value
  if (name.startsWith('bytes') || name === 'rss') return formatBytes(Math.round(value))
  return Number.isInteger(value) ? value : value.toFixed(1)
}

/**
 * What workloads did in the interval, by what their own side's ztunnel counted: for each edge the source's report goes
 * to the source and the destination's to the destination, so nothing is counted twice. Edges name the deployment.
 */
function workloadRows(before: Sample, now: Sample): TopRow[] {
  const seconds = (now.atMs - before.atMs) / 1000
  const was = totals(before.edges)
  const is = totals(now.edges)
  const workloads = Map.groupBy(
    now.pods,
    (pod) => `${pod.metadata.namespace}/${deploymentOf(pod) ?? pod.metadata.name}`,
  )
  const rows = [...workloads].map(([key, pods]) => {
    const [old, total] = [was.get(key) ?? NOTHING, is.get(key) ?? NOTHING]
    const [namespace = '', name = ''] = key.split('/')
    return {
      name,
      namespace,
      pods: pods.length,
      conn: total.open,
      'conn/s': (total.opened - old.opened) / seconds,
      'bytes/s': (total.bytes - old.bytes) / seconds,
      failed: total.failed,
      denied: total.denied,
    }
  })
  return rows.sort((a, b) => b['bytes/s'] - a['bytes/s'] || (a.name < b.name ? -1 : 1))
}

interface Totals {
  readonly open: number
  readonly opened: number
  readonly bytes: number
  readonly failed: number
  readonly denied: number
}

const NOTHING: Totals = { open: 0, opened: 0, bytes: 0, failed: 0, denied: 0 }

function totals(edges: readonly Edge[]): Map<string, Totals> {
  const sums = new Map<string, Totals>()
  for (const { spec } of edges) {
    if (!spec) continue
    const own = spec.reporter === 'source'
    const key = own
      ? `${spec.sourceNamespace}/${spec.sourceWorkload}`
      : `${spec.destinationNamespace}/${spec.destinationWorkload}`
    const sum = sums.get(key) ?? NOTHING
    sums.set(key, {
      open: sum.open + spec.opened - spec.closed,
      opened: sum.opened + spec.opened,
      bytes: sum.bytes + spec.bytesSent + spec.bytesReceived,
      failed: sum.failed + spec.failed,
      denied: sum.denied + spec.denied,
    })
  }
  return sums
}

/** Agents of this machine with their CPU and memory; of others, `-`. */
function nodeRows(before: Sample, now: Sample): TopRow[] {
  const seconds = (now.atMs - before.atMs) / 1000
  return now.nodes.map((node) => {
    const { name } = node.metadata
    const pid = node.status?.agent?.pid
    const [was, is] = [before.cpuSeconds.get(name), now.cpuSeconds.get(name)]
    const pods = now.pods.filter(({ spec }) => spec?.nodeName === name).length
    return {
      name,
      status: isNodeReady(node) ? 'Ready' : 'NotReady',
      pid: pid ?? null,
      'cpu%': was === undefined || is === undefined ? null : (100 * (is - was)) / seconds,
      rss: pid === undefined ? null : (processNumbers(pid)?.residentBytes ?? null),
      pods,
    }
  })
}

/** From /proc; undefined for a process of another machine, or on a system without it. */
function processNumbers(pid: number): { cpuSeconds: number; residentBytes: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return { cpuSeconds: ticks / TICKS_PER_SECOND, residentBytes: Number(fields[21]) * PAGE_BYTES }
  } catch (error) {
    if (error instanceof TypeError) throw new CodedError('API_PROTOCOL', `/proc/${pid}/stat is no stat`)
    return undefined
  }
}

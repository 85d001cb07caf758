import type { Load, Node, Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { sleep } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { bringUp, chooseTarget, count } from './bring-up.ts'
import { isReady } from './pods.ts'
import { isNodeReady } from './ready.ts'
import { LOADS, NODES, PODS } from './resource-types.ts'

const STATUS_PERIOD_MS = 1_000

/** Up, then the terminal UI (or a status line a second where there is no terminal), then down. */
export async function runDemo(context: CommandContext): Promise<number> {
  const { flags, io, clock } = context
  const { down } = await import('@ambient-lab/lab')
  const target = await chooseTarget(context, 'demo')
  try {
    const { client, folder, nodes, readiness } = await bringUp(context, target, { waitMs: flags.durationMs('timeout') })
    using _client = client
    io.answer(`lab ${folder.name} is up: ${count(nodes.length, 'node')}, ${count(readiness?.pods ?? 0, 'pod')} ready\n`)
    if (io.isTty && process.stdin.isTTY && !flags.given('for')) {
      const { runTui } = await import('../ui/run-tui.tsx')
      return await runTui({ lab: folder.name, api: client, globalArgv: ['-L', folder.name], signal: context.signal })
    }
    return await tellStatus(context, client, flags.durationMs('for'))
  } finally {
    if (!flags.boolean('keep')) {
      await down(target.folder, { clock })
      io.answer(`lab ${target.folder.name} is down\n`)
    }
  }
}

/** One line a second until the time is over, or Ctrl-C. */
async function tellStatus(context: CommandContext, client: ApiClient, forMs: number | undefined): Promise<number> {
  const { io, clock, signal } = context
  const untilMs = clock.monotonic() + (forMs ?? Number.POSITIVE_INFINITY)
  while (clock.monotonic() < untilMs) {
    io.answer(`${await statusLine(client)}\n`)
    await sleep(clock, Math.min(STATUS_PERIOD_MS, Math.max(0, untilMs - clock.monotonic())), signal)
  }
  return exitCode('ok')
}

async function statusLine(client: ApiClient): Promise<string> {
  const [nodes, pods, loads] = await Promise.all([
    client.list<Node>(NODES),
    client.list<Pod>(PODS),
    client.list<Load>(LOADS),
  ])
  const ready = (part: number, whole: number, word: string) => `${word} ${part}/${whole} ready`
  const traffic = loads.items.map(({ metadata, status = {} }) => {
    const p99 = status.latencyMs?.p99
    return `load ${metadata.name} sent ${status.sent ?? 0} failed ${status.failed ?? 0} p99 ${p99 === undefined ? '-' : `${p99.toFixed(1)}ms`}`
  })
  return [
    ready(nodes.items.filter(isNodeReady).length, nodes.items.length, 'nodes'),
    ready(pods.items.filter(isReady).length, pods.items.length, 'pods'),
    ...traffic,
  ].join('  ')
}

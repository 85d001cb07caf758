import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import type { LoadInit, LoadResult } from './load.ts'

export const WRK_VERSION = wrkVersion()

/** Keep-alive requests from wrk, whose own cost is a fraction of any proxy's. */
export async function runWrk({
  folder,
  port,
  core,
  connections,
  seconds,
  body,
  headers,
}: LoadInit): Promise<LoadResult> {
  const script = `${folder}/load.lua`
  writeFileSync(script, body.length > 0 ? `wrk.method = "POST"\nwrk.body = string.rep("x", ${body.length})\n` : '')
  const flags = [
    ...['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script],
    ...headers.flatMap((header) => ['-H', header]),
    `http://127.0.0.1:${port}/`,
  ]
  const [command, args] = pinned(core, 'wrk', flags)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  for await (const chunk of child.stdout) output += chunk
  const figure = (pattern: RegExp) => pattern.exec(output)?.[1]
  const requests = Number(figure(/(\d+) requests in/) ?? Number.NaN)
  if (!Number.isFinite(requests)) throw new Error(`wrk said: ${output}`)
  return {
    requests,
    perSecond: Number(figure(/Requests\/sec:\s+([\d.]+)/)),
    p50: milliseconds(figure(/^\s+50%\s+(\S+)$/m)),
    p99: milliseconds(figure(/^\s+99%\s+(\S+)$/m)),
    failures: Number(figure(/Non-2xx or 3xx responses: (\d+)/) ?? 0) + Number(figure(/read (\d+)/) ?? 0),
  }
}

/** `2.50ms`, `731.00us`, `1.20s`. */
function milliseconds(text = ''): number {
  const value = Number.parseFloat(text)
  if (text.endsWith('us')) return value / 1000
  return text.endsWith('ms') ? value : value * 1000
}

function wrkVersion(): string | undefined {
  const { stdout } = spawnSync('wrk', ['-v'], { encoding: 'utf8' })
  return /wrk (\S+)/.exec(stdout ?? '')?.[1]
}

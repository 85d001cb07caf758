import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'

/** What a run of requests came to. */
export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds, of a client that waits for each answer. */
  readonly p50: number
  readonly p99: number
  /** Answers that are no 2xx, and connections that broke. */
  readonly failures: number
}

export interface LoadInit {
  readonly folder: string
  readonly port: number
  readonly core: number | undefined
  readonly connections: number
  readonly seconds: number
  /** Bytes of the body of a POST; 0: a GET. */
  readonly bodyBytes: number
}

export const WRK_VERSION = wrkVersion()

/** Keep-alive requests from wrk, whose own cost is a fraction of any proxy's. */
export async function runLoad({ folder, port, core, connections, seconds, bodyBytes }: LoadInit): Promise<LoadResult> {
  const script = `${folder}/load-${bodyBytes}.lua`
  const body = bodyBytes > 0 ? `wrk.method = "POST"\nwrk.body = string.rep("x", ${bodyBytes})\n` : ''
  writeFileSync(script, body)
  const flags = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, `http://127.0.0.1:${port}/`]
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
    p50: milliseconds(figure(/50%\s+(\S+)/)),
    p99: milliseconds(figure(/99%\s+(\S+)/)),
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

import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pinned } from '../l4/cores.ts'
import type { LoadInit, LoadResult } from './load.ts'

export const H2LOAD_VERSION = h2loadVersion()

/** What h2load can do that wrk cannot: HTTP/2, and a rate that does not wait for answers. */
export interface H2LoadInit extends LoadInit {
  readonly path: string
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** Streams at once on a connection. */
  readonly streams: number
  /** Requests a second, all connections together; undefined: as many as go. */
  readonly perSecond?: number
  readonly warmUpSeconds: number
}

export async function runH2Load(init: H2LoadInit): Promise<LoadResult> {
  const { folder, port, core, connections, seconds, body, headers, path, protocol, streams, perSecond } = init
  const log = `${folder}/h2load.log`
  const bodyFile = `${folder}/h2load.body`
  if (body.length > 0) writeFileSync(bodyFile, body)
  const [command, args] = pinned(core, 'h2load', [
    ...['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, `--warm-up-time=${init.warmUpSeconds}`],
    `--log-file=${log}`,
    ...(protocol === 'HTTP/1.1' ? ['--h1'] : []),
    ...(perSecond === undefined ? [] : [`--rps=${Math.max(1, Math.round(perSecond / connections))}`]),
    ...(body.length > 0 ? ['-d', bodyFile] : []),
    ...headers.flatMap((header) => ['-H', header]),
    `http://127.0.0.1:${port}${path}`,
  ])
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  for await (const chunk of child.stdout) output += chunk
  const codes = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output)
  const ends = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(output)
  if (!codes || !ends) throw new Error(`h2load said: ${output}`)
  const micros = readDurations(log)
  rmSync(log, { force: true })
  const requests = micros.length
  const at = (share: number) => (micros[Math.floor(requests * share)] ?? Number.NaN) / 1000
  const [, , ...bad] = [...codes].map(Number)
  return {
    requests,
    perSecond: requests / seconds,
    p50: at(0.5),
    p99: at(0.99),
    failures: [...bad, ...ends.slice(1).map(Number)].reduce((sum, count) => sum + count, 0),
  }
}

/** The log has a line a request: when it began, its status, how long it took; µs. Sorted. */
function readDurations(path: string): Float64Array {
  const lines = readFileSync(path, 'latin1').split('\n')
  return Float64Array.from(
    lines.filter((line) => line !== ''),
    (line) => Number(line.slice(line.lastIndexOf('\t') + 1)),
  ).sort()
}

function h2loadVersion(): string | undefined {
  const { stdout } = spawnSync('h2load', ['--version'], { encoding: 'utf8' })
  return /nghttp2\/(\S+)/.exec(stdout ?? '')?.[1]
}

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Which processor core each party keeps to, so that none takes another's time. */
export interface Cores {
  /** The load and the backends: this process. */
  readonly load: number
  readonly source: number
  readonly destination: number
}

/**
 * One core each where there are three; with two, both proxies of a pair share one and the load has the other, which
 * makes the rate a measure of the work that both do together. Undefined where processes cannot be pinned.
 */
export function planCores(): Cores | undefined {
  const allowed = allowedCores()
  if (allowed.length === 0) return undefined
  const at = (index: number) => allowed[Math.min(index, allowed.length - 1)]!
  return { load: at(0), source: at(1), destination: at(2) }
}

/** Pins every thread of this process. Returns how to undo it. */
export function pinSelf(core: number | undefined): () => void {
  if (core === undefined) return () => {}
  const before = allowedCores().join(',')
  const pin = (list: string) => spawnSync('taskset', ['-acp', list, String(process.pid)])
  pin(String(core))
  return () => pin(before)
}

/** A command line that runs another one on a core. */
export function pinned(core: number | undefined, command: string, args: readonly string[]): [string, string[]] {
  return core === undefined ? [command, [...args]] : ['taskset', ['-c', String(core), command, ...args]]
}

/** Those that this process may use; none where there is no taskset. */
function allowedCores(): number[] {
  if (process.platform !== 'linux' || spawnSync('taskset', ['--version']).status !== 0) return []
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

import { readdirSync, readFileSync } from 'node:fs'

const PAGE_BYTES = 4096

/** Memory of a process that is really there, its share of files included. */
export function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
}

/**
 * Seconds of processor time that all threads of a process used so far, as the scheduler counted them: tells what work
 * costs also while others keep the core busy.
 */
export function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).reduce(
    (sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9,
    0,
  )
}

/** Milliseconds since 1970 at which a process began, to the kernel's hundredth of a second. */
export function processStartMs(pid: number): number {
  const ticks = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19])
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000
  return Date.now() - uptimeMs + ticks * 10
}

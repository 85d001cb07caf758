import { rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import {
  type Clock,
  CodedError,
  errorCode,
  isAlive,
  makeFolder,
  type ProcessRecord,
  removeProcessRecord,
  sleep,
} from '@ambient-lab/std'
import type { LabFolder } from './lab-folder.ts'
import { EXIT_POLL_MS, KILL_LIMIT_MS, STOP_GRACE_MS } from './limits.ts'

/** The order in which processes are stopped: who depends on another goes first. Roles not named go before all. */
const STOP_ORDER = ['node-agent', 'control-plane', 'supervisor']

/** What ended a process. `gone`: it was not there any more. */
export type StopResult = 'gone' | 'terminated' | 'killed'

export interface StoppedProcess extends ProcessRecord {
  readonly result: StopResult
}

/** A process of a lab as `lab inspect` shows it. */
export interface ProcessView extends ProcessRecord {
  readonly alive: boolean
}

/** Every process that left a record, supervisor first, then control plane, then the agents. */
export function inspectProcesses(folder: LabFolder): ProcessView[] {
  return folder
    .readProcesses()
    .map((record) => ({ ...record, alive: isAlive(record) }))
    .sort((a, b) => stopRank(b) - stopRank(a) || (a.name < b.name ? -1 : 1))
}

/**
 * SIGTERM, then SIGKILL after the grace period. The start time is compared right before each signal, so that a reused
 * pid is never hit.
 * @throws CodedError STOP_FAILED when it survives
 */
export async function stopProcess(
  record: Pick<ProcessRecord, 'role' | 'name' | 'pid' | 'startTime'>,
  options: { clock: Clock; graceMs?: number },
): Promise<StopResult> {
  const { clock, graceMs = STOP_GRACE_MS } = options
  if (!signalProcess(record, 'SIGTERM')) return 'gone'
  if (await waitForExit(record, clock, graceMs)) return 'terminated'
  signalProcess(record, 'SIGKILL')
  if (await waitForExit(record, clock, KILL_LIMIT_MS)) return 'killed'
  throw new CodedError('STOP_FAILED', `process ${record.pid} (${record.role} ${record.name}) survived SIGKILL`, {
    next: `look at it: ps -o pid,stat,wchan,args -p ${record.pid}`,
  })
}

/** @returns false when the process is gone, or is another one by now */
export function signalProcess(record: Pick<ProcessRecord, 'pid' | 'startTime'>, signal: NodeJS.Signals): boolean {
  if (!isAlive(record)) return false
  try {
    process.kill(record.pid, signal)
    return true
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false
    throw error
  }
}

/** Looks every few milliseconds: a process that is nobody's child here announces its end to nobody. */
export async function waitForExit(
  record: Pick<ProcessRecord, 'pid' | 'startTime'>,
  clock: Clock,
  limitMs: number,
): Promise<boolean> {
  const untilMs = clock.monotonic() + limitMs
  while (isAlive(record)) {
    if (clock.monotonic() >= untilMs) return false
    await sleep(clock, EXIT_POLL_MS)
  }
  return true
}

/** Stops what runs, agents side by side, then the control plane, then the supervisor, and removes the records. */
export async function stopAll(folder: LabFolder, clock: Clock): Promise<StoppedProcess[]> {
  const records = folder.readProcesses()
  const stopped: StoppedProcess[] = []
  for (const rank of [-1, 0, 1, 2]) {
    const group = records.filter((record) => stopRank(record) === rank && record.pid !== process.pid)
    const results = await Promise.all(group.map((record) => stopProcess(record, { clock })))
    for (const [index, record] of group.entries()) {
      removeProcessRecord(folder.processes, record)
      stopped.push({ ...record, result: results[index]! })
    }
  }
  return stopped
}

/** Ports of ended processes on which something still listens. */
export async function portsInUse(
  records: readonly ProcessRecord[],
): Promise<{ port: number; record: ProcessRecord }[]> {
  const candidates = records.flatMap((record) => Object.values(record.ports).map((port) => ({ port, record })))
  const open = await Promise.all(candidates.map(({ port }) => isListening(port)))
  return candidates.filter((_, index) => open[index])
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Makes the place of the supervisor's socket: a folder that only this user enters, and no file of an earlier supervisor.
 * Only the holder of the lab's lock may call it.
 * @throws CodedError FORBIDDEN when the folder in tmp belongs to somebody else
 */
export function prepareSocket(folder: LabFolder): void {
  const parent = dirname(folder.socket)
  makeFolder(parent)
  const { uid } = statSync(parent)
  if (process.getuid && uid !== process.getuid()) {
    throw new CodedError('FORBIDDEN', `${parent} belongs to another user (uid ${uid})`, {
      next: 'set AMBIENT_HOME to a shorter path',
    })
  }
  rmSync(folder.socket, { force: true })
}

function stopRank({ role }: Pick<ProcessRecord, 'role'>): number {
  return STOP_ORDER.indexOf(role)
}

import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { type Clock, CodedError, isAlive, type ProcessRecord, removeProcessRecord, sleep } from '@ambient-lab/std'
import { ApiClient, type ApiClientInit } from './client/api-client.ts'
import { LabFolder, listLabFolders } from './lab-folder.ts'
import { DOWN_LIMIT_MS, EXIT_POLL_MS, LOCK_LIMIT_MS, LOG_LINES_QUOTED, START_LIMIT_MS } from './limits.ts'
import { Lock } from './lock.ts'
import { lastLines } from './log-file.ts'
import { portsInUse, type StoppedProcess, stopAll, waitForExit } from './processes.ts'
import { askSupervisor, type ProcessTarget, type SupervisedProcess } from './supervisor/protocol.ts'

/** What the supervisor exits with when another holds the lab (cli.md §6, "cannot create"). */
export const EXIT_LAB_HELD = 73

export interface UpInit {
  readonly folder: LabFolder
  /** Nodes to start at once, ahead of their objects. */
  readonly nodes: readonly string[]
  /** The command that runs a Supervisor for this folder and these nodes; see `apps/tui`'s `supervise`. */
  readonly supervisor: readonly string[]
  readonly clock: Clock
  readonly client?: ApiClientInit
  /** Ends the waiting; a supervisor that serves already goes on. */
  readonly signal?: AbortSignal
}

export interface UpResult {
  readonly client: ApiClient
  readonly processes: readonly SupervisedProcess[]
  /** False when the lab was running already. */
  readonly started: boolean
}

/**
 * Makes sure that the lab's control plane and the named nodes run, and answers a client of its API as soon as that
 * serves; agents may still be joining. Safe to call twice, also at the same time: the supervisor's lock decides who
 * starts, the other asks the winner.
 * @throws SupervisorError why a program did not start; CodedError TIMEOUT, LAB_LOCKED; the signal's reason
 */
export async function up(init: UpInit): Promise<UpResult> {
  const { folder, nodes, clock, signal } = init
  folder.create()
  const untilMs = clock.monotonic() + LOCK_LIMIT_MS
  let started = false
  for (;;) {
    try {
      const processes = await askSupervisor(folder.socket, { op: 'start', nodes }, signal)
      return { client: ApiClient.fromKubeconfig(folder.kubeconfig, init.client), processes, started }
    } catch (error) {
      signal?.throwIfAborted()
      if (!CodedError.is(error, 'UNAVAILABLE') && !CodedError.is(error, 'SHUTTING_DOWN')) {
        // What was started for a control plane that does not come has nothing to do; its log stays to be read.
        if (started) await down(folder, { clock, keepState: true })
        throw error
      }
      if (clock.monotonic() >= untilMs) throw lockedOr(folder, error)
    }
    if (Lock.holder(folder.lock)) await sleep(clock, EXIT_POLL_MS, signal)
    else started = (await startSupervisor(init)) || started
  }
}

function lockedOr(folder: LabFolder, error: CodedError): CodedError {
  const holder = Lock.holder(folder.lock)
  if (!holder) return error
  return new CodedError(
    'LAB_LOCKED',
    `process ${holder.pid} (${holder.what}) holds lab ${folder.name} since ${holder.since}`,
    {
      next: `ambient lab clean -L ${folder.name}`,
    },
  )
}

/**
 * Spawns a detached supervisor and waits until it listens.
 * @returns false when another one was faster
 * @throws CodedError START_FAILED, TIMEOUT; the signal's reason
 */
function startSupervisor({ folder, supervisor, clock, signal }: UpInit): Promise<boolean> {
  folder.create()
  const logFile = folder.log('supervisor', 'main')
  const log = openSync(logFile, 'a', 0o600)
  const [executable, ...args] = supervisor
  const child = spawn(executable!, args, { detached: true, stdio: ['ignore', 'pipe', log] })
  closeSync(log)
  return new Promise<boolean>((resolve, reject) => {
    const late = new CodedError('TIMEOUT', 'the supervisor did not start in time', { next: `read ${logFile}` })
    const cancel = clock.schedule(START_LIMIT_MS, () => reject(late))
    const onAbort = () =>
      settle(() => {
        child.kill() // it does not serve yet: nobody else can know of it
        reject(signal?.reason)
      })
    const settle = (act: () => void) => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
      child.removeAllListeners() // its end, hours later, is nobody's news here
      child.stdout!.destroy()
      child.unref()
      act()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    child.once('error', (error) => settle(() => reject(supervisorFailed(logFile, String(error)))))
    child.stdout!.once('data', () => settle(() => resolve(true)))
    child.once('exit', (exitCode) =>
      settle(() =>
        exitCode === EXIT_LAB_HELD ? resolve(false) : reject(supervisorFailed(logFile, `exit code ${exitCode}`)),
      ),
    )
  })
}

function supervisorFailed(logFile: string, why: string): CodedError {
  const said = lastLines(logFile, LOG_LINES_QUOTED).join('\n  ')
  return new CodedError('START_FAILED', `the supervisor ended (${why})\n  ${said}`, { next: `read ${logFile}` })
}

export interface DownResult {
  readonly stopped: readonly StoppedProcess[]
}

/**
 * Stops agents, control plane, supervisor, in this order, then removes the folder unless `keepState`. What the
 * supervisor does not do (it may be dead) is done from the records. Returns when nothing is left.
 * @throws CodedError STOP_FAILED, LAB_LOCKED
 */
export async function down(folder: LabFolder, options: { clock: Clock; keepState?: boolean }): Promise<DownResult> {
  const { clock, keepState = false } = options
  const before = folder.readProcesses().filter(isAlive)
  await shutdownThroughSupervisor(folder, clock)
  using _lock = await lockWherePossible(folder, clock)
  const swept = await stopAll(folder, clock)
  const sweptPids = new Set(swept.map(({ pid }) => pid))
  const stopped = [...before.filter(({ pid }) => !sweptPids.has(pid)).map(terminated), ...swept]
  await assertNothingLeft(stopped)
  if (!keepState) folder.remove()
  return { stopped }
}

/** Where the disk is full nobody else gets the lock either, and what is in the way can still be taken down. */
async function lockWherePossible(folder: LabFolder, clock: Clock): Promise<Lock | undefined> {
  try {
    return await Lock.acquire(folder.lock, { what: 'ambient down', limitMs: LOCK_LIMIT_MS, clock })
  } catch (error) {
    if (CodedError.is(error, 'DISK_FULL')) return undefined
    throw error
  }
}

function terminated(record: ProcessRecord): StoppedProcess {
  return { ...record, result: 'terminated' }
}

async function shutdownThroughSupervisor(folder: LabFolder, clock: Clock): Promise<void> {
  const supervisor = folder.readProcesses().find(({ role }) => role === 'supervisor')
  const controller = new AbortController()
  const late = new CodedError('TIMEOUT', 'the supervisor did not shut down in time')
  const cancel = clock.schedule(DOWN_LIMIT_MS, () => controller.abort(late))
  try {
    await askSupervisor(folder.socket, { op: 'shutdown' }, controller.signal)
    if (supervisor) await waitForExit(supervisor, clock, DOWN_LIMIT_MS)
  } catch (error) {
    if (!CodedError.is(error)) throw error // dead or hanging: the records tell what is left to stop
  } finally {
    cancel()
  }
}

async function assertNothingLeft(stopped: readonly StoppedProcess[]): Promise<void> {
  const survivor = stopped.find(isAlive)
  if (survivor)
    throw new CodedError('STOP_FAILED', `process ${survivor.pid} (${survivor.role} ${survivor.name}) still runs`)
  const [taken] = await portsInUse(stopped)
  if (!taken) return
  const { port, record } = taken
  throw new CodedError(
    'STOP_FAILED',
    `port ${port} of ${record.role} ${record.name} still answers, and not from our process`,
    {
      next: `find who: ss -ltnp 'sport = :${port}'`,
    },
  )
}

export interface CleanResult {
  readonly lab: string
  readonly stopped: readonly StoppedProcess[]
  /** Records of processes that were gone already. */
  readonly stale: readonly ProcessRecord[]
  /** Whether the folder was removed. */
  readonly removed: boolean
}

/**
 * Removes what crashes left: orphans whose supervisor died, records of the dead, locks, sockets, folders. A lab whose
 * supervisor lives is left alone unless `all`. With `dryRun` it only tells.
 */
export async function clean(
  home: string,
  options: { clock: Clock; name?: string; all?: boolean; dryRun?: boolean },
): Promise<CleanResult[]> {
  const { clock, name, all = false, dryRun = false } = options
  const folders = name === undefined ? listLabFolders(home) : [new LabFolder(home, name)]
  const results: CleanResult[] = []
  for (const folder of folders) {
    const records = folder.readProcesses()
    const healthy = records.some((record) => record.role === 'supervisor' && isAlive(record))
    if ((healthy && !all) || !folder.exists) continue
    const stale = records.filter((record) => !isAlive(record))
    const alive = records.filter(isAlive).map(terminated)
    if (dryRun) {
      results.push({ lab: folder.name, stopped: alive, stale, removed: false })
      continue
    }
    for (const record of stale) removeProcessRecord(folder.processes, record)
    const { stopped } = await down(folder, { clock })
    results.push({ lab: folder.name, stopped, stale, removed: true })
  }
  return results
}

/** Restarts one process of the lab, also while the API is down, and waits until it is ready. */
export function restartProcess(folder: LabFolder, target: ProcessTarget): Promise<readonly SupervisedProcess[]> {
  return askSupervisor(folder.socket, { op: 'restart', target })
}

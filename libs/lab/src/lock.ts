import { linkSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type Clock,
  CodedError,
  errorCode,
  errorMessage,
  isAlive,
  kernelStartTime,
  makeFolder,
  sleep,
} from '@ambient-lab/std'
import { TAKEOVER_STALE_MS } from './limits.ts'

/** Who holds a lock: enough to tell a live owner from a reused pid, and to name it to people. */
export interface LockOwner {
  readonly pid: number
  readonly startTime: string
  /** The command that holds it: `ambient down`, `supervisor`. */
  readonly what: string
  /** RFC 3339. */
  readonly since: string
}

const RETRY_MS = 10

/**
 * A lock file that names its owner. One whose owner died is taken over: only the holder of the `.takeover` folder may
 * remove it, after reading it once more, so that two late comers never both get in.
 */
export class Lock implements Disposable {
  readonly #path: string
  readonly #owner: LockOwner

  private constructor(path: string, owner: LockOwner) {
    this.#path = path
    this.#owner = owner
  }

  /**
   * @param options.limitMs how long to wait for a live owner; 0 does not wait
   * @throws CodedError LAB_LOCKED naming the owner; DISK_FULL, LOCK_FAILED
   */
  static async acquire(path: string, options: { what: string; limitMs: number; clock: Clock }): Promise<Lock> {
    const { clock, what, limitMs } = options
    const owner: LockOwner = {
      pid: process.pid,
      startTime: kernelStartTime(process.pid) ?? '',
      what,
      since: new Date(clock.now()).toISOString(),
    }
    const untilMs = clock.monotonic() + limitMs
    for (;;) {
      if (tryLink(path, owner)) return new Lock(path, owner)
      const holder = readOwner(path)
      if (!holder) continue // let go between the two looks
      if (!isAlive(holder)) {
        if (removeStale(path, clock)) continue
      } else if (clock.monotonic() >= untilMs) {
        throw lockedError(holder)
      }
      await sleep(clock, RETRY_MS)
    }
  }

  /** The live holder, if there is one. */
  static holder(path: string): LockOwner | undefined {
    const owner = readOwner(path)
    return owner && isAlive(owner) ? owner : undefined
  }

  [Symbol.dispose](): void {
    const holder = readOwner(this.#path)
    if (holder?.pid === this.#owner.pid && holder.startTime === this.#owner.startTime)
      rmSync(this.#path, { force: true })
  }
}

function lockedError(holder: LockOwner): CodedError {
  return new CodedError('LAB_LOCKED', `process ${holder.pid} (${holder.what}) holds the lab since ${holder.since}`, {
    retry: 'yes',
    next: 'wait for it, or end it: ambient lab list',
  })
}

function lockFailed(error: unknown, path: string): CodedError {
  const full = ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '')
  return new CodedError(full ? 'DISK_FULL' : 'LOCK_FAILED', `cannot write ${path}: ${errorMessage(error)}`, {
    cause: error,
    next: full ? 'free some disk space' : 'AMBIENT_HOME names another folder for labs',
  })
}

/** The link appears with its content, or not at all: nobody reads half an owner. */
function tryLink(path: string, owner: LockOwner): boolean {
  const own = `${path}.${owner.pid}`
  try {
    makeFolder(dirname(path))
    writeFileSync(own, `${JSON.stringify(owner)}\n`, { mode: 0o600 })
    linkSync(own, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw lockFailed(error, path)
  } finally {
    rmSync(own, { force: true })
  }
}

/** undefined: nobody holds it. A file that names nobody counts as held by a dead process. */
function readOwner(path: string): LockOwner | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockOwner
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? undefined : NOBODY
  }
}

/** No process has this pid. */
const NOBODY: LockOwner = { pid: 2 ** 30, startTime: '-', what: 'unknown', since: '' }

/**
 * Removes a lock whose owner is dead. Safe because such a file can go only through here: its owner cannot remove it any
 * more, nobody replaces what is there, and the takeover folder lets in one at a time. A lock that was let go meanwhile
 * is not touched: somebody alive may be taking it right now.
 * @returns false while somebody else is at it
 */
function removeStale(path: string, clock: Clock): boolean {
  const takeover = `${path}.takeover`
  try {
    mkdirSync(takeover)
  } catch {
    removeInterruptedTakeover(takeover, clock)
    return false
  }
  try {
    const holder = readOwner(path)
    if (holder && !isAlive(holder)) rmSync(path, { force: true })
    return true
  } finally {
    rmdirSync(takeover)
  }
}

function removeInterruptedTakeover(takeover: string, clock: Clock): void {
  try {
    if (clock.now() - statSync(takeover).mtimeMs > TAKEOVER_STALE_MS) rmdirSync(takeover)
  } catch {
    // finished meanwhile
  }
}

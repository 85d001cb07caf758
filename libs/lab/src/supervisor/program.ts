import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, CodedError, kernelStartTime } from '@ambient-lab/std'
import { LOG_LINES_QUOTED, START_LIMIT_MS } from '../limits.ts'
import { lastLines } from '../log-file.ts'

/** How to start each program: the command and its leading arguments. */
export interface Programs {
  /** `[node, …/apps/control-plane/dist/main.js]` */
  readonly controlPlane: readonly string[]
  readonly nodeAgent: readonly string[]
}

/** The one JSON line that a program prints when it serves. */
export interface ReadyLine {
  readonly ready: true
  readonly pid: number
  /** Of the control plane. */
  readonly api?: string
  readonly ports?: Readonly<Record<string, number>>
}

export interface StartedProgram {
  readonly child: ChildProcess
  readonly pid: number
  readonly startTime: string
  /** Rejects with START_FAILED when the program ends first, TIMEOUT when it takes too long. */
  readonly ready: Promise<ReadyLine>
  /** Resolves with the exit code, or 128 and the signal's number. */
  readonly exited: Promise<number>
}

/** Ended before it was ready. */
export class StartError extends CodedError {
  /** The program's own exit code, which tells a taken port from a refused token. */
  readonly exitCode: number

  constructor(message: string, init: { exitCode: number; next: string }) {
    super('START_FAILED', message, { next: init.next })
    this.exitCode = init.exitCode
  }
}

/**
 * Starts one program with its log as stderr, a pipe as stdin (the join token goes in there) and one as stdout (the
 * ready line comes out of there). It survives us: nothing it does later touches either pipe.
 */
export function startProgram(init: {
  command: readonly string[]
  args: readonly string[]
  logFile: string
  /** For messages: `control plane`, `node n1`. */
  what: string
  clock: Clock
}): StartedProgram {
  const log = openSync(init.logFile, 'a', 0o600)
  const logOffset = fstatSync(log).size
  const [executable, ...leading] = init.command
  const child = spawn(executable!, [...leading, ...init.args], {
    stdio: ['pipe', 'pipe', log],
    env: childEnvironment(),
  })
  closeSync(log)
  child.stdin!.on('error', () => {}) // it ended before it read its token: `exited` tells
  const exited = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127)) // not started at all
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)))
  })
  const ready = waitForReady(child, exited, { ...init, logOffset })
  ready.catch(() => {}) // whoever waits for it sees it; nobody else must die of it
  const pid = child.pid ?? 0
  return { child, pid, startTime: kernelStartTime(pid) ?? '', ready, exited }
}

/** One compile cache for all programs: a bundle that was compiled once starts in a third of the time. */
function childEnvironment(): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...process.env }
}

function waitForReady(
  child: ChildProcess,
  exited: Promise<number>,
  init: { what: string; logFile: string; logOffset: number; clock: Clock },
): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    const cancel = init.clock.schedule(START_LIMIT_MS, () => {
      const seconds = START_LIMIT_MS / 1000
      reject(
        new CodedError('TIMEOUT', `${init.what} was not ready within ${seconds}s`, { next: `read ${init.logFile}` }),
      )
    })
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const line = text.split('\n').find((candidate) => candidate.includes('"ready"'))
      if (line === undefined || !text.includes('\n')) return
      cancel()
      resolve(JSON.parse(line) as ReadyLine)
      text = ''
    })
    void exited.then((exitCode) => {
      cancel()
      reject(startError(init, exitCode))
    })
  })
}

/** I/O failed (sysexits.h), as our programs end on a full disk. */
const EXIT_IO = 74

function startError(init: { what: string; logFile: string; logOffset: number }, exitCode: number): StartError {
  const said = lastLines(init.logFile, LOG_LINES_QUOTED, init.logOffset)
  const why = said.length > 0 ? `\n${said.map((line) => `  ${line}`).join('\n')}` : ', and said nothing'
  return new StartError(`${init.what} ended with exit code ${exitCode} before it was ready${why}`, {
    exitCode,
    next:
      exitCode === EXIT_IO && said.length === 0
        ? 'free some disk space: not even its log can be written'
        : `read ${init.logFile}`,
  })
}

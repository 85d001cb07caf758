import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join, sep } from 'node:path'
import {
  CodedError,
  errorCode,
  errorMessage,
  isAlive,
  makeFolder,
  type ProcessRecord,
  readProcessRecords,
} from '@ambient-lab/std'
import { SOCKET_PATH_BYTES_MAX } from './limits.ts'

const LAB_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** What the control plane writes when it listens. */
export interface LabJson {
  readonly name: string
  /** `https://127.0.0.1:PORT` */
  readonly api: string
  readonly createdAt: string
  readonly version: string
}

/** Where `up` was called and what it was given, so that a later command in the same folder finds its lab. */
export interface LabOrigin {
  readonly folder: string
  readonly file: string
}

/** The paths of one lab on this machine. Reads and writes nothing by itself. */
export class LabFolder {
  readonly home: string
  readonly name: string
  readonly path: string

  /** @throws CodedError LAB_NAME_INVALID */
  constructor(home: string, name: string) {
    if (!LAB_NAME.test(name)) {
      throw new CodedError('LAB_NAME_INVALID', `"${name}" cannot be the name of a lab`, {
        next: 'lower-case letters, digits and "-", 63 at most',
      })
    }
    this.home = home
    this.name = name
    this.path = join(home, 'labs', name)
  }

  get kubeconfig(): string {
    return join(this.path, 'kubeconfig')
  }

  get processes(): string {
    return join(this.path, 'processes')
  }

  get logs(): string {
    return join(this.path, 'logs')
  }

  get agents(): string {
    return join(this.path, 'agents')
  }

  agent(node: string): string {
    return join(this.agents, node)
  }

  /** Beside the folder, so that it outlives the folder's removal. */
  get lock(): string {
    return join(this.home, 'labs', `${this.name}.lock`)
  }

  /** In the folder where the path is short enough for the kernel, else in a private folder of tmp. */
  get socket(): string {
    const near = join(this.path, 'supervisor.sock')
    if (Buffer.byteLength(near) <= SOCKET_PATH_BYTES_MAX) return near
    const digest = createHash('sha256').update(this.path).digest('hex').slice(0, 16)
    return join(tmpdir(), `ambient-${userInfo().uid}`, `${digest}.sock`)
  }

  log(role: string, name: string): string {
    return join(this.logs, role === 'node-agent' ? `node-${name}.log` : `${role}.log`)
  }

  get exists(): boolean {
    return existsSync(this.path)
  }

  create(): void {
    try {
      makeFolder(this.logs)
      makeFolder(this.processes)
    } catch (error) {
      throw new CodedError(errorCode(error) ?? 'EIO', `${this.path} cannot be made: ${errorMessage(error)}`, {
        cause: error,
        next: 'AMBIENT_HOME names another folder for labs',
      })
    }
  }

  /** undefined before the first control plane listened. */
  readLabJson(): LabJson | undefined {
    return readJson<LabJson>(join(this.path, 'lab.json'))
  }

  readOrigin(): LabOrigin | undefined {
    return readJson<LabOrigin>(join(this.path, 'origin.json'))
  }

  writeOrigin(origin: LabOrigin): void {
    writeFileSync(join(this.path, 'origin.json'), `${JSON.stringify(origin)}\n`, { mode: 0o600 })
  }

  readProcesses(): ProcessRecord[] {
    return readProcessRecords(this.processes)
  }

  /** Whether any process of it runs on this machine. */
  get running(): boolean {
    return this.readProcesses().some(isAlive)
  }

  /** Removes all that is on disk. The processes must be gone. */
  remove(): void {
    rmSync(this.socket, { force: true })
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** AMBIENT_HOME, else $XDG_STATE_HOME/ambient, else ~/.local/state/ambient. */
export function labsHome(env: Readonly<Record<string, string | undefined>>): string {
  if (env.AMBIENT_HOME) return env.AMBIENT_HOME
  return env.XDG_STATE_HOME ? join(env.XDG_STATE_HOME, 'ambient') : join(homedir(), '.local', 'state', 'ambient')
}

/** Every lab with a folder on this machine, running or not, sorted by name. */
export function listLabFolders(home: string): LabFolder[] {
  let names: string[]
  try {
    names = readdirSync(join(home, 'labs'), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && LAB_NAME.test(entry.name) ? [entry.name] : [],
    )
  } catch {
    return []
  }
  return names.sort().map((name) => new LabFolder(home, name))
}

/**
 * Which lab a command means: the one it names, else the only running one, else the running one that was brought up from
 * this folder (or one above it). Where none runs, the same among those on disk.
 * @throws CodedError LAB_NOT_RUNNING, LAB_AMBIGUOUS
 */
export function chooseLab(choice: { home: string; name?: string; cwd: string }): LabFolder {
  if (choice.name !== undefined) return namedLab(choice.home, choice.name)
  const onDisk = listLabFolders(choice.home)
  const running = onDisk.filter((folder) => folder.running)
  const candidates = running.length > 0 ? running : onDisk
  if (candidates.length === 0) {
    throw new CodedError('LAB_NOT_RUNNING', 'no lab is running here', { next: 'ambient up demo' })
  }
  if (candidates.length === 1) return candidates[0]!
  const here = candidates.filter((folder) => isWithin(choice.cwd, folder.readOrigin()?.folder))
  if (here.length === 1) return here[0]!
  const names = candidates.map(({ name }) => name)
  const state = running.length > 0 ? 'running' : 'on disk'
  throw new CodedError('LAB_AMBIGUOUS', `${names.length} labs are ${state}: ${names.join(', ')}`, {
    next: `name one: -L ${names[0]}`,
  })
}

function namedLab(home: string, name: string): LabFolder {
  const folder = new LabFolder(home, name)
  if (folder.exists) return folder
  const others = listLabFolders(home).map((other) => other.name)
  throw new CodedError('LAB_NOT_RUNNING', `there is no lab "${name}" here`, {
    next: others.length > 0 ? `one of: ${others.join(', ')}` : `ambient up demo -L ${name}`,
  })
}

function isWithin(path: string, folder: string | undefined): boolean {
  return folder !== undefined && (path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep))
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return undefined // not written yet
  }
}

import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from './make-folder.ts'

/** What a long-lived process of a lab leaves behind so that others find it, also after it was killed. */
export interface ProcessRecord {
  readonly role: string
  /** Unique among processes of the role. */
  readonly name: string
  readonly pid: number
  /** The kernel's start time of the pid, which tells a reused pid apart; empty where the system does not say. */
  readonly startTime: string
  /** RFC 3339. */
  readonly startedAt: string
  /** Port name → number. */
  readonly ports: Readonly<Record<string, number>>
}

/** Writes this process's own record, whole or not at all. */
export function writeProcessRecord(
  folder: string,
  record: Pick<ProcessRecord, 'role' | 'name' | 'ports'> & { readonly startedAt: string },
): ProcessRecord {
  const whole = { ...record, pid: process.pid, startTime: kernelStartTime(process.pid) ?? '' }
  makeFolder(folder)
  const path = recordPath(folder, record)
  writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(whole, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.${process.pid}`, path)
  return whole
}

/** Every record of the folder, sorted by role and name; none when there is no folder. */
export function readProcessRecords(folder: string): ProcessRecord[] {
  let files: string[]
  try {
    files = readdirSync(folder).filter((file) => file.endsWith('.json'))
  } catch {
    return []
  }
  return files.sort().flatMap((file) => {
    try {
      return [JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProcessRecord]
    } catch {
      return [] // removed, or cut short by a full disk: the process it named is found by its parent
    }
  })
}

/** Whether the recorded process still runs, and is the same one. */
export function isAlive(record: Pick<ProcessRecord, 'pid' | 'startTime'>): boolean {
  const startTime = kernelStartTime(record.pid)
  if (startTime !== undefined) return record.startTime === '' || record.startTime === startTime
  try {
    process.kill(record.pid, 0)
    return process.platform !== 'linux' // on Linux a live process has a readable stat
  } catch {
    return false
  }
}

export function removeProcessRecord(folder: string, record: Pick<ProcessRecord, 'role' | 'name'>): void {
  rmSync(recordPath(folder, record), { force: true })
}

function recordPath(folder: string, record: Pick<ProcessRecord, 'role' | 'name'>): string {
  return join(folder, `${record.role}-${record.name}.json`)
}

/**
 * When the kernel started `pid`: field 22 of /proc/<pid>/stat, read behind the command's closing parenthesis. Undefined
 * where there is no such process, no /proc, or only a zombie.
 */
export function kernelStartTime(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

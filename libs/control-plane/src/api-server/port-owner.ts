import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

export interface PortOwner {
  readonly pid: number
  /** The command line as far as it fits: `node /home/me/server.js`. */
  readonly command: string
}

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A'

/**
 * The process that listens on a TCP port of this machine, as far as /proc lets us see: on Linux, and for processes
 * of the same user.
 */
export function findPortOwner(port: number): PortOwner | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listeningInodes(readText(path), port)))
  if (inodes.size === 0) return undefined
  for (const entry of readNames('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || !holdsSocket(pid, inodes)) continue
    return { pid, command: commandOf(pid) }
  }
  return undefined
}

const COMMAND_CHARACTERS_MAX = 100

/** Not its name in the kernel, which is `node-MainThread` for every program of Node. */
function commandOf(pid: number): string {
  const [program = '', ...args] = readText(`/proc/${pid}/cmdline`).split('\0').filter(Boolean)
  const line = [basename(program), ...args].join(' ')
  if (line === '') return 'a process'
  return line.length > COMMAND_CHARACTERS_MAX ? `${line.slice(0, COMMAND_CHARACTERS_MAX)}…` : line
}

/** @param table a /proc/net/tcp: columns are slot, local address:port in hex, remote, state, …, inode in the tenth */
export function listeningInodes(table: string, port: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING && Number.parseInt(fields[1]?.split(':')[1] ?? '', 16) === port)
    .map((fields) => fields[9] ?? '')
}

function holdsSocket(pid: number, inodes: ReadonlySet<string>): boolean {
  return readNames(`/proc/${pid}/fd`).some((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      return inode !== undefined && inodes.has(inode)
    } catch {
      return false // closed since, or not ours to see
    }
  })
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

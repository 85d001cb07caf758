import type { ChildProcess } from 'node:child_process'
import { connect, createServer } from 'node:net'
import type { BenchCertificates } from './certificates.ts'
import type { Cores } from './cores.ts'
import type { Door } from './load.ts'
import { cpuSeconds, residentBytes } from './process-usage.ts'

/** Two proxies between a door and a backend, mutual TLS between them; or nothing between, which is the floor. */
export interface Pair {
  /** Where the load goes in. */
  readonly door: Door
  /** Resident bytes of both, now; of our own after a garbage collection. */
  memory(): Promise<number>
  /** Seconds of processor time that both have used so far. */
  cpuSeconds(): number
  stop(): void
}

export interface PairInit {
  readonly certificates: BenchCertificates
  readonly backendPort: number
  readonly cores: Cores | undefined
}

/** Somebody to be measured with. */
export interface Peer {
  readonly name: string
  /** Its version; undefined where it is not installed. */
  readonly version: string | undefined
  /** Why it is not there, for the rows that it leaves empty. */
  readonly absence: string
  start(init: PairInit): Promise<Pair>
}

/** A pair of processes that are only looked at from outside. */
export function processPair(door: Door, children: readonly ChildProcess[]): Pair {
  const pids = children.map(({ pid }) => pid!)
  const sum = (measure: (pid: number) => number) => pids.reduce((total, pid) => total + measure(pid), 0)
  return {
    door,
    memory: async () => sum(residentBytes),
    cpuSeconds: () => sum(cpuSeconds),
    stop() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

const LISTENING_TIMEOUT_MS = 10_000

/** Waits until somebody listens. @throws Error when nobody does in time, or when the process that should have ended */
export async function listening(port: number, child: ChildProcess): Promise<void> {
  for (const deadline = performance.now() + LISTENING_TIMEOUT_MS; ; ) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        socket.destroy()
        resolve(true)
      }).on('error', () => resolve(false))
    })
    if (isOpen) return
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`)
    if (performance.now() > deadline) throw new Error(`nobody listens on port ${port}: ${child.spawnargs.join(' ')}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

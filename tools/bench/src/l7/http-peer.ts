import type { ChildProcess } from 'node:child_process'
import { cpuSeconds } from '../l4/process-usage.ts'

/** One proxy of requests between the load and the backend, in a process of its own on a core of its own. */
export interface HttpProxy {
  readonly port: number
  /** Seconds of processor time that it has used so far, with every process that is part of it. */
  cpuSeconds(): number
  stop(): void
}

export interface HttpProxyInit {
  /** Where configuration files may be written. */
  readonly folder: string
  readonly backendPort: number
  readonly core: number | undefined
}

/** Somebody to be measured with. */
export interface HttpPeer {
  readonly name: string
  /** Its version; undefined where it is not installed. */
  readonly version: string | undefined
  readonly absence: string
  start(init: HttpProxyInit): Promise<HttpProxy>
}

/** @param pids of the processes that do the work, where the child is only their parent */
export function processProxy(port: number, child: ChildProcess, pids: () => readonly number[] = () => []): HttpProxy {
  return {
    port,
    cpuSeconds: () => [child.pid!, ...pids()].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    stop: () => void child.kill('SIGTERM'),
  }
}

import type { ChildProcess } from 'node:child_process'
import { cpuSeconds } from '../l4/process-usage.ts'

/** One proxy of requests between the load and the backend, in a process of its own on a core of its own. */
export interface HttpProxy {
  /** For HTTP/1.1. */
  readonly port: number
  /** For HTTP/2 with prior knowledge. */
  readonly http2Port: number
  /** Seconds of processor time that it has used so far, with every process that is part of it. */
  cpuSeconds(): number
  stop(): void
}

export interface HttpProxyInit {
  /** Where configuration files may be written. */
  readonly folder: string
  /** Answers HTTP/1.1. */
  readonly backendPort: number
  /** Answers gRPC: where requests go whose path begins with GRPC_PATH. */
  readonly grpcPort: number
  readonly core: number | undefined
}

export const GRPC_PATH = '/grpc.Service/'

/** Somebody to be measured with. */
export interface HttpPeer {
  readonly name: string
  /** Its version; undefined where it is not installed. */
  readonly version: string | undefined
  readonly absence: string
  start(init: HttpProxyInit): Promise<HttpProxy>
}

/** @param pids of the processes that do the work, where the child is only their parent */
export function processProxy(
  ports: { readonly port: number; readonly http2Port?: number },
  child: ChildProcess,
  pids: () => readonly number[] = () => [],
): HttpProxy {
  return {
    port: ports.port,
    http2Port: ports.http2Port ?? ports.port,
    cpuSeconds: () => [child.pid!, ...pids()].reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    stop: () => void child.kill('SIGTERM'),
  }
}

import type { CertificateReport } from '@ambient-lab/dataplane'
import type { MountedFile } from './container-files.ts'
import type { ContainerSpec, PodIdentity } from './workload.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** One container's state, whole; Kubernetes' words. */
export interface ContainerState {
  readonly phase: 'waiting' | 'running' | 'terminated'
  readonly ready: boolean
  /** `ContainerCreating`, `ErrImageNeverPull`, `CrashLoopBackOff`, `Error`, `Completed`; empty while running. */
  readonly reason: string
  readonly message: string
  readonly restarts: number
  /** Of the current or last run; 0 before the first. */
  readonly startedAtMs: number
  /** Container port → where it really listens. */
  readonly ports: Readonly<Record<string, HostPort>>
  /** Of a child process. */
  readonly pid?: number
  /** Of a container that holds its own, as an L7 proxy does. */
  readonly certificate?: CertificateReport
}

export const CREATING: ContainerState = {
  phase: 'waiting',
  ready: false,
  reason: 'ContainerCreating',
  message: '',
  restarts: 0,
  startedAtMs: 0,
  ports: {},
}

/** What a runner needs to know of the pod around its container. */
export interface ContainerContext {
  readonly pod: PodIdentity
  readonly spec: ContainerSpec
  /** The pod's capture listener: the container's way out. */
  readonly capture: HostPort
  /** What an app sees of ConfigMaps when it starts. @default none */
  readonly files?: readonly MountedFile[]
  /** For a program: the folder of each volume that it mounts. @default none */
  readonly volumePaths?: Readonly<Record<string, string>>
}

export interface ContainerObserver {
  /** The runner's `state` is another one now. */
  onChange(): void
  onEvent(severity: 'Normal' | 'Warning', reason: string, message: string): void
}

/** Runs one container until stopped, restarting it with growing delays. */
export interface ContainerRunner {
  readonly state: ContainerState
  /** Ends it and everything it started; resolves when nothing of it is left. Stopping twice is fine. */
  stop(): Promise<void>
  /** What it sees of ConfigMaps is this now; a runner whose container has no use for it has no such method. */
  mount?(files: readonly MountedFile[]): void
  /**
   * Runs a command beside the container's program, in its folder and environment.
   * A runner that has no program of its own has no such method.
   * @returns undefined for exit status 0, else why not, in a kubelet's words
   */
  execute?(command: readonly string[], timeoutMs: number): Promise<string | undefined>
  /** Its last lines, oldest first. */
  log(linesMax: number): Promise<readonly string[]>
}

/** `$(NAME)` in command and args, as the kubelet expands it: `$$(NAME)` stays, an unknown name stays as written. */
export function expandReferences(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/\$\$\(|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (match, name?: string) =>
    name === undefined ? '$(' : (env[name] ?? match),
  )
}

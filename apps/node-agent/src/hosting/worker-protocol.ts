import type { HostPort } from './container.ts'
import type { MountedFile } from './container-files.ts'
import type { ContainerSpec, PodIdentity } from './workload.ts'

/** Main thread → workloads worker. */
export type WorkloadsCommand =
  | {
      readonly type: 'start'
      /** Names this run of the container; a restart is another run. */
      readonly run: number
      readonly pod: PodIdentity
      readonly container: ContainerSpec
      readonly capture: HostPort
      readonly files: readonly MountedFile[]
      /** Where its ports are opened. */
      readonly host: string
    }
  | { readonly type: 'mount'; readonly run: number; readonly files: readonly MountedFile[] }
  | { readonly type: 'stop'; readonly run: number }
  | { readonly type: 'log'; readonly run: number; readonly question: number; readonly linesMax: number }

/** Workloads worker → main thread. */
export type WorkloadsNews =
  | { readonly type: 'started'; readonly run: number; readonly ports: Readonly<Record<string, HostPort>> }
  | { readonly type: 'failed'; readonly run: number; readonly message: string }
  | { readonly type: 'stopped'; readonly run: number }
  | { readonly type: 'log'; readonly question: number; readonly lines: readonly string[] }

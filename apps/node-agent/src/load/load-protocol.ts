import type { LoadProgress, LoadRun } from '@ambient-lab/xds'
import type { HostPort } from '../hosting/container.ts'

/** Main thread → load worker. A start for a run that exists replaces it. */
export type LoadCommand =
  | { readonly type: 'start'; readonly key: string; readonly run: LoadRun; readonly capture: HostPort }
  | { readonly type: 'stop'; readonly key: string }

/** Load worker → main thread. */
export interface LoadNews {
  readonly key: string
  readonly progress: LoadProgress
}

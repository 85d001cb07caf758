import type { Worker } from 'node:worker_threads'
import { type Clock, errorMessage } from '@ambient-lab/std'
import type { LoadProgress, LoadRun } from '@ambient-lab/xds'
import type { HostPort } from '../hosting/container.ts'
import type { LoadCommand, LoadNews } from './load-protocol.ts'
import { failedProgress } from './progress.ts'

interface Components {
  readonly clock: Clock
  readonly spawn: () => Worker
  /** Resolves once the workload runs here and has its capture; undefined when it never will. */
  readonly captureOf: (uid: string) => Promise<HostPort | undefined>
  readonly onProgress: (progress: LoadProgress) => void
}

interface ActiveRun {
  readonly run: LoadRun
  progress: LoadProgress | undefined
}

/** This node's share of the lab's loads: starts the load worker with the first, ends it with the last. */
export class LoadHost implements AsyncDisposable {
  readonly #components: Components
  readonly #active = new Map<string, ActiveRun>()
  #worker: Worker | undefined

  constructor(components: Components) {
    this.#components = components
  }

  /** @returns the runs that cannot be, each with its reason */
  apply(upserts: readonly LoadRun[], removed: readonly string[]): { readonly name: string; readonly reason: string }[] {
    const refused: { name: string; reason: string }[] = []
    for (const key of removed) this.#stop(key)
    for (const run of upserts) {
      const key = `${run.namespace}/${run.name}`
      const reason = reasonToRefuse(run)
      if (reason !== undefined) {
        refused.push({ name: key, reason })
        continue
      }
      const active: ActiveRun = { run, progress: undefined }
      this.#active.set(key, active)
      void this.#start(key, active)
    }
    return refused
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#active.clear()
    await this.#endWorker()
  }

  async #start(key: string, active: ActiveRun): Promise<void> {
    const { run } = active
    const capture = await this.#components.captureOf(run.source)
    if (this.#active.get(key) !== active) return // removed or replaced meanwhile
    if (!capture)
      return this.#report(key, failedProgress(run, this.#components.clock.now(), `${run.source} does not run here`))
    this.#worker ??= this.#spawn()
    this.#send({ type: 'start', key, run, capture })
  }

  #stop(key: string): void {
    if (!this.#active.delete(key)) return
    this.#send({ type: 'stop', key })
    if (this.#active.size === 0) void this.#endWorker()
  }

  #spawn(): Worker {
    const worker = this.#components.spawn()
    let cause = 'the load generator’s thread ended'
    worker.unref()
    worker.on('message', ({ key, progress }: LoadNews) => this.#report(key, progress))
    worker.on('error', (error) => {
      cause = errorMessage(error)
    })
    worker.on('exit', () => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#crashed(cause)
    })
    return worker
  }

  #crashed(cause: string): void {
    const nowMs = this.#components.clock.now()
    for (const [key, { run, progress }] of this.#active) {
      if (progress && progress.state !== 'running') continue
      this.#report(key, { ...(progress ?? failedProgress(run, nowMs, cause)), state: 'failed', message: cause })
    }
  }

  #report(key: string, progress: LoadProgress): void {
    const active = this.#active.get(key)
    if (!active) return // the last word of a run that was removed
    active.progress = progress
    this.#components.onProgress(progress)
  }

  #send(command: LoadCommand): void {
    this.#worker?.postMessage(command)
  }

  async #endWorker(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }
}

function reasonToRefuse(run: LoadRun): string | undefined {
  if (!(run.ratePerSecond > 0 && Number.isFinite(run.ratePerSecond))) return `rate ${run.ratePerSecond} is not positive`
  if (!(Number.isInteger(run.inFlightMax) && run.inFlightMax > 0))
    return `maxInFlight ${run.inFlightMax} is not positive`
  if (run.durationMs !== undefined && !(run.durationMs > 0)) return `duration ${run.durationMs} ms is not positive`
  return run.warmupMs >= 0 ? undefined : `warm-up ${run.warmupMs} ms is negative`
}

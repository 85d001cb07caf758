import type { Worker } from 'node:worker_threads'
import { type CancelTimer, type Clock, errorMessage, type Random } from '@ambient-lab/std'
import { IDLE_THREAD_MS } from '../limits.ts'
import type { ContainerContext, ContainerObserver, ContainerRunner, ContainerState, HostPort } from './container.ts'
import { CREATING } from './container.ts'
import type { MountedFile } from './container-files.ts'
import { RestartPolicy } from './restart-policy.ts'
import type { WorkloadsCommand, WorkloadsNews } from './worker-protocol.ts'

interface Components {
  readonly clock: Clock
  readonly random: Random
  /** Starts the worker's thread. */
  readonly spawn: () => Worker
}

/**
 * The main thread's side of the workloads worker. When the thread dies, every container in it has failed and all start
 * again in a new one after a growing delay. A thread that has nothing to run is let go after a while.
 */
export class SimulatedWorkloads implements AsyncDisposable {
  readonly #components: Components
  readonly #host: string
  readonly #policy: RestartPolicy
  readonly #containers = new Map<number, SimulatedContainer>()
  readonly #questions = new Map<number, (lines: readonly string[]) => void>()
  #worker: Worker | undefined
  #backingOff = false
  #disposed = false
  #cancelIdle: CancelTimer = () => {}
  #lastNumber = 0

  constructor(components: Components, init: { readonly host: string }) {
    this.#components = components
    this.#host = init.host
    this.#policy = new RestartPolicy(components)
  }

  /** Starts the thread before it is needed; a lab's start-up waits for nothing else as long. */
  prestart(): void {
    if (!this.#worker && !this.#backingOff && !this.#disposed) this.#spawn()
  }

  run(context: ContainerContext, observer: ContainerObserver): ContainerRunner {
    const container = new SimulatedContainer(this.#number(), context, observer, {
      clock: this.#components.clock,
      mount: (run, files) => this.#send({ type: 'mount', run, files }),
      stop: (run) => this.#stop(run),
      log: (run, linesMax) => this.#log(run, linesMax),
    })
    this.#containers.set(container.run, container)
    if (this.#worker) this.#start(container)
    else this.prestart() // which starts all there are
    return container
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#cancelIdle()
    this.#policy.cancel()
    await this.#worker?.terminate()
  }

  #number(): number {
    this.#lastNumber += 1
    return this.#lastNumber
  }

  #spawn(): void {
    const worker = this.#components.spawn()
    this.#worker = worker
    this.#policy.started()
    let cause = 'the thread ended'
    worker.on('message', (news: WorkloadsNews) => this.#hear(news))
    worker.on('error', (error) => {
      cause = error instanceof Error ? (error.stack ?? error.message) : errorMessage(error)
    })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#gone(cause)
    })
    worker.unref()
    for (const container of this.#containers.values()) this.#start(container)
    this.#letGoWhenIdle()
  }

  /** The thread's heap is as large as the agent's own. */
  #letGoWhenIdle(): void {
    this.#cancelIdle()
    const { clock } = this.#components
    const letGo = () => {
      if (this.#containers.size > 0) return
      const worker = this.#worker
      this.#worker = undefined
      this.#answerAll()
      void worker?.terminate()
    }
    this.#cancelIdle = clock.schedule(IDLE_THREAD_MS, letGo, { background: true })
  }

  #start(container: SimulatedContainer): void {
    const { run, files } = container
    const { pod, spec, capture } = container.context
    this.#send({ type: 'start', run, pod, container: spec, capture, files, host: this.#host })
  }

  #gone(cause: string): void {
    this.#worker = undefined
    this.#answerAll()
    if (this.#disposed) return
    for (const container of [...this.#containers.values()]) {
      if (container.crashed(cause)) this.#containers.delete(container.run)
    }
    this.#backingOff = true
    this.#policy.failed(() => {
      this.#backingOff = false
      if (this.#containers.size > 0) this.#spawn()
    })
  }

  /** Nobody is there to be asked any more. */
  #answerAll(): void {
    for (const answer of this.#questions.values()) answer([])
    this.#questions.clear()
  }

  #hear(news: WorkloadsNews): void {
    if (news.type === 'log') {
      this.#questions.get(news.question)?.(news.lines)
      this.#questions.delete(news.question)
      return
    }
    const container = this.#containers.get(news.run)
    if (news.type === 'started') container?.started(news.ports)
    if (news.type === 'failed') container?.failed(news.message)
    if (news.type === 'stopped') {
      this.#containers.delete(news.run)
      container?.stopped()
      if (this.#containers.size === 0) this.#letGoWhenIdle()
    }
  }

  /** @returns whether the worker will answer that it stopped; without a worker nothing runs */
  #stop(run: number): boolean {
    if (this.#worker) this.#send({ type: 'stop', run })
    else this.#containers.delete(run)
    return this.#worker !== undefined
  }

  #log(run: number, linesMax: number): Promise<readonly string[]> {
    if (!this.#worker) return Promise.resolve([])
    const question = this.#number()
    this.#send({ type: 'log', run, question, linesMax })
    return new Promise((resolve) => this.#questions.set(question, resolve))
  }

  #send(command: WorkloadsCommand): void {
    this.#worker?.postMessage(command)
  }
}

interface Owner {
  readonly clock: Clock
  readonly mount: (run: number, files: readonly MountedFile[]) => void
  readonly stop: (run: number) => boolean
  readonly log: (run: number, linesMax: number) => Promise<readonly string[]>
}

class SimulatedContainer implements ContainerRunner {
  readonly run: number
  readonly context: ContainerContext
  readonly #observer: ContainerObserver
  readonly #owner: Owner
  #files: readonly MountedFile[]
  #state: ContainerState = CREATING
  #stopping: PromiseWithResolvers<void> | undefined

  constructor(run: number, context: ContainerContext, observer: ContainerObserver, owner: Owner) {
    this.run = run
    this.context = context
    this.#files = context.files ?? []
    this.#observer = observer
    this.#owner = owner
  }

  get state(): ContainerState {
    return this.#state
  }

  /** What it starts with in a new thread, too. */
  get files(): readonly MountedFile[] {
    return this.#files
  }

  mount(files: readonly MountedFile[]): void {
    this.#files = files
    this.#owner.mount(this.run, files)
  }

  stop(): Promise<void> {
    if (this.#stopping) return this.#stopping.promise
    this.#stopping = Promise.withResolvers()
    if (!this.#owner.stop(this.run)) this.#stopping.resolve()
    return this.#stopping.promise
  }

  log(linesMax: number): Promise<readonly string[]> {
    return this.#owner.log(this.run, linesMax)
  }

  started(ports: Readonly<Record<string, HostPort>>): void {
    const startedAtMs = this.#owner.clock.now()
    this.#become({ phase: 'running', ready: true, reason: '', message: '', startedAtMs, ports })
    this.#observer.onEvent('Normal', 'Started', `Started container ${this.context.spec.name}`)
  }

  failed(message: string): void {
    this.#become({ phase: 'terminated', ready: false, reason: 'Error', message, ports: {} })
    this.#observer.onEvent('Warning', 'Failed', `Error: ${message}`)
  }

  stopped(): void {
    this.#become({ phase: 'terminated', ready: false, reason: 'Completed', ports: {} })
    this.#stopping?.resolve()
  }

  /** @returns whether it was being stopped anyway, and so needs no restart */
  crashed(cause: string): boolean {
    if (this.#stopping) {
      this.stopped()
      return true
    }
    const [firstLine = ''] = cause.split('\n')
    this.#become({
      phase: 'waiting',
      ready: false,
      reason: 'CrashLoopBackOff',
      message: `the thread of this node's simulated workloads died: ${firstLine}`,
      restarts: this.#state.restarts + 1,
      ports: {},
    })
    this.#observer.onEvent(
      'Warning',
      'BackOff',
      `Back-off restarting failed container ${this.context.spec.name}: ${firstLine}`,
    )
    return false
  }

  #become(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change }
    this.#observer.onChange()
  }
}

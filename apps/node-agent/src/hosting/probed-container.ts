import type { Clock, Random } from '@ambient-lab/std'
import type { AssignedContainer, ContainerProbe } from '@ambient-lab/xds'
import { EXEC_PROBE_PERIOD_STARTING_MS } from '../limits.ts'
import { type ContainerObserver, type ContainerRunner, type ContainerState, CREATING } from './container.ts'
import { type Check, Probe } from './probe.ts'
import { RestartPolicy } from './restart-policy.ts'

interface Components {
  readonly clock: Clock
  readonly random: Random
  readonly check: Check
}

export type Probes = Pick<AssignedContainer, 'readiness' | 'liveness' | 'startup'>

/** The probes of a container; undefined when it has none. */
export function probesOf({ readiness, liveness, startup }: Probes): Probes | undefined {
  if (!readiness && !liveness && !startup) return undefined
  return { ...(readiness && { readiness }), ...(liveness && { liveness }), ...(startup && { startup }) }
}

/**
 * A container that is asked how it is, as a kubelet asks: it is ready when it runs and says so, and it is started again,
 * with growing delays, when it does not live.
 */
export class ProbedContainer implements ContainerRunner {
  readonly #create: (observer: ContainerObserver) => ContainerRunner
  readonly #init: { readonly name: string; readonly probes: Probes }
  readonly #observer: ContainerObserver
  readonly #components: Components
  readonly #policy: RestartPolicy
  /** Probes that cannot be asked, and that this was said of. */
  readonly #told = new Set<string>()
  #inner: ContainerRunner | undefined
  #running: Probe[] = []
  /** Which life of the inner container the probes ask. */
  #probedSinceMs = 0
  #ready = false
  /** Lives that ended because of a probe, and those that ended by themselves within them. */
  #restarts = 0
  #illness = ''
  /** Of the life before. */
  #ending: Promise<void> | undefined
  #stopping = false

  constructor(
    create: (observer: ContainerObserver) => ContainerRunner,
    init: { readonly name: string; readonly probes: Probes },
    observer: ContainerObserver,
    components: Components,
  ) {
    this.#create = create
    this.#init = init
    this.#observer = observer
    this.#components = components
    this.#policy = new RestartPolicy(components)
    this.#start()
  }

  get state(): ContainerState {
    const inner = this.#inner?.state
    if (!inner) {
      return { ...CREATING, reason: 'CrashLoopBackOff', message: this.#illness, restarts: this.#restarts }
    }
    return { ...inner, ready: inner.ready && this.#ready, restarts: inner.restarts + this.#restarts }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#policy.cancel()
    this.#stopProbes()
    await Promise.all([this.#inner?.stop(), this.#ending])
  }

  log(linesMax: number): Promise<readonly string[]> {
    return this.#inner?.log(linesMax) ?? Promise.resolve([])
  }

  #start(): void {
    this.#policy.started()
    this.#inner = this.#create({
      onChange: () => this.#changed(),
      onEvent: (severity, reason, message) => this.#observer.onEvent(severity, reason, message),
    })
    this.#changed()
  }

  #changed(): void {
    const state = this.#inner?.state
    const isNewLife = state?.phase === 'running' && state.startedAtMs !== this.#probedSinceMs
    if (state && state.phase !== 'running') this.#stopProbes()
    if (state && isNewLife) {
      this.#stopProbes()
      this.#probedSinceMs = state.startedAtMs
      this.#askFromStart()
    }
    this.#observer.onChange()
  }

  #askFromStart(): void {
    const startup = this.#asked('startup')
    if (!startup) return this.#askOn()
    const probe = this.#ask(startup, undefined, (well, failure) => {
      probe.stop()
      if (well) this.#askOn()
      else void this.#restart('Startup', failure)
    })
  }

  #askOn(): void {
    const [readiness, liveness] = [this.#asked('readiness'), this.#asked('liveness')]
    if (liveness) this.#ask(liveness, true, (well, failure) => well || void this.#restart('Liveness', failure))
    if (readiness) this.#ask(readiness, false, (well, failure) => this.#turn(well, failure))
    else this.#turn(true, '')
  }

  /** A simulated container has nothing to run a command in: its `exec` probe counts as passed, and people are told. */
  #asked(which: keyof Probes): ContainerProbe | undefined {
    const probe = this.#init.probes[which]
    if (!probe?.exec || this.#inner?.execute) return probe
    if (!this.#told.has(which)) {
      this.#told.add(which)
      const name = `${which[0]!.toUpperCase()}${which.slice(1)}`
      const why = `container ${this.#init.name} is simulated and has no program that a command could run beside`
      const instead =
        'it counts as passed; use httpGet, tcpSocket or grpc, or an image that the lab does not know with a command'
      this.#observer.onEvent('Warning', 'ProbeNotRun', `${name} probe exec is not run: ${why}; ${instead}`)
    }
    return undefined
  }

  #ask(probe: ContainerProbe, well: boolean | undefined, onTurn: (well: boolean, failure: string) => void): Probe {
    const check = async () => {
      if (probe.exec) {
        // A promise, which is never nullish itself: only a life without a container is.
        return this.#inner?.execute?.(probe.exec, probe.timeoutMs) ?? 'the container is not running'
      }
      const target = this.#inner?.state.ports[String(probe.port)]
      return target ? this.#components.check(target, probe) : `the container has no port ${probe.port}`
    }
    const times = probe.exec ? { ...probe, startingPeriodMs: EXEC_PROBE_PERIOD_STARTING_MS } : probe
    const asking = new Probe({ clock: this.#components.clock, check }, { times, well }, onTurn)
    this.#running.push(asking)
    return asking
  }

  #turn(ready: boolean, failure: string): void {
    this.#ready = ready
    if (!ready) this.#observer.onEvent('Warning', 'Unhealthy', `Readiness probe failed: ${failure}`)
    this.#observer.onChange()
  }

  async #restart(which: 'Liveness' | 'Startup', failure: string): Promise<void> {
    const { name } = this.#init
    const inner = this.#inner
    this.#stopProbes()
    this.#observer.onEvent('Warning', 'Unhealthy', `${which} probe failed: ${failure}`)
    this.#observer.onEvent(
      'Normal',
      'Killing',
      `Container ${name} failed ${which.toLowerCase()} probe, will be restarted`,
    )
    this.#illness = `${which} probe failed: ${failure}`
    this.#restarts += (inner?.state.restarts ?? 0) + 1
    this.#inner = undefined
    this.#observer.onChange()
    this.#ending = inner?.stop()
    await this.#ending
    if (!this.#stopping) this.#policy.failed(() => this.#start())
  }

  #stopProbes(): void {
    for (const probe of this.#running) probe.stop()
    this.#running = []
    this.#ready = false
    this.#probedSinceMs = 0
  }
}

import type { ChildProcess } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { type Clock, errorMessage, formatDuration, type Random } from '@ambient-lab/std'
import { CONTAINER_STOP_GRACE_MS } from '../limits.ts'
import {
  type ContainerContext,
  type ContainerObserver,
  type ContainerRunner,
  type ContainerState,
  CREATING,
  expandReferences,
  type HostPort,
} from './container.ts'
import { execProbe } from './exec-probe.ts'
import { LineLog } from './line-log.ts'
import { type Check, Probe, TCP_PROBE_TIMES } from './probe.ts'
import { RestartPolicy } from './restart-policy.ts'
import { killGroup, spawnWatched } from './watched-process.ts'

/** What a program keeps of the agent's own environment: enough to find its interpreter and home, and no secret. */
const INHERITED = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'SHELL']

interface Components {
  readonly clock: Clock
  readonly random: Random
  readonly check: Check
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A container that is a real program: `command:` and `args:` as a child process with its own process group. */
export class ChildProgram implements ContainerRunner {
  readonly #context: ContainerContext
  readonly #observer: ContainerObserver
  readonly #components: Components
  readonly #host: string
  readonly #log = new LineLog()
  readonly #policy: RestartPolicy
  #state: ContainerState = CREATING
  #child: ChildProcess | undefined
  /** Of the program that runs. */
  #life: { readonly env: Readonly<Record<string, string>>; readonly gone: AbortController } | undefined
  #probe: Probe | undefined
  #stopping: PromiseWithResolvers<void> | undefined

  constructor(
    context: ContainerContext,
    observer: ContainerObserver,
    components: Components,
    init: { readonly host: string },
  ) {
    this.#context = context
    this.#observer = observer
    this.#components = components
    this.#host = init.host
    this.#policy = new RestartPolicy(components)
    void this.#start()
  }

  get state(): ContainerState {
    return this.#state
  }

  log(linesMax: number): Promise<readonly string[]> {
    return Promise.resolve(this.#log.tail(linesMax))
  }

  execute(command: readonly string[], timeoutMs: number): Promise<string | undefined> {
    const life = this.#life
    if (!life) return Promise.resolve('the container is not running')
    return execProbe(this.#components.clock, command, { env: life.env, timeoutMs, signal: life.gone.signal })
  }

  stop(): Promise<void> {
    if (this.#stopping) return this.#stopping.promise
    this.#stopping = Promise.withResolvers()
    this.#policy.cancel()
    this.#probe?.stop()
    if (!this.#child) this.#stopping.resolve()
    else this.#terminate(this.#child)
    return this.#stopping.promise
  }

  async #start(): Promise<void> {
    const { spec } = this.#context
    const ports = await freePorts(spec.ports, this.#host).catch((error) => {
      this.#observer.onEvent('Warning', 'Failed', `no free port: ${errorMessage(error)}`)
      return undefined
    })
    if (this.#stopping) return
    if (!ports) return this.#failed('Error', 'no free port')
    const env = environmentFor(this.#context, ports, this.#components.environment)
    const argv = [...spec.command, ...spec.args].map((word) => expandReferences(word, env))
    const child = spawnWatched(argv, env)
    this.#child = child
    this.#life = { env, gone: new AbortController() }
    for (const output of [child.stdout!, child.stderr!]) {
      output.setEncoding('utf8').on('data', (chunk: string) => this.#log.write(chunk))
    }
    child.on('error', (error) => this.#exited(child, `cannot start: ${error.message}`, false))
    child.on('exit', (code, signal) =>
      this.#exited(child, signal ? `signal ${signal}` : `exit code ${code}`, code === 0),
    )
    if (child.pid !== undefined) this.#started(child.pid, ports)
  }

  #started(pid: number, ports: Readonly<Record<string, HostPort>>): void {
    this.#policy.started()
    const [first] = this.#context.spec.ports
    const ready = first === undefined
    const startedAtMs = this.#components.clock.now()
    this.#become({ phase: 'running', ready, reason: '', message: '', startedAtMs, ports, pid })
    this.#observer.onEvent('Normal', 'Started', `Started container ${this.#context.spec.name}`)
    // Only the first port is asked: a program that honours PORT need not know of others.
    if (first !== undefined) this.#probe = this.#ask(ports[first]!)
  }

  #ask(target: HostPort): Probe {
    const { clock, check } = this.#components
    return new Probe({ clock, check: () => check(target) }, { times: TCP_PROBE_TIMES, well: false }, this.#probed)
  }

  readonly #probed = (ready: boolean, failure: string): void => {
    this.#become({ ready, message: failure })
    if (!ready) this.#observer.onEvent('Warning', 'Unhealthy', `Readiness probe failed: ${failure}`)
  }

  #exited(child: ChildProcess, how: string, completed: boolean): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.#life?.gone.abort()
    this.#life = undefined
    this.#probe?.stop()
    killGroup(child, 'SIGKILL') // the watcher, and whatever the program left behind
    child.stdin?.destroy()
    if (this.#stopping) {
      this.#become({ phase: 'terminated', ready: false, reason: 'Completed', message: how, ports: {} })
      this.#stopping.resolve()
      return
    }
    this.#failed(completed ? 'Completed' : 'Error', how)
  }

  #failed(why: string, how: string): void {
    const delayMs = this.#policy.failed(() => void this.#start())
    const { pid: _, ...state } = this.#state
    this.#state = state
    this.#become({
      phase: 'waiting',
      ready: false,
      reason: 'CrashLoopBackOff',
      message: `${why}: ${how}; restarts in ${formatDuration(delayMs)}`,
      restarts: this.#state.restarts + 1,
      ports: {},
    })
    const { name } = this.#context.spec
    this.#observer.onEvent('Warning', 'BackOff', `Back-off restarting failed container ${name}: ${how}`)
  }

  #terminate(child: ChildProcess): void {
    killGroup(child, 'SIGTERM')
    const cancel = this.#components.clock.schedule(CONTAINER_STOP_GRACE_MS, () => killGroup(child, 'SIGKILL'))
    child.once('exit', cancel)
  }

  #become(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change }
    this.#observer.onChange()
  }
}

/**
 * The variables of a program: PORT and PORT_<container port> say where to listen, VOLUME_<its name> where a mounted
 * volume is, the proxy ones lead into the mesh.
 */
export function environmentFor(
  { pod, spec, capture, volumePaths = {} }: ContainerContext,
  ports: Readonly<Record<string, HostPort>>,
  inherited: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of INHERITED) {
    const value = inherited[name]
    if (value !== undefined) env[name] = value
  }
  const proxy = `socks5h://${capture.host}:${capture.port}`
  Object.assign(env, { HOSTNAME: pod.name, ALL_PROXY: proxy, all_proxy: proxy, NO_PROXY: 'localhost,127.0.0.1' })
  Object.assign(env, { no_proxy: env.NO_PROXY, AMBIENT_CAPTURE: `${capture.host}:${capture.port}` })
  for (const [containerPort, { port }] of Object.entries(ports)) env[`PORT_${containerPort}`] = String(port)
  for (const [volume, path] of Object.entries(volumePaths)) {
    env[`VOLUME_${volume.toUpperCase().replaceAll('-', '_')}`] = path
  }
  const [first] = spec.ports
  if (first !== undefined) env.PORT = String(ports[first]!.port)
  // The spec's own values come last and may use the others: `URL=http://localhost:$(PORT)`.
  for (const [name, value] of Object.entries(spec.env)) env[name] = expandReferences(value, env)
  return env
}

/** Ports that were free a moment ago: the program binds them itself, and a restart takes others if it lost the race. */
async function freePorts(containerPorts: readonly number[], host: string): Promise<Record<string, HostPort>> {
  const servers = containerPorts.map(() => createServer())
  try {
    const addresses = await Promise.all(
      servers.map(
        (server) =>
          new Promise<HostPort>((resolve, reject) => {
            server.once('error', reject)
            server.listen(0, host, () => resolve({ host, port: (server.address() as AddressInfo).port }))
          }),
      ),
    )
    return Object.fromEntries(containerPorts.map((port, index) => [String(port), addresses[index]!]))
  } finally {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
  }
}

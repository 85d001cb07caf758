import { type Clock, CodedError, type Random } from '@ambient-lab/std'
import { AgentAppClient } from './app-client.ts'
import { type AppListener, serveApp } from './app-server.ts'
import type { HostPort } from './container.ts'
import { ContainerFiles, type MountedFile } from './container-files.ts'
import { findWorkload } from './images.ts'
import { LineLog } from './line-log.ts'
import { Socks5Agent } from './socks5-agent.ts'
import type { ContainerSpec, PodIdentity, WorkloadApp } from './workload.ts'

export interface AppContainerInit {
  readonly pod: PodIdentity
  readonly container: ContainerSpec
  readonly capture: HostPort
  /** @default none */
  readonly files?: readonly MountedFile[]
  readonly host: string
}

/** One running app of the catalogue: its listeners, its pool of outgoing connections and its log. Lives in the worker. */
export class AppContainer {
  readonly log: LineLog
  readonly files: ContainerFiles
  readonly ports: Readonly<Record<string, HostPort>>
  readonly #listeners: readonly AppListener[]
  readonly #agents: readonly Socks5Agent[]

  private constructor(
    log: LineLog,
    files: ContainerFiles,
    ports: Readonly<Record<string, HostPort>>,
    listeners: readonly AppListener[],
    agents: readonly Socks5Agent[],
  ) {
    this.log = log
    this.files = files
    this.ports = ports
    this.#listeners = listeners
    this.#agents = agents
  }

  /** @throws CodedError UNKNOWN_IMAGE, and whatever listening or the app's own start throws */
  static async start(init: AppContainerInit, components: { clock: Clock; random: Random }): Promise<AppContainer> {
    const { container, pod } = init
    const definition = findWorkload(container.image)
    if (!definition) throw new CodedError('UNKNOWN_IMAGE', `no app stands for image ${container.image}`)
    const log = new LineLog()
    const files = new ContainerFiles(init.files)
    const { capture } = init
    const { clock } = components
    const agent = new Socks5Agent({ capture, clock })
    const oneShot = new Socks5Agent({ capture, clock, keepAlive: false })
    const app = await definition.create({
      pod,
      container,
      env: { HOSTNAME: pod.name, ...container.env },
      files,
      client: new AgentAppClient({ agent, oneShot, clock }),
      clock,
      random: components.random.fork(`${pod.uid}/${container.name}`),
      log: (line) => log.push(line),
    })
    const wanted = container.ports.length > 0 ? container.ports : (definition.ports?.(container) ?? [])
    const { ports, listeners } = await listen(app, wanted, init.host, log, clock)
    return new AppContainer(log, files, ports, listeners, [agent, oneShot])
  }

  async stop(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    for (const agent of this.#agents) agent.destroy()
  }
}

async function listen(
  app: WorkloadApp,
  wanted: readonly number[],
  host: string,
  log: LineLog,
  clock: Clock,
): Promise<{ ports: Record<string, HostPort>; listeners: AppListener[] }> {
  const ports: Record<string, HostPort> = {}
  if (!app.http && !app.tcp) return { ports, listeners: [] }
  const listeners = await Promise.all(
    wanted.map(async (port) => {
      const listener = await serveApp(app, { host, port, clock, log: (line) => log.push(line) })
      ports[String(port)] = listener.address
      log.push(`listening on ${port}`)
      return listener
    }),
  )
  return { ports, listeners }
}

import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { GroupVersionResource, JoinToken } from '@ambient-lab/api'
import {
  type Clock,
  CodedError,
  errorMessage,
  type Random,
  removeProcessRecord,
  unreachable,
  writeProcessRecord,
} from '@ambient-lab/std'
import type { ApiClient } from '../client/api-client.ts'
import type { LabFolder } from '../lab-folder.ts'
import { NODE_OBJECT_LIMIT_MS } from '../limits.ts'
import { Lock } from '../lock.ts'
import { prepareSocket } from '../processes.ts'
import { type ClusterOrders, watchCluster } from './cluster-watch.ts'
import { ManagedProcess } from './managed-process.ts'
import type { Programs } from './program.ts'
import { listenForRequests, type ProcessTarget, type SupervisedProcess, type SupervisorRequest } from './protocol.ts'

export interface SupervisorInit {
  readonly folder: LabFolder
  /** Host name, as Node objects' `spec.machine` has it. */
  readonly machine: string
  readonly programs: Programs
  /** Port for the API when it has had none yet. @default any free one */
  readonly port?: number
  /** Nodes to start ahead of their objects, so that agents boot while the control plane does. */
  readonly nodes: readonly string[]
  readonly components: { readonly clock: Clock; readonly random: Random; readonly log: (line: string) => void }
}

const JOIN_TOKENS: GroupVersionResource = { group: 'ambient.lab', version: 'v1', resource: 'jointokens' }

/** A token is used within seconds, by the process that it is written to. */
const TOKEN_TTL_SECONDS = 300

/** What an agent answers when its certificate or token is refused (cli.md §6). */
const EXIT_PERMISSION = 77

/**
 * The parent of a lab's processes on one machine. Starts the control plane and the agents side by side, follows Node
 * and Fault objects, and takes orders on a unix socket. What dies stays dead until someone asks: whoever kills a
 * process here wants to see what that does.
 */
export class Supervisor implements ClusterOrders {
  readonly #init: SupervisorInit
  readonly #controlPlane: ManagedProcess
  readonly #agents = new Map<string, ManagedProcess>()
  /** Names of Node objects seen; an agent without one was started ahead of it. */
  readonly #nodeObjects = new Set<string>()
  /** Agents that wait for a token on stdin. */
  readonly #tokenless = new Set<string>()
  /** Agents that were started with the certificate of an earlier join. */
  readonly #rejoining = new Set<string>()
  readonly #watching = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  #client: ApiClient | undefined
  #lock: Lock | undefined
  #server: Server | undefined
  #shutdown: Promise<void> | undefined
  #following: Promise<void> | undefined

  constructor(init: SupervisorInit) {
    this.#init = init
    this.#controlPlane = new ManagedProcess({
      role: 'control-plane',
      name: init.folder.name,
      folder: init.folder,
      command: init.programs.controlPlane,
      args: () => controlPlaneArgs(init),
      clock: init.components.clock,
      onChange: () => this.#log(`control plane: ${this.#controlPlane.state}`),
    })
  }

  /**
   * Starts or adopts everything and listens for orders; does not wait until anything is ready.
   * @throws CodedError LAB_LOCKED when another supervisor or a `down` holds the lab
   */
  async start(): Promise<void> {
    const { folder, components, nodes } = this.#init
    this.#lock = await Lock.acquire(folder.lock, { what: 'supervisor', limitMs: 0, clock: components.clock })
    folder.create()
    this.#ensureControlPlane()
    for (const node of nodes) this.#ensureAgent(node)
    prepareSocket(folder)
    this.#server = await listenForRequests(folder.socket, (request) => this.#handle(request))
    const startedAt = new Date(components.clock.now()).toISOString()
    writeProcessRecord(folder.processes, { role: 'supervisor', name: 'main', startedAt, ports: {} })
    this.#follow()
  }

  /** Resolves when a shutdown is complete. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Stops agents, then the control plane, then itself. Asked twice, it is one shutdown. */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stopEverything()
    return this.#shutdown
  }

  nodeWanted(name: string): void {
    this.#nodeObjects.add(name)
    this.#ensureAgent(name)
    this.#deliverToken(name)
  }

  nodeUnwanted(name: string): void {
    this.#nodeObjects.delete(name)
    void this.#dropAgent(name)
  }

  nodeRestart(name: string): void {
    const agent = this.#agents.get(name)
    if (agent) void this.#restartAgent(agent)
  }

  nodesKilled(names: ReadonlySet<string>): void {
    for (const agent of this.#agents.values()) {
      const killed = names.has(agent.name)
      if (killed && agent.state !== 'held') void agent.hold()
      if (!killed && agent.state === 'held') void agent.release().then(() => this.#deliverToken(agent.name))
    }
  }

  apiState(error: CodedError | undefined): void {
    this.#log(error ? `API lost: ${error.message}` : 'API is back')
    if (!error) for (const name of this.#tokenless) this.#deliverToken(name)
  }

  async #handle(request: SupervisorRequest): Promise<readonly SupervisedProcess[]> {
    if (this.#shutdown && request.op !== 'shutdown') {
      throw new CodedError('SHUTTING_DOWN', `lab ${this.#init.folder.name} is on its way down`, {
        next: 'try again in a moment',
      })
    }
    switch (request.op) {
      case 'status':
        return this.#processes()
      case 'start':
        return this.#startAll(request.nodes)
      case 'restart':
        return this.#restart(request.target)
      case 'stop':
        await this.#find(request.target).stop()
        return this.#processes()
      case 'shutdown': {
        const before = this.#processes()
        await this.shutdown()
        return before
      }
      default:
        return unreachable(request, 'request')
    }
  }

  async #startAll(nodes: readonly string[]): Promise<readonly SupervisedProcess[]> {
    this.#ensureControlPlane()
    this.#follow()
    for (const node of new Set([...nodes, ...this.#agents.keys()])) {
      this.#ensureAgent(node)
      this.#deliverToken(node)
    }
    await this.#controlPlane.whenReady()
    return this.#processes()
  }

  async #restart(target: ProcessTarget): Promise<readonly SupervisedProcess[]> {
    const managed = this.#find(target)
    if (managed.state === 'held') {
      throw new CodedError('CONFLICT', `${managed.what} is held down by a fault`, { next: 'ambient fault list' })
    }
    if (managed === this.#controlPlane) await managed.restart().then(() => this.#follow())
    else await this.#restartAgent(managed)
    await managed.whenReady()
    return this.#processes()
  }

  #find(target: ProcessTarget): ManagedProcess {
    const managed = target.role === 'control-plane' ? this.#controlPlane : this.#agents.get(target.name)
    if (managed) return managed
    const known = [...this.#agents.keys()].join(', ')
    throw new CodedError('PROCESS_UNKNOWN', `no node ${target.name} on this machine`, {
      next: `known nodes: ${known || 'none'}`,
    })
  }

  #ensureControlPlane(): void {
    if (this.#controlPlane.state === 'stopped' && this.#controlPlane.adopt()) return
    this.#controlPlane.start()
  }

  #ensureAgent(name: string): void {
    const agent = this.#agents.get(name) ?? this.#newAgent(name)
    this.#agents.set(name, agent)
    if (agent.state === 'stopped' && agent.adopt()) return
    agent.start()
  }

  #newAgent(name: string): ManagedProcess {
    const { folder, programs, components } = this.#init
    const agent: ManagedProcess = new ManagedProcess({
      role: 'node-agent',
      name,
      folder,
      command: programs.nodeAgent,
      args: () => this.#agentArgs(name),
      clock: components.clock,
      onChange: () => this.#log(`node ${name}: ${agent.state}`),
      onExit: (exitCode) => this.#onAgentExit(name, exitCode),
    })
    return agent
  }

  /** Called at each start: an agent that joined before needs no token, one that did not waits for it on stdin. */
  #agentArgs(name: string): string[] {
    const { folder } = this.#init
    const args = ['--node', name, '--state-dir', folder.agent(name), '--lab-dir', folder.path]
    if (existsSync(join(folder.agent(name), 'join.json'))) {
      this.#rejoining.add(name)
      return args
    }
    this.#tokenless.add(name)
    return [...args, '--token-file', '-']
  }

  async #restartAgent(agent: ManagedProcess): Promise<void> {
    await agent.restart()
    this.#deliverToken(agent.name)
  }

  async #dropAgent(name: string): Promise<void> {
    const agent = this.#agents.get(name)
    if (!agent) return
    this.#agents.delete(name)
    await agent.stop()
    rmSync(this.#init.folder.agent(name), { recursive: true, force: true })
  }

  /** Gives a waiting agent its token, once there are both an API and its Node object. */
  #deliverToken(name: string): void {
    const agent = this.#agents.get(name)
    if (!this.#client || !agent || !this.#nodeObjects.has(name) || !this.#tokenless.delete(name)) return
    this.#writeToken(this.#client, agent).catch((error) => {
      this.#tokenless.add(name)
      this.#log(`node ${name}: no join token: ${errorMessage(error)}`)
    })
  }

  async #writeToken(client: ApiClient, agent: ManagedProcess): Promise<void> {
    const { clock } = this.#init.components
    const { status } = await client.create<JoinToken>(JOIN_TOKENS, {
      apiVersion: 'ambient.lab/v1',
      kind: 'JoinToken',
      metadata: { name: `${agent.name}-${clock.now().toString(36)}-${randomBytes(2).toString('hex')}` },
      spec: { node: agent.name, ttlSeconds: TOKEN_TTL_SECONDS },
    })
    agent.stdin?.end(`${status?.token ?? ''}\n`)
  }

  /**
   * The certificate of an earlier life of the lab is refused: forget it and join again. Once, since the next start
   * has a token, and a refused token is final.
   */
  #onAgentExit(name: string, exitCode: number): void {
    if (exitCode !== EXIT_PERMISSION || this.#shutdown || !this.#rejoining.delete(name)) return
    rmSync(this.#init.folder.agent(name), { recursive: true, force: true })
    this.#ensureAgent(name)
    this.#deliverToken(name)
  }

  #follow(): void {
    this.#following ??= this.#followCluster().finally(() => {
      this.#following = undefined
    })
  }

  async #followCluster(): Promise<void> {
    const { folder, machine, components } = this.#init
    try {
      const [{ ApiClient }] = await Promise.all([import('../client/api-client.ts'), this.#controlPlane.whenReady()])
      this.#client = ApiClient.fromKubeconfig(folder.kubeconfig, { components })
      this.#expectNodeObjects()
      const signal = this.#watching.signal
      await watchCluster({ client: this.#client, machine, hasControlPlane: true, orders: this, signal })
    } catch (error) {
      if (!this.#shutdown) this.#log(`the API is not followed: ${errorMessage(error)}`)
    }
  }

  /** An agent that was started ahead and whose Node object never came is stopped: nobody will ever give it a token. */
  #expectNodeObjects(): void {
    this.#init.components.clock.schedule(
      NODE_OBJECT_LIMIT_MS,
      () => {
        for (const name of this.#init.nodes) if (!this.#nodeObjects.has(name)) void this.#dropAgent(name)
      },
      { background: true },
    )
  }

  async #stopEverything(): Promise<void> {
    const { folder } = this.#init
    this.#watching.abort(new CodedError('SHUTTING_DOWN', 'the lab goes down'))
    await Promise.allSettled([...this.#agents.values()].map((agent) => agent.stop()))
    await this.#controlPlane.stop().catch((error) => this.#log(errorMessage(error)))
    this.#client?.[Symbol.dispose]()
    this.#server?.close()
    rmSync(folder.socket, { force: true })
    removeProcessRecord(folder.processes, { role: 'supervisor', name: 'main' })
    this.#lock?.[Symbol.dispose]()
    this.#ended.resolve()
  }

  #processes(): readonly SupervisedProcess[] {
    return [this.#controlPlane, ...this.#agents.values()].map((managed) => ({
      role: managed.role,
      name: managed.name,
      state: managed.state,
      pid: managed.pid ?? null,
    }))
  }

  #log(line: string): void {
    this.#init.components.log(line)
  }
}

function controlPlaneArgs({ folder, port }: SupervisorInit): string[] {
  const args = ['--lab', folder.name, '--state-dir', folder.path]
  return port === undefined ? args : [...args, '--port', String(port)]
}

import type { HostPort, LocalWorkload, PlainListener, Ztunnel } from '@ambient-lab/dataplane'
import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import type { Random } from '@ambient-lab/std'
import type { Assignment, WorkloadReport } from '@ambient-lab/xds'
import { type ClientPlan, ClientProgram } from './client-program.ts'
import type { Connection, EndPoint, Ledger, Place } from './ledger.ts'
import type { Observer } from './observer.ts'
import { SERVER_PORTS } from './scenario.ts'
import { ServerConnection } from './server-program.ts'
import type { VirtualPlainNetwork } from './virtual-network.ts'
import type { VirtualProcess } from './virtual-process.ts'

export interface WorkloadComponents {
  readonly process: VirtualProcess
  readonly network: VirtualPlainNetwork
  readonly ztunnel: Ztunnel
  readonly random: Random
  readonly ledger: Ledger
  readonly observer: Observer
  readonly certificateOf: (identity: SpiffeId) => WorkloadReport['certificate'] | undefined
  readonly onChange: (report: WorkloadReport) => void
}

/** One pod: a program that answers on its ports and opens connections when told to, behind its capture. */
export class SimulatedWorkload {
  readonly place: Place
  readonly identity: SpiffeId
  readonly assignment: Assignment
  readonly #components: WorkloadComponents
  readonly #host: string
  readonly #startedAtMs: number
  readonly #listeners = new Map<number, PlainListener>()
  readonly #connections = new Set<ServerConnection>()
  #capture: HostPort | undefined
  #stopped = false

  constructor(
    assignment: Assignment,
    init: { readonly node: string; readonly host: string },
    parts: WorkloadComponents,
  ) {
    const { uid, name, namespace, serviceAccount, address, labels, captured } = assignment
    this.assignment = assignment
    this.#components = parts
    this.#host = init.host
    this.#startedAtMs = parts.process.clock.now()
    this.identity = { trustDomain: 'cluster.local', namespace, serviceAccount }
    const identity = formatSpiffeId(this.identity)
    const { process } = parts
    this.place = { uid, name, namespace, labels, identity, address, captured, node: init.node, process }
  }

  /** Whether it may be told to connect. */
  get isReady(): boolean {
    return this.#listeners.size > 0 && !this.#stopped && this.#components.process.alive
  }

  /** In the node agent's order: the mesh first, then the program. */
  async start(): Promise<void> {
    const { ztunnel, network, process, random } = this.#components
    const added = await ztunnel.addWorkload(this.#local())
    this.#capture = added.capture
    this.#components.onChange(this.report)
    process.clock.schedule(1 + random.integer(150), () => void this.#listen(network))
  }

  /** Listeners close and connections drain side by side; then the program ends, and with it what is left. */
  async stop(): Promise<void> {
    this.#stopped = true
    const closing = [...this.#listeners.values()].map((listener) => listener[Symbol.asyncDispose]())
    this.#listeners.clear()
    await Promise.all([...closing, this.#components.ztunnel.removeWorkload(this.place.uid)])
    for (const connection of [...this.#connections]) connection.stop()
  }

  get report(): WorkloadReport {
    const { uid } = this.place
    const certificate = this.place.captured && this.#components.certificateOf(this.identity)
    return {
      uid,
      phase: this.#listeners.size > 0 ? 'Running' : 'Pending',
      ready: this.isReady,
      reason: this.#listeners.size > 0 ? '' : 'ContainerCreating',
      message: '',
      restarts: 0,
      startedAtMs: this.#startedAtMs,
      captured: this.#capture !== undefined && this.place.captured,
      ...(this.#capture && { capture: this.#capture }),
      ports: Object.fromEntries([...this.#listeners].map(([port, { address }]) => [port, address])),
      ...(certificate && { certificate }),
    }
  }

  /** Opens one connection through the pod's capture. */
  connect(plan: ClientPlan): Connection {
    const { ledger, network, random, observer, process } = this.#components
    const { destination, port } = plan
    const client: EndPoint = {
      ...{ place: this.place, sent: 0, received: 0 },
      ...{ ended: false, peerEnded: false, ending: undefined },
    }
    const connection = ledger.add({
      ...{ key: random.integer(2 ** 32), client, destination, port, startedMs: process.clock.monotonic() },
      ...{ sourceAddress: '', stood: false, refusal: undefined, server: undefined },
    })
    network.dialWithPort(this.#capture!).then(
      ({ stream, localPort }) => {
        ledger.named(connection, `${this.place.address}:${localPort}`)
        const own = random.fork(`client ${connection.id}`)
        new ClientProgram(stream, { connection, plan, random: own, observer }).start()
      },
      (error) => observer.onEnding(connection, connection.client, 'refused', error),
    )
    return connection
  }

  #local(): LocalWorkload {
    const { uid, name, namespace, address, captured } = this.place
    const dialTarget = (port: number) => this.#listeners.get(port)?.address
    return { uid, name, namespace, address, captured, identity: this.identity, dialTarget }
  }

  async #listen(network: VirtualPlainNetwork): Promise<void> {
    for (const port of this.#stopped ? [] : SERVER_PORTS) {
      const listener = await network.listen({ host: this.#host, port: 0 }, (stream) => this.#serve(stream))
      this.#listeners.set(port, listener)
    }
    if (!this.#stopped) this.#components.onChange(this.report)
  }

  #serve(stream: Parameters<Parameters<VirtualPlainNetwork['listen']>[1]>[0]): void {
    const { observer, random } = this.#components
    const onGone = (gone: ServerConnection) => void this.#connections.delete(gone)
    this.#connections.add(new ServerConnection(stream, { place: this.place, observer, random, onGone }))
  }
}

import { type CodedError, errorMessage, type Random, SeededRandom, VirtualClock } from '@ambient-lab/std'
import type { TypeUrl } from '@ambient-lab/xds'
import type { StreamHeader } from './byte-pattern.ts'
import { ByteChecker } from './checkers/byte-checker.ts'
import { findDivergence, findStaleTranslation } from './checkers/convergence-checker.ts'
import type { CheckerName } from './checkers/fail.ts'
import { PolicyChecker } from './checkers/policy-checker.ts'
import { RecordChecker } from './checkers/record-checker.ts'
import type { ClientPlan } from './client-program.ts'
import { FAULT_KINDS, FaultDriver } from './faults.ts'
import { History, Violation } from './history.ts'
import { type Connection, describe, type Ending, type EndPoint, Ledger } from './ledger.ts'
import { type Mutations, UNBROKEN } from './mutations.ts'
import type { Observer } from './observer.ts'
import type { PolicyIntent } from './policy.ts'
import { AccessBook } from './recording-access-log.ts'
import { type Keep, replayCommand } from './replay.ts'
import { drawClientPlan, drawScenario, isGatewayPod, type Scenario, SERVICE_PORTS } from './scenario.ts'
import { type Leftovers, SimulatedLab } from './simulated-lab.ts'
import type { SimulatedNode } from './simulated-node.ts'
import type { SimulatedWorkload } from './simulated-workload.ts'
import type { VirtualProcess } from './virtual-process.ts'

/** Virtual time that each phase may take at most. */
const BOOT_MAX_MS = 30_000
/** Longest: a peer that vanished behind a partition is given up after its pings, and a drain takes its time. */
const SETTLE_MAX_MS = 120_000
const CONVERGE_MAX_MS = 30_000
const PROBE_MAX_MS = 15_000
const STOP_MAX_MS = 30_000
/** After everything stopped: the last words are said, graces are over. */
const SILENCE_MS = 5_000

export interface SimulationInit {
  readonly seed: number
  /** @default every component as it is */
  readonly mutations?: Mutations
  /** @default everything that the seed has drawn */
  readonly keep?: Keep
}

export interface SimulationResult {
  readonly digest: string
  readonly events: number
  readonly connections: number
  /** Of them, those that ended in order. */
  readonly inOrder: number
  /** Of them, those that went through the gateway of another network. */
  readonly throughGateways: number
}

/** One run: a lab is drawn from the seed, comes up, is broken in every way while programs talk, heals, and is taken down. */
export class Simulation implements Observer {
  readonly #clock = new VirtualClock()
  readonly #random: Random
  readonly #history = new History(this.#clock)
  readonly #ledger = new Ledger()
  readonly #book = new AccessBook((node, line) => this.#history.note(node, line))
  readonly #crashed = new Set<VirtualProcess>()
  readonly #scenario: Scenario
  readonly #keep: Keep | undefined
  readonly #lab: SimulatedLab
  readonly #bytes: ByteChecker
  readonly #policy: PolicyChecker
  readonly #records: RecordChecker
  readonly #faults: FaultDriver
  #violation: Violation | undefined

  constructor(init: SimulationInit) {
    const random = new SeededRandom(init.seed).fork('simulation')
    const clock = this.#clock
    const fail = (checker: CheckerName, what: string) => this.fail(checker, what)
    this.#random = random
    this.#scenario = drawScenario(random.fork('scenario'), FAULT_KINDS)
    this.#keep = init.keep
    this.#bytes = new ByteChecker(fail)
    this.#policy = new PolicyChecker(fail, this.#ledger, this.#book)
    this.#records = new RecordChecker(fail, { ledger: this.#ledger, book: this.#book, crashed: this.#crashed })
    const note = (actor: string, event: string) => this.#history.note(actor, event)
    this.#lab = new SimulatedLab(
      {
        ...{ clock, random: random.fork('lab'), ledger: this.#ledger, observer: this, book: this.#book },
        mutations: init.mutations ?? UNBROKEN,
        onEvent: note,
        onApplied: (node, typeUrl) => this.#onApplied(node, typeUrl),
        onProgramsEnd: (programs, crashed) => this.#onProgramsEnd(programs, crashed),
        onPolicies: (changed, intents) => this.#onPolicies(changed, intents),
      },
      this.#scenario,
    )
    this.#faults = new FaultDriver({
      ...{ clock, lab: this.#lab, scenario: this.#scenario, note },
      onControlPlaneStopped: (left) => this.#checkLeft(left),
    })
  }

  get scenario(): Scenario {
    return this.#scenario
  }

  get history(): History {
    return this.#history
  }

  /** @throws Violation the first promise that was not kept */
  async run(): Promise<SimulationResult> {
    this.#history.note('scenario', JSON.stringify(this.#scenario))
    await this.#phase('start', STOP_MAX_MS, () => this.#lab.start())
    await this.#converge('boot', BOOT_MAX_MS)
    await this.#chaos()
    await this.#phase('heal', STOP_MAX_MS, () => this.#faults.healAll())
    await this.#until('every connection ends', SETTLE_MAX_MS, () => {
      const open = this.#ledger.connections.find((one) => isOpen(one.client) || isOpen(one.server))
      return (
        open &&
        `${describe(open)} is still open: ${JSON.stringify([open.client, open.server].map((end) => end && { ...end, place: end.place.name }))}`
      )
    })
    await this.#converge('convergence', CONVERGE_MAX_MS)
    await this.#probe()
    await this.#stop()
    this.#records.checkAll()
    this.#raise()
    return this.#result()
  }

  /** Keeps the first violation; the run ends when control comes back to it. */
  fail(checker: CheckerName, what: string): void {
    this.#violation ??= new Violation(checker, what)
    this.#history.note('VIOLATION', `${checker}: ${what}`)
  }

  // What the simulated programs and agents tell.

  onArrival(header: StreamHeader | undefined, end: EndPoint): Connection | undefined {
    const connection = header && this.#ledger.find(header.connection)
    if (!this.#bytes.arrival(header, connection)) return undefined
    connection!.server = end
    this.#ledger.opened()
    this.#history.note(end.place.name, `${describe(connection!)} arrived`)
    this.#policy.delivered(connection!)
    return connection
  }

  onStood(connection: Connection): void {
    this.#history.note(connection.client.place.name, `${describe(connection)} stands`)
  }

  onBytes(
    connection: Connection,
    reader: EndPoint,
    writer: EndPoint | undefined,
    key: number,
    bytes: Uint8Array,
  ): void {
    this.#bytes.bytes(connection, reader, writer, { key, bytes })
    if (reader === connection.server) this.#policy.delivered(connection)
  }

  onPeerEnd(connection: Connection, reader: EndPoint, writer: EndPoint | undefined): void {
    this.#bytes.peerEnd(connection, reader, writer)
  }

  onEnding(connection: Connection, end: EndPoint, ending: Ending, reason: CodedError | undefined): void {
    this.#bytes.ending(connection, end, ending)
    end.ending = ending
    this.#ledger.ended()
    const told = `${end.sent} sent, ${end.received} received${reason ? ` (${reason.code})` : ''}`
    this.#history.note(end.place.name, `${describe(connection)} ${ending}: ${told}`)
  }

  onRefused(node: string, reason: CodedError): void {
    this.fail('convergence', `${node} was turned away for good: ${reason.message}`)
  }

  // What the lab tells.

  #onProgramsEnd(programs: VirtualProcess, crashed: boolean): void {
    if (crashed) this.#crashed.add(programs)
    for (const { client, server } of this.#ledger.connections) {
      for (const end of [client, server]) {
        if (!end || end.ending || end.place.process !== programs) continue
        end.ending = 'killed'
        this.#ledger.ended()
      }
    }
  }

  #onPolicies(changed: readonly PolicyIntent[], intents: readonly PolicyIntent[]): void {
    this.#policy.published(changed, intents)
    for (const node of this.#lab.nodes) this.#acknowledge(node)
  }

  #onApplied(node: SimulatedNode, _typeUrl: TypeUrl): void {
    this.#acknowledge(node)
  }

  #acknowledge(node: SimulatedNode): void {
    const { controlPlane } = this.#lab
    if (!controlPlane || !node.isUp || !this.#policy.acknowledged(node, controlPlane.resources)) return
    this.#clock.schedule(0, () => this.#policy.checkLive(node.name))
  }

  // The phases.

  async #chaos(): Promise<void> {
    const { chaosMs, connections, faults, incidents } = this.#scenario
    const chance = this.#random.fork('chance')
    for (let index = 1; index <= connections; index += 1) {
      const random = chance.fork(`connection ${index}`)
      const atMs = random.integer(chaosMs)
      if (this.#keep?.connections.has(index) ?? true) this.#clock.schedule(atMs, () => this.#connect(random))
    }
    for (let index = 1; index <= incidents; index += 1) {
      const random = chance.fork(`fault ${index}`)
      const [kind, atMs] = [random.pick(faults), random.integer(chaosMs)]
      if (this.#keep?.faults.has(index) ?? true) this.#clock.schedule(atMs, () => this.#faults.inject(kind, random))
    }
    const endsMs = this.#clock.monotonic() + chaosMs
    await this.#clock.advanceUntil(() => this.#violation !== undefined, chaosMs)
    this.#raise()
    await this.#clock.advance(endsMs - this.#clock.monotonic())
  }

  /** Mostly a caller; now and then a server calls another. */
  #connect(random: Random): void {
    const ready = this.#lab.workloads.filter(({ isReady }) => isReady)
    const callers = ready.filter(({ place }) => this.#isCaller(place.labels.app))
    const from = random.integer(6) === 0 ? ready : callers
    if (from.length === 0) return
    this.#open(random.pick(from), drawClientPlan(random, this.#scenario, this.#lab))
  }

  #open(workload: SimulatedWorkload, plan: ClientPlan): Connection {
    const connection = workload.connect(plan)
    this.#history.note(workload.place.name, `${describe(connection)} opens, ${plan.bytes} bytes`)
    return connection
  }

  #isCaller(app: string | undefined): boolean {
    return this.#scenario.clients.some(({ name }) => name === app)
  }

  async #converge(name: string, limitMs: number): Promise<void> {
    await this.#until(name, limitMs, () => findDivergence(this.#lab))
    const stale = findStaleTranslation(this.#lab)
    if (stale) this.fail('convergence', stale)
    this.#raise()
  }

  /** With everything healed, whoever may connect can, and nobody else. */
  async #probe(): Promise<void> {
    const probes = this.#lab.workloads
      .filter(({ place }) => this.#isCaller(place.labels.app))
      .flatMap((workload) => this.#probesOf(workload))
    await this.#until('probes', PROBE_MAX_MS, () => {
      const open = probes.find(({ connection }) => isOpen(connection.client) || isOpen(connection.server))
      return open && `${describe(open.connection)} is still open`
    })
    for (const { connection, allowed } of probes) {
      const { client } = connection
      if (allowed && client.ending !== 'in order') {
        this.fail('convergence', `${describe(connection)} is allowed and was ${client.ending}`)
      }
      if (!allowed && client.ending === 'in order') {
        this.fail('policy', `${describe(connection)} is denied and ended in order`)
      }
    }
    this.#raise()
  }

  #probesOf(workload: SimulatedWorkload): { readonly connection: Connection; readonly allowed: boolean }[] {
    return this.#scenario.servers.flatMap(({ name, namespace }) =>
      [...SERVICE_PORTS].map(([port, containerPort]) => {
        const plan = { ...PROBE, destination: `${name}.${namespace}`, port }
        const server = this.#lab.workloads.find(({ place }) => place.labels.app === name)!
        const allowed = this.#policy.allows(workload.place, server.place, containerPort)
        return { connection: this.#open(workload, plan), allowed }
      }),
    )
  }

  async #stop(): Promise<void> {
    const stopped = await this.#phase('stop', STOP_MAX_MS, () =>
      Promise.all(this.#lab.nodes.map((node) => node.stop())),
    )
    const left = await this.#phase('stop', STOP_MAX_MS, () => this.#lab.stopControlPlane())
    if (left) this.#checkLeft(left)
    await this.#clock.advance(SILENCE_MS)
    for (const one of stopped) {
      if (!one) continue
      const { process, ztunnel, threads } = one
      for (const thread of threads) {
        if (thread.pending > 0) this.fail('closed', `${thread.pending} timers of ${thread.name} are left`)
      }
      if (process.pending > 0) this.fail('closed', `${process.pending} timers of ${process.name} are left`)
      if (ztunnel.connectionCount > 0)
        this.fail('closed', `${ztunnel.connectionCount} connections of ${process.name} move`)
      this.#records.checkView(process.name, ztunnel)
    }
    const { openStreams, openListeners } = this.#lab.network
    if (openStreams > 0) this.fail('closed', `${openStreams} ends of connections are open`)
    if (openListeners > 0) this.fail('closed', `${openListeners} listeners are open`)
    if (this.#ledger.openEnds > 0) this.fail('closed', `${this.#ledger.openEnds} ends of programs are open`)
    if (this.#clock.pending > 0) this.fail('closed', `${this.#clock.pending} timers are left`)
    this.#raise()
  }

  #checkLeft({ watches, timers }: Leftovers): void {
    if (watches > 0) this.fail('closed', `the control plane left ${watches} watches`)
    if (timers > 0) this.fail('closed', `the control plane left ${timers} timers`)
  }

  async #phase<T>(name: string, limitMs: number, work: () => Promise<T>): Promise<T> {
    let isDone = false
    const result = work().finally(() => {
      isDone = true
    })
    result.catch(() => {}) // awaited below
    await this.#until(name, limitMs, () => (isDone ? undefined : 'not done'))
    return result
  }

  /** Lets time pass until nothing is missing. @param missing what is, or undefined */
  async #until(name: string, limitMs: number, missing: () => string | undefined): Promise<void> {
    const startedMs = this.#clock.monotonic()
    while (missing() !== undefined && !this.#violation) {
      if (this.#clock.monotonic() - startedMs > limitMs) {
        this.fail('convergence', `${name} took more than ${limitMs} ms: ${missing()}`)
      }
      const stepMs = STEP_MS
      await this.#clock.advance(stepMs)
    }
    this.#raise()
    this.#history.note('phase', `${name} done`)
  }

  #raise(): void {
    if (this.#violation) throw this.#violation
  }

  #result(): SimulationResult {
    const { connections } = this.#ledger
    const inOrder = connections.filter(({ client }) => client.ending === 'in order').length
    const throughGateways = this.#book.complete.filter(
      ({ record: { direction, destination } }) => direction === 'outbound' && isGatewayPod(destination.workload),
    ).length
    const { count: events } = this.#history
    return { digest: this.#history.digest(), events, connections: connections.length, inOrder, throughGateways }
  }
}

const STEP_MS = 25

const PROBE: Omit<ClientPlan, 'destination' | 'port'> = {
  ...{ bytes: 64, chunkBytesMax: 64, pauseMaxMs: 0, impatient: false, serverEndsAfter: 0 },
  ...{ resetAfter: undefined, slowReader: false, lingerMs: 0 },
}

function isOpen(end: EndPoint | undefined): boolean {
  return end !== undefined && end.ending === undefined
}

/**
 * Runs one seed. Whatever is thrown where nobody catches it is a violation too.
 * @throws SimulationError
 */
export async function simulate(init: SimulationInit): Promise<SimulationResult> {
  const simulation = new Simulation(init)
  const release = catchStrays((error) =>
    simulation.fail('crash', error instanceof Error ? (error.stack ?? '') : errorMessage(error)),
  )
  try {
    return await simulation.run()
  } catch (error) {
    throw new SimulationError(init, error, simulation)
  } finally {
    release()
  }
}

/** A run that found something, with all that is needed to see it again. */
export class SimulationError extends Error {
  readonly seed: number
  readonly checker: CheckerName
  readonly scenario: Scenario

  constructor(init: SimulationInit, cause: unknown, { history, scenario }: Simulation) {
    const what = cause instanceof Violation ? cause.message : cause instanceof Error ? cause.stack : String(cause)
    super(`seed ${init.seed}: ${what}\n\n${history.tail()}\n\nreplay: ${replayCommand(init)}`, { cause })
    this.name = 'SimulationError'
    this.seed = init.seed
    this.checker = cause instanceof Violation ? cause.checker : 'crash'
    this.scenario = scenario
  }
}

/** Takes exceptions that reach the event loop away from the test runner, who would not know the seed. */
function catchStrays(onError: (error: unknown) => void): () => void {
  const events = ['uncaughtException', 'unhandledRejection'] as const
  const before = events.map((event) => process.listeners(event as 'uncaughtException'))
  for (const event of events) {
    process.removeAllListeners(event)
    process.on(event as 'uncaughtException', onError)
  }
  return () => {
    for (const [index, event] of events.entries()) {
      process.removeAllListeners(event)
      for (const listener of before[index]!) process.on(event as 'uncaughtException', listener)
    }
  }
}

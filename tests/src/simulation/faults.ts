import { CodedError, type Random, sleep, type VirtualClock } from '@ambient-lab/std'
import { Healing } from './healing.ts'
import { drawPolicy } from './policy.ts'
import { castOf, type Scenario } from './scenario.ts'
import type { Leftovers, SimulatedLab } from './simulated-lab.ts'
import type { SimulatedNode } from './simulated-node.ts'
import { CONTROL_PLANE_NODE } from './virtual-network.ts'

export interface FaultComponents {
  readonly clock: VirtualClock
  readonly lab: SimulatedLab
  readonly scenario: Scenario
  note(actor: string, event: string): void
  /** A control plane ended in order, and left this behind. */
  onControlPlaneStopped(left: Leftovers): void
}

/** How far the wall clock may go back in all: certificates are dated back by two minutes. */
const BACKWARD_MAX_MS = 90_000

/** Steps of the root's rotation, and tries of those that come too early, of one fault. */
const ROOT_STEP_ATTEMPTS = 25
const ROOT_STEP_RETRY_MS = 100

type FaultKind = keyof typeof FAULTS | keyof typeof NETWORK_FAULTS

/** What can be done to a lab. Each fault either is over at once or says how it heals. */
const FAULTS = {
  delay: (driver: FaultDriver, random: Random) => driver.delay(random),
  bandwidth: (driver: FaultDriver, random: Random) => driver.bandwidth(random),
  partition: (driver: FaultDriver, random: Random) => driver.partition(random),
  'control-partition': (driver: FaultDriver, random: Random) => driver.controlPartition(random),
  'agent-crash': (driver: FaultDriver, random: Random) => driver.agentCrash(random),
  'agent-restart': (driver: FaultDriver, random: Random) => driver.agentRestart(random),
  'power-loss': (driver: FaultDriver, random: Random) => driver.powerLoss(random),
  'control-plane-crash': (driver: FaultDriver, random: Random) => driver.controlPlaneCrash(random),
  'control-plane-restart': (driver: FaultDriver, random: Random) => driver.controlPlaneRestart(random),
  'store-full': (driver: FaultDriver, random: Random) => driver.storeFull(random),
  policy: (driver: FaultDriver, random: Random) => driver.policyFlip(random),
  'pod-delete': (driver: FaultDriver, random: Random) => driver.podDelete(random),
  scale: (driver: FaultDriver, random: Random) => driver.scale(random),
  rotate: (driver: FaultDriver, random: Random) => driver.rotate(random),
  'root-rotation': (driver: FaultDriver) => driver.rotateRoot(),
  'tunnel-loss': (driver: FaultDriver, random: Random) => driver.tunnelLoss(random),
  'link-loss': (driver: FaultDriver, random: Random) => driver.linkLoss(random),
  'clock-jump': (driver: FaultDriver, random: Random) => driver.clockJump(random),
  'clock-skew': (driver: FaultDriver, random: Random) => driver.clockSkew(random),
} as const

/** Of any lab. */
export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[]

/** Of one with several networks. */
const NETWORK_FAULTS = {
  'network-partition': (driver: FaultDriver, random: Random) => driver.networkPartition(random),
  'gateway-crash': (driver: FaultDriver, random: Random) => driver.gatewayCrash(random),
} as const

/** Breaks things. Each fault has chance of its own, so that a run without some of them has the others as they were. */
export class FaultDriver {
  readonly #components: FaultComponents
  readonly #healing: Healing
  #backwardMs = 0
  #policies = 0

  constructor(components: FaultComponents) {
    this.#components = components
    this.#healing = new Healing({ clock: components.clock, note: (event) => this.#note(event) })
  }

  /** @throws nothing: what a fault runs into that is no answer of the lab's reaches the event loop */
  inject(kind: string, random: Random): void {
    void Promise.resolve({ ...FAULTS, ...NETWORK_FAULTS }[kind as FaultKind](this, random)).catch((error: unknown) => {
      queueMicrotask(() => {
        throw error
      })
    })
  }

  /** Everything that is broken heals now. */
  healAll(): Promise<void> {
    return this.#healing.healAll()
  }

  delay(random: Random): void {
    const [a, b] = this.#pair(random)
    const delayMs = 1 + random.integer(150)
    const jitterMs = random.integer(delayMs)
    const { network } = this.#lab
    network.delay(a, b, delayMs, jitterMs)
    const { latencyMs } = this.#components.scenario
    const heal = () => network.delay(a, b, latencyMs, latencyMs / 2)
    this.#healing.break(`delay ${a} ${b} ${delayMs}±${jitterMs} ms`, duration(random), heal)
  }

  bandwidth(random: Random): void {
    const [a, b] = this.#pair(random)
    const bytesPerMs = 4 + random.integer(200)
    const { network } = this.#lab
    network.bandwidth(a, b, bytesPerMs)
    const heal = () => network.bandwidth(a, b, Number.POSITIVE_INFINITY)
    this.#healing.break(`bandwidth ${a} ${b} ${bytesPerMs} kB/s`, duration(random), heal)
  }

  partition(random: Random): void {
    this.#cut(random, ...this.#pair(random))
  }

  /** All links between two networks, as one line that breaks; in both directions, or in one. */
  networkPartition(random: Random): void {
    const { nodes, networks } = this.#components.scenario
    const { network } = this.#lab
    const from = random.pick(networks)
    const oneway = random.integer(3) === 0
    const sides = (isFrom: boolean) => nodes.filter((_, index) => (networks[index] === from) === isFrom)
    const pairs = sides(true).flatMap((near) => sides(false).map((far) => [near, far] as const))
    for (const [near, far] of pairs) network.partition(near, far, oneway)
    this.#healing.break(`partition of network ${from}${oneway ? ', one way' : ''}`, duration(random), () => {
      for (const [near, far] of pairs) network.heal(near, far)
    })
  }

  /** The thread of a gateway dies; its agent starts another. */
  gatewayCrash(random: Random): void {
    const up = this.#lab.nodes.flatMap(({ gateways }) => gateways).filter(({ isUp }) => isUp)
    if (up.length === 0) return
    const gateway = random.pick(up)
    gateway.crash()
    this.#healing.break(`crash of ${gateway.assignment.name}`, duration(random), () => gateway.start())
  }

  controlPartition(random: Random): void {
    const { name } = random.pick(this.#lab.nodes)
    const [from, to] = random.integer(2) === 0 ? [name, CONTROL_PLANE_NODE] : [CONTROL_PLANE_NODE, name]
    this.#cut(random, from, to)
  }

  /** SIGKILL: the machine stays, and tells the peers. */
  agentCrash(random: Random): void {
    const node = this.#upNode(random)
    if (!node) return
    node.crash()
    this.#lab.links.cut(node.name)
    this.#healing.break(`crash of ${node.name}`, duration(random), () => this.#startNode(node))
  }

  /** Nobody is told anything until the machine is up again. */
  powerLoss(random: Random): void {
    const node = this.#upNode(random)
    if (!node) return
    const { name } = node
    const others = [...this.#lab.nodes.map((other) => other.name), CONTROL_PLANE_NODE].filter((other) => other !== name)
    for (const other of others) this.#lab.network.partition(name, other, false)
    this.#linksChanged(name, CONTROL_PLANE_NODE)
    node.crash()
    this.#healing.break(`power loss of ${name}`, duration(random), async () => {
      for (const other of others) this.#lab.network.heal(name, other)
      this.#lab.links.cut(name)
      await this.#startNode(node)
    })
  }

  async agentRestart(random: Random): Promise<void> {
    const node = this.#upNode(random)
    if (!node) return
    this.#note(`restart of ${node.name}`)
    await node.stop()
    await this.#startNode(node)
  }

  controlPlaneCrash(random: Random): void {
    if (!this.#lab.controlPlane) return
    this.#lab.crashControlPlane()
    this.#healing.break('crash of the control plane', duration(random), () => this.#startControlPlane())
  }

  async controlPlaneRestart(random: Random): Promise<void> {
    if (!this.#lab.controlPlane) return
    const stopped = this.#lab.stopControlPlane()
    this.#healing.break('stop of the control plane', duration(random), async () => {
      await stopped
      await this.#startControlPlane()
    })
    const left = await stopped
    if (left) this.#components.onControlPlaneStopped(left)
  }

  storeFull(random: Random): void {
    const { store } = this.#lab
    store.isFull = true
    this.#healing.break('the store is full', duration(random), () => {
      store.isFull = false
    })
  }

  async policyFlip(random: Random): Promise<void> {
    if (!this.#lab.controlPlane) return
    const { policies } = this.#lab
    const { servers, clients } = this.#components.scenario
    const known = [...policies.values()]
    const draw = random.integer(5)
    if (known.length > 0 && draw < 2) {
      const intent = random.pick(known)
      await this.#ask(`policy removed: ${intent.name}`, () => this.#lab.removePolicy(intent))
      return
    }
    this.#policies += 1
    const name = known.length > 0 && draw === 2 ? random.pick(known).name : `flip-${this.#policies}`
    const drawn = drawPolicy(random, name, castOf(servers, clients))
    // An update keeps its name and namespace; anything else is another object.
    const intent = { ...drawn, namespace: policies.get(name)?.namespace ?? drawn.namespace }
    await this.#ask(`policy applied: ${JSON.stringify(intent)}`, () => this.#lab.applyPolicy(intent))
  }

  async podDelete(random: Random): Promise<void> {
    const pods = this.#lab.pods.filter(({ metadata, spec }) => spec?.nodeName && !metadata.deletionTimestamp)
    if (!this.#lab.controlPlane || pods.length === 0) return
    const pod = random.pick(pods)
    await this.#ask(`pod deleted: ${pod.metadata.name}`, () => this.#lab.deletePod(pod))
  }

  async scale(random: Random): Promise<void> {
    if (!this.#lab.controlPlane) return
    const { name, namespace } = random.pick(this.#components.scenario.servers)
    const replicas = 1 + random.integer(3)
    await this.#ask(`${name} scaled to ${replicas}`, () => this.#lab.scale(name, namespace, replicas))
  }

  /** Tunnels of the old certificates say GOAWAY and go on with the streams they have. */
  rotate(random: Random): void {
    const node = this.#upNode(random)
    this.#note(`certificates of ${node?.name} rotate`)
    node?.rotate()
  }

  /** The steps between two roots, each once nobody is cut off by it; what is left undone a later one of these takes up. */
  async rotateRoot(): Promise<void> {
    for (let attempt = 0; attempt < ROOT_STEP_ATTEMPTS && this.#lab.controlPlane; attempt += 1) {
      let outcome = 'waits'
      await this.#ask(`step of the root ${attempt}`, async () => {
        outcome = await this.#lab.stepRoot()
      })
      this.#note(`root: ${outcome}`)
      if (outcome === 'Retire') return
      await sleep(this.#components.clock, ROOT_STEP_RETRY_MS)
    }
  }

  /** Tunnels are cut with streams on them. */
  tunnelLoss(random: Random): void {
    const node = this.#upNode(random)
    const cut = node ? this.#lab.network.cutCarriers(node.process!) : 0
    this.#note(`${cut} carriers of ${node?.name} cut`)
  }

  linkLoss(random: Random): void {
    const { name } = random.pick(this.#lab.nodes)
    this.#note(`link of ${name} cut`)
    this.#lab.links.cut(name)
  }

  /** Of the wall clock; what is measured goes on as before. */
  clockJump(random: Random): void {
    const deltaMs = random.integer(2) === 0 ? random.integer(36 * 3600_000) : -random.integer(60_000)
    if (deltaMs < 0 && this.#backwardMs - deltaMs > BACKWARD_MAX_MS) return
    if (deltaMs < 0) this.#backwardMs -= deltaMs
    this.#note(`every clock jumps ${deltaMs} ms`)
    this.#components.clock.jump(deltaMs)
  }

  /** Certificates that live for seconds do not work on a machine whose clock is off by more. */
  clockSkew(random: Random): void {
    if (this.#components.scenario.svidTtlSeconds < 3600) return
    const node = random.pick(this.#lab.nodes)
    node.skewMs = random.integer(180_000) - BACKWARD_MAX_MS
    this.#healing.break(`clock of ${node.name} off by ${node.skewMs} ms`, duration(random), () => {
      node.skewMs = 0
    })
  }

  #cut(random: Random, from: string, to: string): void {
    const oneway = random.integer(3) === 0
    this.#lab.network.partition(from, to, oneway)
    this.#linksChanged(from, to)
    this.#healing.break(`partition ${from} ${oneway ? '→' : '↔'} ${to}`, duration(random), () => {
      this.#lab.network.heal(from, to)
      this.#linksChanged(from, to)
    })
  }

  #linksChanged(from: string, to: string): void {
    if (from === CONTROL_PLANE_NODE) this.#lab.links.networkChanged(to)
    if (to === CONTROL_PLANE_NODE) this.#lab.links.networkChanged(from)
  }

  async #startNode(node: SimulatedNode): Promise<void> {
    if (!node.isUp) await node.start()
  }

  async #startControlPlane(): Promise<void> {
    if (!this.#lab.controlPlane) await this.#lab.startControlPlane()
  }

  /** Asks the API for something; that it has no room for it is an answer. */
  async #ask(what: string, request: () => Promise<void>): Promise<void> {
    this.#note(what)
    try {
      await request()
    } catch (error) {
      if (!CodedError.is(error, 'STORE_WRITE_FAILED')) throw error
      this.#note(`refused: ${what}`)
    }
  }

  #pair(random: Random): [string, string] {
    const a = random.pick(this.#lab.nodes).name
    const others = this.#lab.nodes.filter(({ name }) => name !== a)
    return [a, random.pick(others).name]
  }

  #upNode(random: Random): SimulatedNode | undefined {
    const up = this.#lab.nodes.filter(({ isUp }) => isUp)
    return up.length > 0 ? random.pick(up) : undefined
  }

  #note(event: string): void {
    this.#components.note('fault', event)
  }

  get #lab(): SimulatedLab {
    return this.#components.lab
  }
}

/** Mostly seconds; now and then longer than anybody waits for an answer. */
function duration(random: Random): number {
  return 100 + random.integer(random.integer(3) === 0 ? 12_000 : 3_000)
}

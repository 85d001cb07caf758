import type { Random, VirtualClock } from '@ambient-lab/std'
import { drawPolicy } from './policy.ts'
import { castOf, type Scenario } from './scenario.ts'
import type { SimulatedLab } from './simulated-lab.ts'
import type { SimulatedNode } from './simulated-node.ts'
import { CONTROL_PLANE_NODE } from './virtual-network.ts'

export interface FaultComponents {
  readonly clock: VirtualClock
  readonly random: Random
  readonly lab: SimulatedLab
  readonly scenario: Scenario
  note(actor: string, event: string): void
}

/** How far the wall clock may go back in all: certificates are dated back by two minutes. */
const BACKWARD_MAX_MS = 90_000

type FaultKind = keyof typeof FAULTS

/** What can be done to a lab. Each fault either is over at once or says how it heals. */
const FAULTS = {
  delay: (driver: FaultDriver) => driver.delay(),
  partition: (driver: FaultDriver) => driver.partition(),
  'control-partition': (driver: FaultDriver) => driver.controlPartition(),
  'agent-crash': (driver: FaultDriver) => driver.agentCrash(),
  'agent-restart': (driver: FaultDriver) => driver.agentRestart(),
  'control-plane-crash': (driver: FaultDriver) => driver.controlPlaneCrash(),
  policy: (driver: FaultDriver) => driver.policyFlip(),
  'pod-delete': (driver: FaultDriver) => driver.podDelete(),
  scale: (driver: FaultDriver) => driver.scale(),
  rotate: (driver: FaultDriver) => driver.rotate(),
  'tunnel-loss': (driver: FaultDriver) => driver.tunnelLoss(),
  'link-loss': (driver: FaultDriver) => driver.linkLoss(),
  'clock-jump': (driver: FaultDriver) => driver.clockJump(),
  'clock-skew': (driver: FaultDriver) => driver.clockSkew(),
} as const

export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[]

/** Breaks things, in the order and at the moments that the seed says. */
export class FaultDriver {
  readonly #components: FaultComponents
  /** What has yet to heal. */
  readonly #broken = new Map<string, () => void | Promise<void>>()
  readonly #timers = new Set<() => void>()
  #backwardMs = 0
  #policies = 0

  constructor(components: FaultComponents) {
    this.#components = components
  }

  inject(kind: string): void {
    void Promise.resolve(FAULTS[kind as FaultKind](this)).catch((error: unknown) => {
      queueMicrotask(() => {
        throw error
      })
    })
  }

  /** Everything that is broken heals now. */
  async healAll(): Promise<void> {
    for (const cancel of this.#timers) cancel()
    for (const [name, heal] of [...this.#broken]) {
      this.#broken.delete(name)
      this.#note(`healed: ${name}`)
      await heal()
    }
  }

  delay(): void {
    const [a, b] = this.#pair()
    const delayMs = 1 + this.#random.integer(150)
    const jitterMs = this.#random.integer(delayMs)
    const { network } = this.#lab
    network.delay(a, b, delayMs, jitterMs)
    const { latencyMs } = this.#components.scenario
    this.#break(`delay ${a} ${b} ${delayMs}±${jitterMs} ms`, () => network.delay(a, b, latencyMs, latencyMs / 2))
  }

  partition(): void {
    const [a, b] = this.#pair()
    this.#cut(a, b)
  }

  controlPartition(): void {
    this.#cut(...(this.#random.integer(2) === 0 ? this.#withControlPlane() : reversed(this.#withControlPlane())))
  }

  agentCrash(): void {
    const node = this.#upNode()
    if (!node) return
    node.crash()
    this.#lab.links.cut(node.name)
    this.#break(`crash of ${node.name}`, () => this.#startNode(node))
  }

  async agentRestart(): Promise<void> {
    const node = this.#upNode()
    if (!node) return
    this.#note(`restart of ${node.name}`)
    this.#broken.set(`stop of ${node.name}`, () => {})
    await node.stop()
    this.#broken.delete(`stop of ${node.name}`)
    await this.#startNode(node)
  }

  controlPlaneCrash(): void {
    if (!this.#lab.controlPlane) return
    this.#lab.crashControlPlane()
    this.#break('crash of the control plane', async () => {
      if (!this.#lab.controlPlane) await this.#lab.startControlPlane()
    })
  }

  async policyFlip(): Promise<void> {
    if (!this.#lab.controlPlane) return
    const { policies } = this.#lab
    const { servers, clients } = this.#components.scenario
    const known = [...policies.values()]
    const draw = this.#random.integer(5)
    if (known.length > 0 && draw < 2) {
      const intent = this.#random.pick(known)
      this.#note(`policy removed: ${intent.name}`)
      await this.#lab.removePolicy(intent)
      return
    }
    this.#policies += 1
    const name = known.length > 0 && draw === 2 ? this.#random.pick(known).name : `flip-${this.#policies}`
    const drawn = drawPolicy(this.#random, name, castOf(servers, clients))
    // An update keeps its name and namespace; anything else is another object.
    const intent = { ...drawn, namespace: policies.get(name)?.namespace ?? drawn.namespace }
    this.#note(`policy applied: ${JSON.stringify(intent)}`)
    await this.#lab.applyPolicy(intent)
  }

  async podDelete(): Promise<void> {
    const pods = this.#lab.pods.filter(({ metadata, spec }) => spec?.nodeName && !metadata.deletionTimestamp)
    if (!this.#lab.controlPlane || pods.length === 0) return
    const pod = this.#random.pick(pods)
    this.#note(`pod deleted: ${pod.metadata.name}`)
    await this.#lab.deletePod(pod)
  }

  async scale(): Promise<void> {
    if (!this.#lab.controlPlane) return
    const { name, namespace } = this.#random.pick(this.#components.scenario.servers)
    const replicas = 1 + this.#random.integer(3)
    this.#note(`${name} scaled to ${replicas}`)
    await this.#lab.scale(name, namespace, replicas)
  }

  rotate(): void {
    const node = this.#upNode()
    this.#note(`certificates of ${node?.name} rotate`)
    node?.rotate()
  }

  tunnelLoss(): void {
    const node = this.#upNode()
    const cut = node ? this.#lab.network.cutCarriers(node.process!) : 0
    this.#note(`${cut} carriers of ${node?.name} cut`)
  }

  linkLoss(): void {
    const { name } = this.#random.pick(this.#lab.nodes)
    this.#note(`link of ${name} cut`)
    this.#lab.links.cut(name)
  }

  clockJump(): void {
    const deltaMs = this.#random.integer(2) === 0 ? this.#random.integer(36 * 3600_000) : -this.#random.integer(60_000)
    if (deltaMs < 0 && this.#backwardMs - deltaMs > BACKWARD_MAX_MS) return
    if (deltaMs < 0) this.#backwardMs -= deltaMs
    this.#note(`every clock jumps ${deltaMs} ms`)
    this.#components.clock.jump(deltaMs)
  }

  /** Certificates that live for seconds do not work on a machine whose clock is off by more. */
  clockSkew(): void {
    if (this.#components.scenario.svidTtlSeconds < 3600) return
    const node = this.#random.pick(this.#lab.nodes)
    node.skewMs = this.#random.integer(180_000) - BACKWARD_MAX_MS
    this.#break(`clock of ${node.name} off by ${node.skewMs} ms`, () => {
      node.skewMs = 0
    })
  }

  #cut(from: string, to: string): void {
    const oneway = this.#random.integer(3) === 0
    this.#lab.network.partition(from, to, oneway)
    this.#linksChanged(from, to)
    this.#break(`partition ${from} ${oneway ? '→' : '↔'} ${to}`, () => {
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

  #break(name: string, heal: () => void | Promise<void>): void {
    this.#note(name)
    this.#broken.set(name, heal)
    const durationMs = 100 + this.#random.integer(this.#random.integer(3) === 0 ? 12_000 : 3_000)
    const cancel = this.#components.clock.schedule(durationMs, () => {
      this.#timers.delete(cancel)
      if (this.#broken.get(name) !== heal) return
      this.#broken.delete(name)
      this.#note(`healed: ${name}`)
      void heal()
    })
    this.#timers.add(cancel)
  }

  #pair(): [string, string] {
    const a = this.#random.pick(this.#lab.nodes).name
    const others = this.#lab.nodes.filter(({ name }) => name !== a)
    return [a, this.#random.pick(others).name]
  }

  #withControlPlane(): [string, string] {
    return [this.#random.pick(this.#lab.nodes).name, CONTROL_PLANE_NODE]
  }

  #upNode(): SimulatedNode | undefined {
    const up = this.#lab.nodes.filter(({ isUp }) => isUp)
    return up.length > 0 ? this.#random.pick(up) : undefined
  }

  #note(event: string): void {
    this.#components.note('fault', event)
  }

  get #random(): Random {
    return this.#components.random
  }

  get #lab(): SimulatedLab {
    return this.#components.lab
  }
}

function reversed([a, b]: [string, string]): [string, string] {
  return [b, a]
}

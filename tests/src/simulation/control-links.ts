import type { ControlPlane } from '@ambient-lab/control-plane'
import type { Clock } from '@ambient-lab/std'
import {
  type AgentMessage,
  type ControlPlaneMessage,
  createMemoryLinkPair,
  DIAL_TIMEOUT_MS,
  discoveryError,
  LINK_DEAD_AFTER_MS,
  type MemoryLinkPair,
  type MessageLink,
} from '@ambient-lab/xds'
import { CONTROL_PLANE_NODE, type VirtualNetwork } from './virtual-network.ts'
import type { VirtualProcess } from './virtual-process.ts'

/** The links between the agents and whoever is the control plane now, over the same network as everything else. */
export class ControlLinks {
  readonly #clock: Clock
  readonly #network: VirtualNetwork
  readonly #controlPlane: () => ControlPlane | undefined
  readonly #pairs = new Map<string, MemoryLinkPair>()

  constructor(components: {
    readonly clock: Clock
    readonly network: VirtualNetwork
    readonly controlPlane: () => ControlPlane | undefined
  }) {
    this.#clock = components.clock
    this.#network = components.network
    this.#controlPlane = components.controlPlane
  }

  /** @throws CodedError CONTROL_PLANE_UNREACHABLE */
  async connect(
    node: string,
    process: VirtualProcess,
    signal: AbortSignal,
  ): Promise<MessageLink<ControlPlaneMessage, AgentMessage>> {
    const late = new AbortController()
    const unreachable = (why: string) => discoveryError('CONTROL_PLANE_UNREACHABLE', why)
    const cancel = process.clock.schedule(DIAL_TIMEOUT_MS, () => late.abort(unreachable('no answer')))
    try {
      const either = AbortSignal.any([signal, late.signal])
      await this.#network.passHandshake(process, node, CONTROL_PLANE_NODE, either)
    } finally {
      cancel()
    }
    const controlPlane = this.#controlPlane()
    if (!controlPlane) throw unreachable('connection refused')
    const latencyMs = this.#network.link(node, CONTROL_PLANE_NODE).delayMs()
    const pair = createMemoryLinkPair(this.#clock, { latencyMs })
    this.#pairs.set(node, pair)
    controlPlane.acceptAgent(pair.controlPlane, node)
    return endOf(process, pair.agent)
  }

  /** The network between a node and the control plane changed: what is cut for too long is noticed by the pings. */
  networkChanged(node: string): void {
    const pair = this.#pairs.get(node)
    if (!pair) return
    const blocked = (from: string, to: string) => this.#network.link(from, to).blocked
    if (blocked(node, CONTROL_PLANE_NODE)) pair.agent.stall()
    else pair.agent.resume()
    if (blocked(CONTROL_PLANE_NODE, node)) pair.controlPlane.stall()
    else pair.controlPlane.resume()
    if (!this.#network.isCut(node, CONTROL_PLANE_NODE)) return
    this.#clock.schedule(LINK_DEAD_AFTER_MS, () => {
      if (this.#pairs.get(node) === pair && this.#network.isCut(node, CONTROL_PLANE_NODE)) this.cut(node)
    })
  }

  /** Breaks a node's link at once. */
  cut(node: string): void {
    this.#pairs.get(node)?.agent.cut()
    this.#pairs.delete(node)
  }

  cutAll(): void {
    for (const node of [...this.#pairs.keys()]) this.cut(node)
  }
}

/** A link as a process has it: from a dead one nothing comes, and to it nothing goes. */
function endOf<Incoming, Outgoing>(
  process: VirtualProcess,
  link: MessageLink<Incoming, Outgoing>,
): MessageLink<Incoming, Outgoing> {
  return {
    send: (message) => !process.alive || link.send(message),
    start: (handlers) =>
      link.start({
        onMessage: (message, bytes) => process.alive && handlers.onMessage(message, bytes),
        onClose: (reason) => process.alive && handlers.onClose(reason),
        onDrain: () => process.alive && handlers.onDrain?.(),
      }),
    close: (reason) => process.alive && link.close(reason),
  }
}

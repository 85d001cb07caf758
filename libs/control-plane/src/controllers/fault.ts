import type { Fault } from '@ambient-lab/api'
import { LINK_FAULT_TYPE } from '@ambient-lab/xds'
import { type Cluster, sameContent } from '../cluster.ts'
import { durationEndsAtMs, faultEndsAtMs, leaseEndsAtMs } from '../fault-schedule.ts'
import { FAULTS } from '../stored-kinds.ts'
import { type Controller, forEach, itself } from './controller.ts'

export interface FaultControllerComponents {
  readonly cluster: Cluster
  /** Nodes whose agents hold the current form of a resource. */
  readonly programmedNodes: (typeUrl: typeof LINK_FAULT_TYPE, name: string) => readonly string[]
}

/**
 * Starts faults and ends them: when their time is over, or when the lease that keeps them is not renewed. What a fault
 * does is done by agents (links) and by the supervisor of the node's machine (node.kill).
 */
export class FaultController implements Controller, Disposable {
  readonly name = 'fault'
  readonly watches = { [FAULTS]: itself }
  readonly #components: FaultControllerComponents
  readonly #timers = new Map<string, () => void>()
  #disposed = false

  constructor(components: FaultControllerComponents) {
    this.#components = components
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  /** Some agent took over link faults: brings `programmed` up to date. */
  async acknowledged(): Promise<void> {
    const { cluster, programmedNodes } = this.#components
    const active = cluster.list(FAULTS).filter(({ spec, status }) => {
      return status?.phase === 'Active' && spec?.type !== 'node.kill'
    })
    await forEach(
      active.map(({ metadata }) => metadata.name),
      (name) =>
        cluster.updateStatus(FAULTS, name, ({ status }) => ({
          ...status,
          programmed: programmedNodes(LINK_FAULT_TYPE, name),
        })),
    )
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    for (const cancel of this.#timers.values()) cancel()
  }

  async #reconcile(name: string): Promise<void> {
    const { cluster } = this.#components
    this.#timers.get(name)?.()
    this.#timers.delete(name)
    const fault = await cluster.update(FAULTS, name, (current) => {
      const status = nextStatus(current, cluster.clock.now())
      return sameContent(status, current.status) ? current : { ...current, status }
    })
    if (fault?.status?.phase !== 'Active') return
    const endsAtMs = faultEndsAtMs(fault)
    if (endsAtMs === undefined) return
    const waitMs = Math.max(0, endsAtMs - cluster.clock.now())
    this.#timers.set(
      name,
      cluster.clock.schedule(waitMs, () => void this.#end(name), { background: true }),
    )
  }

  /** A store that refuses is asked again: a fault must not outlive its end for want of a write. */
  async #end(name: string): Promise<void> {
    try {
      await this.#reconcile(name)
    } catch {
      if (this.#disposed) return // the next start sees that it is over
      const retry = this.#components.cluster.clock.schedule(1000, () => void this.#end(name), { background: true })
      this.#timers.set(name, retry)
    }
  }
}

/** RFC 3339 with milliseconds: a fault of one second must not lose half of it to rounding. */
function toTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** Pure: the status that a fault has at `nowMs`. Ended stays ended. */
export function nextStatus(fault: Fault, nowMs: number): NonNullable<Fault['status']> {
  const { status } = fault
  if (status?.phase === 'Ended') return status
  const startedAt = status?.startedAt ?? toTime(nowMs)
  const started: Fault = { ...fault, status: { ...status, phase: 'Active', startedAt } }
  const durationEnd = durationEndsAtMs(started)
  const active = {
    ...status,
    phase: 'Active' as const,
    startedAt,
    ...(durationEnd !== undefined && { endsAt: toTime(durationEnd) }),
  }
  if (durationEnd !== undefined && durationEnd <= nowMs)
    return { ...active, phase: 'Ended', reason: 'Expired', programmed: [] }
  const leaseEnd = leaseEndsAtMs(started)
  if (leaseEnd !== undefined && leaseEnd <= nowMs) {
    return { ...active, phase: 'Ended', reason: 'LeaseNotRenewed', programmed: [] }
  }
  return active
}

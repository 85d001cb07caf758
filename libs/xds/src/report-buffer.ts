import { PENDING_EVENTS_MAX } from './limits.ts'
import type { EventReport, Report, WorkloadReport } from './messages.ts'
import type { LoadProgress } from './resources/index.ts'

/** News that waits for the link. States are merged, the latest counts; events are kept in order, up to a bound. */
export class ReportBuffer {
  readonly #workloads = new Map<string, WorkloadReport>()
  readonly #loads = new Map<string, LoadProgress>()
  #events: EventReport[] = []
  #droppedEvents = 0

  add(report: Omit<Report, 'type'>): void {
    for (const workload of report.workloads ?? []) this.#workloads.set(workload.uid, workload)
    for (const load of report.loads ?? []) this.#loads.set(`${load.namespace}/${load.name}`, load)
    this.#events.push(...(report.events ?? []))
    const surplus = this.#events.length - PENDING_EVENTS_MAX
    if (surplus > 0) {
      this.#events = this.#events.slice(surplus)
      this.#droppedEvents += surplus
    }
  }

  /** Events that no report will carry any more. */
  get droppedEvents(): number {
    return this.#droppedEvents
  }

  /** Takes everything out as one report; undefined when there is nothing. */
  take(): Report | undefined {
    if (this.#workloads.size === 0 && this.#loads.size === 0 && this.#events.length === 0) return undefined
    const report: Report = {
      type: 'report',
      ...(this.#workloads.size > 0 && { workloads: [...this.#workloads.values()] }),
      ...(this.#events.length > 0 && { events: this.#events }),
      ...(this.#loads.size > 0 && { loads: [...this.#loads.values()] }),
    }
    this.#workloads.clear()
    this.#loads.clear()
    this.#events = []
    return report
  }
}

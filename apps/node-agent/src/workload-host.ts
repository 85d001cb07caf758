import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import { errorMessage } from '@ambient-lab/std'
import type { Assignment, WorkloadReport } from '@ambient-lab/xds'
import type { HostPort } from './hosting/container.ts'
import { checkAssignment, HostedWorkload, needsRestart } from './hosting/hosted-workload.ts'
import type { HostingComponents, HostingInit } from './hosting/hosting.ts'

interface Components extends HostingComponents {
  readonly onReport: (report: WorkloadReport) => void
  /** The first captured workload of an identity appeared here, or its last one went away. */
  readonly onIdentity: (identity: SpiffeId, used: boolean) => void
}

/** What is wanted for one uid, and what runs for it; changes of one uid happen one after the other. */
interface Slot {
  wanted: Assignment | undefined
  current: HostedWorkload | undefined
  /** Of the lives before the current one. */
  restarts: number
  /** The reconciliation that is under way. */
  working: Promise<void> | undefined
}

/** The kubelet of a simulated node: makes what runs here equal to the assignments. */
export class WorkloadHost implements AsyncDisposable {
  readonly #components: Components
  readonly #init: HostingInit
  readonly #slots = new Map<string, Slot>()
  readonly #identities = new Map<string, number>()
  readonly #captureWaiters = new Map<string, Set<(capture: HostPort | undefined) => void>>()

  constructor(components: Components, init: HostingInit) {
    this.#components = components
    this.#init = init
  }

  /** @returns the assignments that no node could run, each with its reason */
  apply(
    upserts: readonly Assignment[],
    removed: readonly string[],
  ): { readonly name: string; readonly reason: string }[] {
    const refused: { name: string; reason: string }[] = []
    for (const uid of removed) this.#want(uid, undefined)
    for (const assignment of upserts) {
      try {
        checkAssignment(assignment)
        this.#want(assignment.uid, assignment)
      } catch (error) {
        refused.push({ name: assignment.uid, reason: errorMessage(error) })
      }
    }
    return refused
  }

  /** Where the workload's way out is, once it has one; undefined when it is not of this node or goes away first. */
  captureOf(uid: string): Promise<HostPort | undefined> {
    const capture = this.#slots.get(uid)?.current?.capture
    if (capture || !this.#slots.has(uid)) return Promise.resolve(capture)
    return new Promise((resolve) => {
      const waiters = this.#captureWaiters.get(uid) ?? new Set()
      this.#captureWaiters.set(uid, waiters.add(resolve))
    })
  }

  /** The last lines of a workload, or of one of its containers; undefined for one that is not here. */
  log(uid: string, linesMax: number, container?: string): Promise<readonly string[]> | undefined {
    return this.#slots.get(uid)?.current?.log(linesMax, container)
  }

  get workloads(): HostedWorkload[] {
    return [...this.#slots.values()].flatMap(({ current }) => current ?? [])
  }

  /** Tells the state of every workload with this identity again: its certificate changed. */
  certificateChanged(identity: SpiffeId): void {
    const id = formatSpiffeId(identity)
    for (const slot of this.#slots.values()) {
      if (slot.current && formatSpiffeId(slot.current.identity) === id) this.#report(slot, slot.current)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const slots = [...this.#slots.keys()].map((uid) => this.#want(uid, undefined))
    await Promise.all(slots)
  }

  #want(uid: string, wanted: Assignment | undefined): Promise<void> {
    const slot = this.#slots.get(uid) ?? { wanted: undefined, current: undefined, restarts: 0, working: undefined }
    this.#slots.set(uid, slot)
    slot.wanted = wanted
    slot.working ??= this.#reconcile(uid, slot)
    return slot.working
  }

  /** Until what runs is what is wanted; the wish may change while a stop or a start takes its time. */
  async #reconcile(uid: string, slot: Slot): Promise<void> {
    await undefined // so that it never ends before #want has noted that it runs
    while (slot.wanted !== slot.current?.assignment) {
      const { current, wanted } = slot
      if (current && wanted && !needsRestart(current.assignment, wanted)) this.#update(current, wanted)
      else if (current) await this.#stop(slot, current)
      else if (wanted) await this.#start(slot, wanted)
    }
    slot.working = undefined
    if (slot.current) return
    this.#slots.delete(uid)
    this.#tellCapture(uid, undefined)
  }

  async #start(slot: Slot, assignment: Assignment): Promise<void> {
    const { restarts } = slot
    const workload: HostedWorkload = new HostedWorkload(
      assignment,
      this.#components,
      { ...this.#init, restarts },
      () => {
        this.#report(slot, workload)
        // That of a sidecar's pod comes when the sidecar does.
        if (workload.capture) this.#tellCapture(assignment.uid, workload.capture)
      },
    )
    slot.current = workload
    if (assignment.captured) this.#count(workload.identity, 1)
    this.#report(slot, workload)
    await workload.start()
    this.#report(slot, workload)
    if (!assignment.sidecar) this.#tellCapture(assignment.uid, workload.capture)
  }

  #update(workload: HostedWorkload, assignment: Assignment): void {
    const was = workload.assignment.captured
    if (!was && assignment.captured) this.#count(workload.identity, 1)
    workload.update(assignment)
    if (was && !assignment.captured) this.#count(workload.identity, -1)
  }

  async #stop(slot: Slot, workload: HostedWorkload): Promise<void> {
    this.#tellCapture(workload.assignment.uid, undefined)
    const { generation } = workload.assignment
    await workload.stop()
    if (workload.assignment.captured) this.#count(workload.identity, -1)
    slot.current = undefined
    // A restart that somebody asked for counts as one; a new spec under the old name is a new pod.
    slot.restarts = slot.wanted && slot.wanted.generation !== generation ? workload.restarts + 1 : 0
  }

  #count(identity: SpiffeId, change: 1 | -1): void {
    const key = formatSpiffeId(identity)
    const before = this.#identities.get(key) ?? 0
    const after = before + change
    if (after === 0) this.#identities.delete(key)
    else this.#identities.set(key, after)
    if (before === 0 || after === 0) this.#components.onIdentity(identity, after > 0)
  }

  #tellCapture(uid: string, capture: HostPort | undefined): void {
    for (const resolve of this.#captureWaiters.get(uid) ?? []) resolve(capture)
    this.#captureWaiters.delete(uid)
  }

  /** Nothing is said any more of a workload that is on its way out: its pod is gone for everybody else. */
  #report(slot: Slot, workload: HostedWorkload): void {
    if (slot.wanted && slot.current === workload) this.#components.onReport(workload.report)
  }
}

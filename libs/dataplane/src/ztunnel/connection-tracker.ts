import { type ConnectionFacts, evaluate } from '@ambient-lab/policy'
import type { CancelTimer, Clock, CodedError } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { Copy } from '../stream/copy.ts'
import { type CopyTimes, limitCopy } from '../stream/limit-copy.ts'
import type { ConnectionRecord } from './connection-record.ts'

/** A connection that stands. */
export interface StandingConnection {
  /** The workload of this node that it belongs to. */
  readonly uid: string
  readonly downstream: ByteStream
  readonly upstream: ByteStream
  /** Undefined for what the mesh does not tell about: pods that nothing captures, a pod that calls itself. */
  readonly record: ConnectionRecord | undefined
  /** What policy may ask, for those that policy guards. */
  readonly facts: ConnectionFacts | undefined
  /** How long it may last, where an L4TrafficPolicy says so. */
  readonly times?: CopyTimes
  /** Called once, when the last byte has moved. */
  readonly onEnd?: () => void
}

interface Tracked extends StandingConnection {
  readonly copy: Copy
}

/** Connections whose bytes move: closes those that a new policy no longer allows, and waits for the others to end. */
export class ConnectionTracker {
  readonly #clock: Clock
  readonly #byUid = new Map<string, Set<Tracked>>()
  readonly #idleWaiters = new Set<() => void>()

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** Moves the bytes until both ends are done, then closes the record. */
  move(connection: StandingConnection): void {
    const copy = new Copy(connection.downstream, connection.upstream)
    const tracked: Tracked = { ...connection, copy }
    if (connection.record) connection.record.counts = copy
    this.#of(connection.uid).add(tracked)
    const cancelTimers =
      connection.times &&
      limitCopy(this.#clock, copy, connection.times, (code, text) => this.#cut(tracked, dataplaneError(code, text)))
    void copy.result.then(({ error }) => {
      cancelTimers?.()
      this.#forget(tracked)
      connection.record?.close(error)
      connection.onEnd?.()
      for (const check of [...this.#idleWaiters]) check()
    })
  }

  /** How many connections of one workload, or of all, are moving. */
  count(uid?: string): number {
    if (uid !== undefined) return this.#byUid.get(uid)?.size ?? 0
    let total = 0
    for (const connections of this.#byUid.values()) total += connections.size
    return total
  }

  /**
   * Policies changed: asks about every connection again and cuts those that are not allowed now. What a workload that
   * left the snapshot still drains is cut as well: nobody can say any more which policies are its own (ambient.md §4.3).
   */
  reevaluateAll(state: ProxyState): void {
    for (const tracked of this.#some(undefined)) this.#judge(tracked, state, state.workload(tracked.uid))
  }

  /** One workload changed. That it left the snapshot ends none of its connections: its own drain does. */
  reevaluate(state: ProxyState, uid: string): void {
    const workload = state.workload(uid)
    if (!workload) return
    for (const tracked of this.#some(uid)) this.#judge(tracked, state, workload)
  }

  /** Waits until nothing of the workload (of any, without one) moves; what still does at the deadline is cut. */
  async drain(deadlineMs: number, uid?: string): Promise<void> {
    if (this.count(uid) === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const check = () => {
      if (this.count(uid) === 0) resolve()
    }
    this.#idleWaiters.add(check)
    const cancelDeadline: CancelTimer = this.#clock.schedule(deadlineMs, () => {
      this.cutAll(dataplaneError('DRAIN_TIMEOUT', 'connection failed to drain within the timeout'), uid)
    })
    await promise
    cancelDeadline()
    this.#idleWaiters.delete(check)
  }

  cutAll(reason: CodedError, uid?: string): void {
    for (const tracked of this.#some(uid)) this.#cut(tracked, reason)
  }

  #judge(tracked: Tracked, state: ProxyState, workload: Workload | undefined): void {
    if (!tracked.facts) return
    if (workload && evaluate(tracked.facts, state.policies.applicableTo(workload)).allowed) return
    this.#cut(tracked, dataplaneError('POLICY_CHANGED', 'connection closed due to policy change'))
  }

  #cut(tracked: Tracked, reason: CodedError): void {
    tracked.record?.blame(reason)
    tracked.copy.abort(reason)
  }

  #some(uid: string | undefined): Tracked[] {
    if (uid !== undefined) return [...(this.#byUid.get(uid) ?? [])]
    return [...this.#byUid.values()].flatMap((connections) => [...connections])
  }

  #of(uid: string): Set<Tracked> {
    const connections = this.#byUid.get(uid) ?? new Set()
    this.#byUid.set(uid, connections)
    return connections
  }

  #forget(tracked: Tracked): void {
    const connections = this.#byUid.get(tracked.uid)
    connections?.delete(tracked)
    if (connections?.size === 0) this.#byUid.delete(tracked.uid)
  }
}

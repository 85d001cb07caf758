/**
 * An impairment of the links between nodes, injected in user space where a tunnel is dialled or accepted.
 * Resource name: the Fault's name.
 */
export interface LinkFault {
  readonly name: string
  readonly type: 'delay' | 'partition'
  /** Node names. The fault holds for bytes from any of `from` to any of `to`; both ways unless `oneway`. */
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly oneway: boolean
  /** Of `delay`: added to each message. */
  readonly delayMs: number
  /** Of `delay`: uniform in ± this, never reordering one connection. */
  readonly jitterMs: number
  /** Wall time, ms since the epoch, at which an agent drops the fault unless its lease is renewed; absent = forever. */
  readonly endsAtMs?: number
  readonly seed: number
}

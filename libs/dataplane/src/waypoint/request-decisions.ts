import type { RequestFacts } from '@ambient-lab/policy'
import { type Clock, Ring } from '@ambient-lab/std'
import type { HttpStream } from './http-stream.ts'
import { KeptRequest } from './kept-request.ts'
import { OTHER_REFUSALS_KEPT, REQUEST_DECISION_INTERVAL_MS, REQUEST_DECISIONS_KEPT } from './limits.ts'
import type { LocalReply } from './local-replies.ts'

/** One question that was put to the policies of a filter chain, with all that the answer depended on besides them. */
export interface RequestDecision {
  readonly atMs: number
  /** Resource name of the filter chain. */
  readonly chain: string
  readonly facts: RequestFacts
}

/**
 * Requests of late, so that people can ask about them, and other policies be tried on them. Those that were refused are
 * kept as long as there is room, of the others a sample: a copy of the head of every request would cost more than the
 * decision.
 */
export class RequestDecisions {
  readonly #clock: Clock
  /** By DENY and ALLOW policies. */
  readonly #refused = new Ring<KeptRequest>(REQUEST_DECISIONS_KEPT)
  readonly #allowed = new Ring<KeptRequest>(REQUEST_DECISIONS_KEPT)
  /** By somebody else: a token, an authorizer, a route, a limit, the way to the backend. */
  readonly #others = new Ring<KeptRequest>(OTHER_REFUSALS_KEPT)
  #sampledAtMs = Number.NEGATIVE_INFINITY
  #lastSerial = 0

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** What DENY and ALLOW policies said. */
  add(chain: string, stream: HttpStream, allowed: boolean): void {
    const atMs = stream.record.startedAtMs
    // A wall clock that was set back does not end the sample.
    const sinceMs = Math.abs(atMs - this.#sampledAtMs)
    if (allowed && sinceMs < REQUEST_DECISION_INTERVAL_MS) return
    if (allowed) this.#sampledAtMs = atMs
    const ring = allowed ? this.#allowed : this.#refused
    ring.push(this.#keep(chain, stream))
  }

  /** The proxy refuses it, for whatever reason. One that nobody could name again is not kept. */
  refused(chain: string, stream: HttpStream, reply: LocalReply): void {
    if (stream.record.requestId === '') return
    const known = stream.kept
    const kept = known ?? this.#keep(chain, stream)
    kept.refused(reply)
    if (!known) this.#others.push(kept)
  }

  /** What policies decided in the last `sinceMs`, oldest first. */
  since(sinceMs: number): RequestDecision[] {
    const fromMs = this.#clock.now() - sinceMs
    return [...this.#refused.toArray(), ...this.#allowed.toArray()].filter(({ atMs }) => atMs >= fromMs).sort(byTime)
  }

  /** All that are kept, oldest first. @param id `x-request-id`; undefined: whatever it is */
  requests(id: string | undefined): KeptRequest[] {
    const all = [...this.#refused.toArray(), ...this.#others.toArray(), ...this.#allowed.toArray()]
    return (id === undefined ? all : all.filter((kept) => kept.id === id)).sort(byTime)
  }

  /** @returns undefined when it is forgotten, or never was */
  find(serial: number): KeptRequest | undefined {
    return this.requests(undefined).find((kept) => kept.serial === serial)
  }

  #keep(chain: string, stream: HttpStream): KeptRequest {
    this.#lastSerial += 1
    const kept = new KeptRequest(this.#lastSerial, chain, stream)
    stream.kept = kept
    return kept
  }
}

function byTime(a: RequestDecision, b: RequestDecision): number {
  return a.atMs - b.atMs
}

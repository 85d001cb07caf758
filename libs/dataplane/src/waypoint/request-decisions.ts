import { type JwtPayload, RequestFacts, type RequestView } from '@ambient-lab/policy'
import { type Clock, Ring } from '@ambient-lab/std'
import type { HeaderMap } from '../http1/index.ts'
import type { HttpStream } from './http-stream.ts'
import { REQUEST_DECISION_INTERVAL_MS, REQUEST_DECISIONS_KEPT } from './limits.ts'

/** One question that was put to the policies of a filter chain, with all that the answer depended on besides them. */
export interface RequestDecision {
  readonly atMs: number
  /** Resource name of the filter chain. */
  readonly chain: string
  readonly facts: RequestFacts
}

/**
 * Decisions about requests, so that other policies can be tried on them. Those that refused are kept as long as there is
 * room, of the others a sample: a copy of the head of every request would cost more than the decision.
 */
export class RequestDecisions {
  readonly #clock: Clock
  readonly #refused = new Ring<RequestDecision>(REQUEST_DECISIONS_KEPT)
  readonly #allowed = new Ring<RequestDecision>(REQUEST_DECISIONS_KEPT)
  #sampledAtMs = Number.NEGATIVE_INFINITY

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  add(chain: string, stream: HttpStream, allowed: boolean): void {
    const atMs = this.#clock.now()
    // A wall clock that was set back does not end the sample.
    const sinceMs = Math.abs(atMs - this.#sampledAtMs)
    if (allowed && sinceMs < REQUEST_DECISION_INTERVAL_MS) return
    if (allowed) this.#sampledAtMs = atMs
    const facts = new RequestFacts(stream.peer.facts, new RequestCopy(stream))
    const ring = allowed ? this.#allowed : this.#refused
    ring.push({ atMs, chain, facts })
  }

  /** Those of the last `sinceMs`, oldest first. */
  since(sinceMs: number): RequestDecision[] {
    const fromMs = this.#clock.now() - sinceMs
    return [...this.#refused.toArray(), ...this.#allowed.toArray()]
      .filter(({ atMs }) => atMs >= fromMs)
      .sort((a, b) => a.atMs - b.atMs)
  }
}

/** What policies saw: filters behind them change the request. */
class RequestCopy implements RequestView {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly jwt: JwtPayload | undefined
  readonly #headers: HeaderMap

  constructor({ request, jwt }: HttpStream) {
    this.method = request.method
    this.authority = request.authority
    this.path = request.path
    this.jwt = jwt
    this.#headers = request.headers.clone()
  }

  header(name: string): string | undefined {
    return this.#headers.getJoined(name)
  }
}

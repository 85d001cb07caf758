import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import type { Clock, CodedError } from '@ambient-lab/std'
import type { ConnectionView, PeerView, Service, Workload } from '@ambient-lab/xds'
import { formatAddress, type SocketAddress } from '../address.ts'
import type { DataplaneErrorCode } from '../errors.ts'
import type { ConnectionRecorder } from './connection-recorder.ts'
import { errorCodeOf, OUTCOMES, type ResponseFlag } from './response-flags.ts'
import type { TrafficSeries } from './traffic-series.ts'
import { factsOf } from './workload-facts.ts'

/** One connection as one ztunnel sees it, known when its plan is. */
export interface ConnectionOpening {
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: 'HBONE' | 'TCP'
  readonly source: Workload | undefined
  readonly sourceAddress: SocketAddress
  /** Proven by a certificate; undefined on plain connections. */
  readonly sourceIdentity: SpiffeId | undefined
  readonly destination: Workload | undefined
  /** Of the pod, or as dialled when no pod was found. */
  readonly destinationAddress: SocketAddress
  readonly destinationIdentity: SpiffeId | undefined
  /** Where the tunnel leads; undefined on plain connections. */
  readonly hboneAddress: SocketAddress | undefined
  readonly service: Service | undefined
  readonly traceId: string
  /** W3C, as it was sent or came; its span is the source's. Empty where there is none. */
  readonly traceparent: string
}

/** Live counts of the bytes that moved. */
export interface ByteCounts {
  /** From downstream to upstream: on either side, from the source to the destination. */
  readonly bytesSent: number
  readonly bytesReceived: number
}

const NO_BYTES: ByteCounts = { bytesSent: 0, bytesReceived: 0 }

/** When causes race, the one that names the truth: who was first to know is not who was first to be heard. */
const PRECEDENCE: readonly (readonly DataplaneErrorCode[])[] = [
  ['CERTIFICATE_REVOKED'],
  ['POLICY_CHANGED'],
  ['DRAINED', 'DRAIN_TIMEOUT'],
  ['CONNECT_TIMEOUT', 'IDLE_TIMEOUT', 'DURATION_EXCEEDED'],
]

/** One per connection: opened when the plan is known, closed exactly once. */
export class ConnectionRecord {
  /** Unique in the lab. */
  readonly id: string
  readonly opening: ConnectionOpening
  readonly series: TrafficSeries
  /** Set while bytes move. */
  counts: ByteCounts = NO_BYTES
  /** What the metrics have heard of `counts`. */
  reportedSent = 0
  reportedReceived = 0
  readonly #recorder: ConnectionRecorder
  readonly #clock: Clock
  /** Wall clock. */
  readonly openedAtMs: number
  readonly #startedMs: number
  #durationMs = 0
  #state: ConnectionView['state'] = 'open'
  #flag: ResponseFlag = '-'
  #error = ''
  /** Why we cut the connection ourselves, if we did. */
  #cause: CodedError | undefined

  constructor(init: {
    readonly recorder: ConnectionRecorder
    readonly clock: Clock
    readonly id: string
    readonly opening: ConnectionOpening
    readonly series: TrafficSeries
  }) {
    this.id = init.id
    this.opening = init.opening
    this.series = init.series
    this.#recorder = init.recorder
    this.#clock = init.clock
    this.openedAtMs = init.clock.now()
    this.#startedMs = init.clock.monotonic()
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get flag(): ResponseFlag {
    return this.#flag
  }

  get error(): string {
    return this.#error
  }

  get durationMs(): number {
    return this.#durationMs
  }

  get state(): ConnectionView['state'] {
    return this.#state
  }

  /** Notes why the connection is about to be cut; the weightiest cause stays. */
  blame(cause: CodedError): void {
    if (!this.#cause || rankOf(cause) < rankOf(this.#cause)) this.#cause = cause
  }

  /** The connection stood and is over. @param error absent when both directions ended in order */
  close(error?: CodedError): void {
    this.#end('closed', this.#weightiest(error))
  }

  /** The connection never stood. */
  fail(error: CodedError): void {
    this.#end('failed', this.#weightiest(error))
  }

  view(node: string): ConnectionView {
    const { opening } = this
    return {
      id: this.id,
      traceId: opening.traceId,
      node,
      direction: opening.direction,
      protocol: opening.protocol,
      source: peerView(opening.sourceAddress, opening.source, opening.sourceIdentity),
      destination: {
        ...peerView(opening.destinationAddress, opening.destination, opening.destinationIdentity),
        hboneAddress: opening.hboneAddress ? formatAddress(opening.hboneAddress) : '',
        service: opening.service?.hostname ?? '',
      },
      state: this.#state,
      responseFlags: this.#flag,
      error: this.#error,
      openedAtMs: this.openedAtMs,
      durationMs: this.isOpen ? this.#clock.monotonic() - this.#startedMs : this.#durationMs,
      bytesSent: this.counts.bytesSent,
      bytesReceived: this.counts.bytesReceived,
    }
  }

  #weightiest(error: CodedError | undefined): CodedError | undefined {
    const cause = this.#cause
    return cause && (!error || rankOf(cause) <= rankOf(error)) ? cause : error
  }

  #end(state: 'closed' | 'failed', error: CodedError | undefined): void {
    if (!this.isOpen) return
    this.#state = state
    this.#durationMs = this.#clock.monotonic() - this.#startedMs
    if (error) {
      this.#flag = flagOf(error, this.opening.protocol)
      this.#error = errorText(error, this.opening.protocol)
    }
    // The copy's streams are done with; a record in the ring must not keep them alive.
    this.counts = { bytesSent: this.counts.bytesSent, bytesReceived: this.counts.bytesReceived }
    this.#recorder.onEnd(this)
  }
}

/** ztunnel's words for what it did not say itself. */
export function errorText(error: CodedError, protocol: 'HBONE' | 'TCP'): string {
  // A tunnel that timed out has its own words, which name the NetworkPolicy that may be to blame.
  const isPlainTimeout = error.code === 'CONNECT_TIMEOUT' && protocol === 'TCP'
  const isIo = error.code === 'CONNECT_FAILED' || error.code === 'CONNECT_REFUSED' || isPlainTimeout
  return isIo ? `io error: ${error.message}` : error.message
}

/** NETWORK_POLICY blames port 15008, which a plain connection does not use. */
function flagOf(error: CodedError, protocol: 'HBONE' | 'TCP'): ResponseFlag {
  const { flag } = OUTCOMES[errorCodeOf(error)]
  return flag === 'NETWORK_POLICY' && protocol === 'TCP' ? 'CONNECT' : flag
}

function rankOf(error: CodedError): number {
  const code = errorCodeOf(error)
  const rank = PRECEDENCE.findIndex((codes) => codes.includes(code))
  return rank < 0 ? PRECEDENCE.length : rank
}

function peerView(address: SocketAddress, workload: Workload | undefined, identity: SpiffeId | undefined): PeerView {
  return {
    address: formatAddress(address),
    workload: workload?.name ?? '',
    namespace: workload?.namespace ?? '',
    identity: identityText(workload, identity),
  }
}

/** From the certificate; the workload's own text where they agree, which is nearly always, to save the formatting. */
export function identityText(workload: Workload | undefined, identity: SpiffeId | undefined): string {
  if (!identity) return ''
  const facts = workload && factsOf(workload)
  return facts?.id === identity ? facts.identity : formatSpiffeId(identity)
}

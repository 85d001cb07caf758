import { formatSpiffeId } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import type { CodedError } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import { formatAddress, parseAuthority, type SocketAddress } from '../address.ts'
import { dataplaneError } from '../errors.ts'
import { CONNECT_TIMEOUT_MS, PORT_HBONE } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { IncomingConnect, TunnelSession } from '../tunnel/transport.ts'
import { type ConnectionOpening, type ConnectionRecord, errorText } from './connection-record.ts'
import type { ConnectionRecorder } from './connection-recorder.ts'
import type { ConnectionTracker } from './connection-tracker.ts'
import { parseForwarded, traceIdOf } from './forwarded.ts'
import type { InboundGuard } from './inbound-guard.ts'
import { type InboundPlan, planInbound } from './inbound-plan.ts'
import type { LocalWorkload } from './local-workload.ts'
import type { LocalWorkloads } from './local-workloads.ts'
import { asCodedError } from './outbound.ts'
import { encodeProxyHeader, TLV_SOURCE_IDENTITY } from './proxy-protocol.ts'
import { errorCodeOf, OUTCOMES } from './response-flags.ts'
import { SourceCheck } from './source-check.ts'
import { factsOf } from './workload-facts.ts'

export interface InboundComponents {
  readonly state: ProxyStateHolder
  readonly locals: LocalWorkloads
  readonly network: PlainNetwork
  readonly guard: InboundGuard
  readonly recorder: ConnectionRecorder
  readonly tracker: ConnectionTracker
}

/** One CONNECT on its way: what is known about it before it stands. */
interface Arrival {
  readonly incoming: IncomingConnect
  readonly local: LocalWorkload
  readonly workload: Workload
  readonly plan: InboundPlan
  readonly facts: ConnectionFacts
  readonly record: ConnectionRecord
}

const NOWHERE: SocketAddress = { address: '0.0.0.0', port: 0 }

/** The destination's half of a connection: tunnel stream → planned → authorized → dialled → 200 → moved. */
export class Inbound {
  readonly #components: InboundComponents
  readonly #sources: SourceCheck

  constructor(components: InboundComponents) {
    this.#components = components
    this.#sources = new SourceCheck(components)
  }

  /** Answers one CONNECT, whatever the answer is; never throws. */
  handle(session: TunnelSession, incoming: IncomingConnect): void {
    const { state, locals, guard, recorder } = this.#components
    const local = locals.behind(session)
    const workload = local && state.current.workload(local.uid)
    const opening = this.#openingOf(session, incoming, workload)
    const turnAway = (error: CodedError) => {
      recorder.refuse(opening, error)
      incoming.reject(OUTCOMES[errorCodeOf(error)].connectStatus, error.message)
    }
    if (!local || !workload) return turnAway(destinationUnknown(session.serverName))
    const forged = this.#checkSource(session, opening)
    if (forged) return turnAway(forged)
    const plan = planInbound(state.current, workload, incoming.request.authority)
    if (plan.kind === 'rejection') return turnAway(dataplaneError(plan.code, plan.reason))
    const facts = new ConnectionFacts({
      sourceIp: opening.sourceAddress.address,
      destinationIp: plan.upstream.address,
      destinationPort: plan.upstream.port,
      identity: session.remote,
    })
    const denial = guard.check(workload, facts)
    const planned = { ...opening, service: plan.service ?? opening.service }
    if (denial) {
      recorder.refuse(planned, denial)
      return incoming.reject(401, denial.message)
    }
    this.#dial({ incoming, local, workload, plan, facts, record: recorder.open(planned) })
  }

  #dial(arrival: Arrival): void {
    const { incoming, local, plan } = arrival
    const target = local.dialTarget(plan.upstream.port)
    if (!target) {
      return this.#fail(
        arrival,
        dataplaneError('CONNECT_REFUSED', `connection refused: ${formatAddress(plan.upstream)}`),
      )
    }
    this.#components.network.dial(target, { timeoutMs: CONNECT_TIMEOUT_MS, signal: incoming.signal }).then(
      (upstream) => this.#stand(arrival, upstream),
      (error) => this.#onDialError(arrival, error),
    )
  }

  #onDialError(arrival: Arrival, error: unknown): void {
    // Aborting has no other cause than the peer's loss of interest.
    if (arrival.incoming.signal.aborted) return this.#fail(arrival, peerGone())
    this.#fail(arrival, asCodedError(error))
  }

  #stand(arrival: Arrival, upstream: ByteStream): void {
    const { incoming, local, workload, plan, facts, record } = arrival
    const obstacle = incoming.signal.aborted ? peerGone() : this.#components.guard.recheck(local.uid, facts)
    if (obstacle) {
      upstream.reset(obstacle)
      return this.#fail(arrival, obstacle)
    }
    if (plan.tunnelTarget) upstream.write(tunnelHeader(record.opening, plan.tunnelTarget))
    const downstream = incoming.accept(factsOf(workload).baggage)
    this.#components.tracker.move({ uid: local.uid, downstream, upstream, record, facts })
  }

  #fail(arrival: Arrival, error: CodedError): void {
    arrival.record.fail(error)
    arrival.incoming.reject(OUTCOMES[errorCodeOf(error)].connectStatus, errorText(error, 'TCP'))
  }

  #checkSource(session: TunnelSession, { source, sourceAddress }: ConnectionOpening): CodedError | undefined {
    const refusal = this.#sources.refusalOf(source, sourceAddress.address, session.remote)
    return refusal === undefined ? undefined : dataplaneError('SOURCE_MISMATCH', refusal)
  }

  #openingOf(session: TunnelSession, incoming: IncomingConnect, workload: Workload | undefined): ConnectionOpening {
    const state = this.#components.state.current
    const { authority, forwarded, traceparent, originNetwork } = incoming.request
    const from = parseForwarded(forwarded)
    const requested = parseAuthority(authority)
    const network = originNetwork ?? workload?.network ?? ''
    const source = from && state.workloadByAddress(network, from.source.address)
    return {
      direction: 'inbound',
      protocol: 'HBONE',
      source,
      sourceAddress: from?.source ?? NOWHERE,
      sourceIdentity: session.remote,
      destination: workload,
      destinationAddress: requested ? { address: requested.host, port: requested.port } : NOWHERE,
      destinationIdentity: workload && factsOf(workload).id,
      hboneAddress: { address: workload?.addresses[0] ?? '', port: PORT_HBONE },
      service: from?.host === undefined ? undefined : state.serviceByHostname(from.host, workload?.namespace),
      traceId: traceIdOf(traceparent),
      traceparent,
    }
  }
}

function tunnelHeader(opening: ConnectionOpening, target: SocketAddress): Uint8Array {
  const identity = opening.sourceIdentity
  const text = identity ? formatSpiffeId(identity) : ''
  return encodeProxyHeader(opening.sourceAddress, target, new Map([[TLV_SOURCE_IDENTITY, Buffer.from(text)]]))
}

function destinationUnknown(serverName: string): CodedError {
  return dataplaneError('DESTINATION_UNKNOWN', `unknown destination: ${serverName}`)
}

function peerGone(): CodedError {
  return dataplaneError('DOWNSTREAM_DISCONNECTED', 'client disconnected before the connection stood', {
    origin: 'downstream',
  })
}

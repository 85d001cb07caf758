import { ConnectionFacts } from '@ambient-lab/policy'
import type { Clock, CodedError } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import { dataplaneError } from '../errors.ts'
import { CONNECT_TIMEOUT_MS, PORT_HBONE } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { ConnectionOpening, ConnectionRecord } from './connection-record.ts'
import type { ConnectionRecorder } from './connection-recorder.ts'
import type { ConnectionTracker } from './connection-tracker.ts'
import type { InboundGuard } from './inbound-guard.ts'
import type { LocalWorkload } from './local-workload.ts'
import type { LocalWorkloads } from './local-workloads.ts'
import { asCodedError } from './outbound.ts'
import { ProxyHeaderReader } from './proxy-header-reader.ts'
import type { ProxyHeader } from './proxy-protocol.ts'

export interface PassthroughComponents {
  readonly clock: Clock
  readonly state: ProxyStateHolder
  readonly locals: LocalWorkloads
  readonly network: PlainNetwork
  readonly guard: InboundGuard
  readonly recorder: ConnectionRecorder
  readonly tracker: ConnectionTracker
  readonly signal: AbortSignal
  /** Takes what leads to the HBONE port of a captured pod, as a gateway of its network hands it over. */
  readonly onTunnel: (stream: ByteStream, local: LocalWorkload) => void
}

/**
 * Plain connections that arrive on the node's underlay, each opened by a PROXY protocol header that stands for the IP
 * header of a real network. A captured pod's policies apply, with no identity; other pods get the bytes as they are, and so do those that have only
 * what they send captured.
 * The client's connection stands before we decide, as with real transparent capture: a refusal is a reset.
 */
export class InboundPassthrough {
  readonly #components: PassthroughComponents

  constructor(components: PassthroughComponents) {
    this.#components = components
  }

  handle(stream: ByteStream): void {
    new ProxyHeaderReader(stream, this.#components.clock, (header, downstream) => this.#onHeader(header, downstream))
  }

  #onHeader(header: ProxyHeader, downstream: ByteStream): void {
    const { locals, state, guard, recorder } = this.#components
    const { address, port } = header.destination
    const local = locals.byAddress(address)
    if (!local) return downstream.reset(dataplaneError('DESTINATION_UNKNOWN', `no pod here has address ${address}`))
    // Its address has news of its own: who comes here has not heard them yet, or would pass by what guards the pod.
    if (local.hasSidecar)
      return downstream.reset(dataplaneError('CONNECT_REFUSED', `the sidecar of ${address} is elsewhere`))
    // Whoever ends the tunnel judges it: by who called, which only it gets to see.
    if (local.captured && port === PORT_HBONE) return this.#components.onTunnel(downstream, local)
    const workload = state.current.workload(local.uid)
    if (!local.captured || local.bypassesInboundCapture)
      return this.#dial(header, local, downstream, undefined, undefined)
    if (!workload) return downstream.reset(dataplaneError('SOURCE_UNKNOWN', `workload ${local.uid} is not known yet`))
    const opening = this.#openingOf(header, workload)
    const facts = new ConnectionFacts({
      sourceIp: header.source.address,
      destinationIp: address,
      destinationPort: port,
      identity: undefined,
    })
    const denial = guard.check(workload, facts)
    if (denial) {
      recorder.refuse(opening, denial)
      return downstream.reset(denial)
    }
    this.#dial(header, local, downstream, recorder.open(opening), facts)
  }

  #dial(
    header: ProxyHeader,
    local: LocalWorkload,
    downstream: ByteStream,
    record: ConnectionRecord | undefined,
    facts: ConnectionFacts | undefined,
  ): void {
    const { network, tracker, guard, signal } = this.#components
    const fail = (error: CodedError) => {
      record?.fail(error)
      downstream.reset(error)
    }
    const target = local.dialTarget(header.destination.port)
    if (!target) {
      return fail(dataplaneError('CONNECT_REFUSED', `connection refused: ${formatAddress(header.destination)}`))
    }
    network.dial(target, { timeoutMs: CONNECT_TIMEOUT_MS, signal }).then(
      (upstream) => {
        const denial = facts && guard.recheck(local.uid, facts)
        if (!denial) return tracker.move({ uid: local.uid, downstream, upstream, record, facts })
        upstream.reset(denial)
        fail(denial)
      },
      (error) => fail(asCodedError(error)),
    )
  }

  #openingOf({ source, destination }: ProxyHeader, workload: Workload): ConnectionOpening {
    return {
      direction: 'inbound',
      protocol: 'TCP',
      source: this.#components.state.current.workloadByAddress(workload.network, source.address),
      sourceAddress: source,
      sourceIdentity: undefined,
      destination: workload,
      destinationAddress: destination,
      destinationIdentity: undefined,
      hboneAddress: undefined,
      service: undefined,
      traceId: '',
      traceparent: '',
    }
  }
}

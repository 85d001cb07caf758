import { ConnectionFacts } from '@ambient-lab/policy'
import type { Clock, CodedError, Random } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import { CONNECT_TIMEOUT_MS } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { Copy } from '../stream/copy.ts'
import type { InboundConnect } from '../tunnel/tunnel-server.ts'
import { parseForwarded } from '../ztunnel/forwarded.ts'
import { asCodedError } from '../ztunnel/outbound.ts'
import { encodeProxyHeader } from '../ztunnel/proxy-protocol.ts'
import { errorCodeOf, OUTCOMES } from '../ztunnel/response-flags.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { type EastWestPlan, planEastWest } from './east-west-plan.ts'
import type { Held, Listener } from './listener.ts'
import type { OwnWorkload } from './own-workload.ts'
import { RequestRecord } from './request-record.ts'
import type { RequestRecorder } from './request-recorder.ts'

export interface EastWestComponents {
  readonly clock: Clock
  readonly random: Random
  readonly state: ProxyStateHolder
  readonly own: OwnWorkload
  readonly network: PlainNetwork
  readonly recorder: RequestRecorder
  /** Keeps what stands for a drain. */
  readonly listener: Pick<Listener, 'hold' | 'release'>
}

/**
 * The gateway of a network: ends the outer tunnel of double HBONE and passes what is inside on as it is, to a pod of
 * its own network. Who calls, and whether it may, is inside, and for that pod alone to see.
 */
export class EastWest {
  readonly #components: EastWestComponents

  constructor(components: EastWestComponents) {
    this.#components = components
  }

  /** Answers one CONNECT; never throws. */
  handle(incoming: InboundConnect): void {
    const { state, own, random } = this.#components
    if (!own.current) return incoming.reject(503, `unknown destination: ${own.uid}`)
    const record = this.#recordOf(incoming)
    const { authority, sentBy } = incoming.request
    const plan = planEastWest(state.current, own.current, authority, random, sentBy)
    if (plan.kind === 'rejection') return this.#refuse(incoming, record, dataplaneError(plan.code, plan.reason))
    record.cluster = `outbound|${incoming.destination.port}||${plan.service.hostname}`
    this.#dial(incoming, plan).then(
      (upstream) => this.#stand(incoming, own.current!, upstream, record),
      (error) => this.#refuse(incoming, record, asCodedError(error)),
    )
  }

  /** To the pod's HBONE port: its own listener, or by the underlay of its node, which leads to the pod's ztunnel. */
  async #dial(incoming: InboundConnect, { workload, address }: EastWestPlan): Promise<ByteStream> {
    const { network, state } = this.#components
    const options = { timeoutMs: CONNECT_TIMEOUT_MS, signal: incoming.signal }
    if (workload.hbone) return network.dial(workload.hbone, options)
    const listener = state.current.node(workload.node)?.underlay
    if (!listener) {
      throw dataplaneError('NODE_UNREACHABLE', `io error: no agent serves node ${workload.node}`, {
        origin: 'upstream',
      })
    }
    const upstream = await network.dial(listener, options)
    const source = parseForwarded(incoming.request.forwarded)?.source ?? { address: '0.0.0.0', port: 0 }
    // A header speaks of one family: a client of the other is told by the tunnel inside.
    const isSameFamily = source.address.includes(':') === address.address.includes(':')
    const any = { address: address.address.includes(':') ? '::' : '0.0.0.0', port: 0 }
    upstream.write(encodeProxyHeader(isSameFamily ? source : any, address))
    return upstream
  }

  #stand(incoming: InboundConnect, own: Workload, upstream: ByteStream, record: RequestRecord): void {
    const { recorder, listener } = this.#components
    if (incoming.signal.aborted) {
      const gone = dataplaneError('DOWNSTREAM_DISCONNECTED', 'client disconnected before the connection stood')
      upstream.reset(gone)
      return this.#refuse(incoming, record, gone)
    }
    recorder.opened(record)
    const copy = new Copy(incoming.accept(factsOf(own).baggage), upstream)
    const held: Held = { drain: () => {}, cut: (reason) => copy.abort(reason) }
    listener.hold(held)
    void copy.result.then(({ bytesSent, bytesReceived, error }) => {
      record.bytesReceived = bytesSent
      record.bytesSent = bytesReceived
      if (error) record.terminationDetails = error.code.toLowerCase()
      recorder.finish(record)
      listener.release(held)
    })
  }

  #refuse(incoming: InboundConnect, record: RequestRecord, error: CodedError): void {
    const code = errorCodeOf(error)
    record.flag(code === 'NO_HEALTHY_UPSTREAM' ? 'UH' : code === 'HOST_NOT_FOUND' ? 'NR' : 'UF')
    record.upstreamFailure = error.message
    this.#components.recorder.opened(record)
    this.#components.recorder.finish(record)
    incoming.reject(OUTCOMES[code].connectStatus, error.message)
  }

  #recordOf(incoming: InboundConnect): RequestRecord {
    const { clock, state } = this.#components
    const { host, port } = incoming.destination
    const address = parseForwarded(incoming.request.forwarded)?.source ?? { address: '0.0.0.0', port: 0 }
    const identity = incoming.session.remote
    const facts = new ConnectionFacts({
      ...{ sourceIp: address.address, destinationIp: host, destinationPort: port, identity },
    })
    const record = new RequestRecord({
      peer: {
        ...{ identity, address, facts, workload: undefined, local: { address: host, port }, scheme: 'http' },
        service: state.current.serviceByHostname(host, undefined),
      },
      startedAtMs: clock.now(),
      startedMs: clock.monotonic(),
    })
    record.protocol = '-'
    return record
  }
}

import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import { type Clock, type CodedError, type Random, Scope } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import type { HostPort, SocketAddress } from '../address.ts'
import { listenForWorkload } from '../capture/capture-listener.ts'
import { DestinationLookup } from '../capture/destination-lookup.ts'
import type { CapturedConnection } from '../capture/redirect.ts'
import { dataplaneError } from '../errors.ts'
import { CONNECT_TIMEOUT_MS, PORT_INBOUND_PLAINTEXT, PORT_OUTBOUND_CAPTURE } from '../limits.ts'
import type { PlainListener, PlainNetwork } from '../plain-network.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { Copy } from '../stream/copy.ts'
import type { InboundConnect } from '../tunnel/tunnel-server.ts'
import type { Held, Listener } from '../waypoint/listener.ts'
import type { OwnWorkload } from '../waypoint/own-workload.ts'
import { type CompiledChain, inboundMatch, type ProxyConfig } from '../waypoint/proxy-config.ts'
import { type DownstreamPeer, RequestRecord } from '../waypoint/request-record.ts'
import type { RequestRecorder } from '../waypoint/request-recorder.ts'
import { parseForwarded } from '../ztunnel/forwarded.ts'
import { planInbound } from '../ztunnel/inbound-plan.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { asCodedError } from '../ztunnel/outbound.ts'
import { isProxyItself, isSelfCall } from '../ztunnel/outbound-plan.ts'
import { ProxyHeaderReader } from '../ztunnel/proxy-header-reader.ts'
import type { ProxyHeader } from '../ztunnel/proxy-protocol.ts'
import { errorCodeOf, OUTCOMES } from '../ztunnel/response-flags.ts'
import { SourceCheck } from '../ztunnel/source-check.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { chooseOutbound, serviceAt } from './outbound-choice.ts'
import { OutboundRoutes } from './outbound-routes.ts'
import { NOT_SECURED } from './request-edges.ts'

export interface SidecarComponents {
  readonly clock: Clock
  readonly random: Random
  readonly network: PlainNetwork
  readonly state: ProxyStateHolder
  readonly own: OwnWorkload
  readonly config: ProxyConfig
  readonly listener: Listener
  readonly recorder: RequestRecorder
}

/** The pod at whose side a sidecar is. */
export interface SidecarPod {
  readonly name: string
  readonly namespace: string
  readonly address: string
  /** Where its programs' way out listened in a former life of the sidecar: they go on dialling there. */
  readonly capturePort?: number
  /** Where a port of its programs really listens; undefined when nothing does. */
  targetOf(port: number): HostPort | undefined
}

export interface SidecarInit {
  readonly uid: string
  readonly identity: SpiffeId
  readonly pod: SidecarPod
  /** Where plain connections of peers are taken. */
  readonly host: string
  /** Where the programs' way out listens; loopback. */
  readonly captureHost: string
  readonly clusterDomain: string
}

/**
 * The two sides of one workload: what its programs send, and what is sent to them. Both are the waypoint's listener with
 * other filter chains; what is decided here is only which.
 */
export class Sidecar implements AsyncDisposable {
  readonly #components: SidecarComponents
  readonly #init: SidecarInit
  readonly #scope: Scope
  readonly #local: LocalWorkload
  readonly #lookup: DestinationLookup
  readonly #sources: SourceCheck
  readonly routes: OutboundRoutes
  #capture: PlainListener | undefined
  #underlay: PlainListener | undefined

  constructor(components: SidecarComponents, init: SidecarInit) {
    const { uid, identity, pod } = init
    const { name, namespace, address } = pod
    this.#components = components
    this.#init = init
    this.#scope = new Scope(`sidecar ${uid}`)
    this.#local = { uid, name, namespace, identity, address, captured: true, dialTarget: (port) => pod.targetOf(port) }
    this.#lookup = new DestinationLookup(
      components,
      {
        onFound: (captured, own, destination) => this.#outbound(captured, own, destination),
        onRefused: (captured, _own, error) => captured.reject(errorCodeOf(error), error.message),
      },
      init,
    )
    this.#sources = new SourceCheck(components)
    this.routes = new OutboundRoutes(components)
  }

  /** Opens the way out, and the door for plain connections. @throws CodedError ADDRESS_IN_USE */
  async start(): Promise<void> {
    const { network, clock } = this.#components
    const { host, captureHost, pod } = this.#init
    this.#underlay = await network.listen({ host, port: 0 }, (stream) => {
      new ProxyHeaderReader(stream, clock, (header, downstream) => this.#plain(header, downstream))
    })
    this.#scope.own(this.#underlay)
    this.#capture = await listenForWorkload(
      this.#local,
      { host: captureHost, port: pod.capturePort ?? 0 },
      { network, clock },
      (captured) => this.#lookup.find(captured),
    )
    this.#scope.own(this.#capture)
  }

  /** Envoy's port → where it really listens; known after `start`. */
  get addresses(): Readonly<Record<string, HostPort>> {
    return {
      ...(this.#capture && { [PORT_OUTBOUND_CAPTURE]: this.#capture.address }),
      ...(this.#underlay && { [PORT_INBOUND_PLAINTEXT]: this.#underlay.address }),
    }
  }

  /** Answers one CONNECT of a peer; never throws. */
  tunnel(incoming: InboundConnect): void {
    const { own, state, listener } = this.#components
    const workload = own.current
    if (!workload) return incoming.reject(503, `unknown destination: ${own.uid}`)
    const plan = planInbound(state.current, workload, incoming.request.authority)
    if (plan.kind === 'rejection') return incoming.reject(OUTCOMES[plan.code].connectStatus, plan.reason)
    const { upstream, service } = plan
    const { remote, remoteAddress } = incoming.session
    const from = parseForwarded(incoming.request.forwarded)
    const network = incoming.request.originNetwork ?? workload.network
    const source = from && state.current.workloadByAddress(network, from.source.address)
    const forged = this.#sources.refusalOf(source, from?.source.address ?? '', remote)
    if (forged !== undefined) return incoming.reject(OUTCOMES.SOURCE_MISMATCH.connectStatus, forged)
    const find = () => this.inboundChain(upstream.port)
    const chain = find()
    if (!chain) return incoming.reject(503, `no filter chain for ${incoming.request.authority}`)
    const named = from?.host === undefined ? undefined : state.current.serviceByHostname(from.host, workload.namespace)
    const peer: DownstreamPeer = {
      ...this.#inboundPeer(from?.source ?? { address: remoteAddress || '0.0.0.0', port: 0 }, upstream, source, remote),
      service: service ?? named,
      clientCertificate: `By=${factsOf(workload).identity};Subject="";URI=${formatSpiffeId(remote)}`,
    }
    listener.serve(incoming.accept(factsOf(workload).baggage), chain, { peer, find }, undefined)
  }

  /** Nothing new is accepted; what was goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.dispose()
  }

  #plain({ source, destination }: ProxyHeader, downstream: ByteStream): void {
    const { own, state, listener } = this.#components
    const workload = own.current
    if (!workload?.addresses.includes(destination.address)) {
      return downstream.reset(dataplaneError('DESTINATION_UNKNOWN', `this is not ${destination.address}`))
    }
    const from = state.current.workloadByAddress(workload.network, source.address)
    const peer = this.#inboundPeer(source, destination, from, undefined)
    const find = () => this.inboundChain(destination.port)
    const chain = find()
    if (!chain || chain.source.mutualTls === 'STRICT') return this.#refuse(peer, downstream)
    listener.serve(downstream, chain, { peer, find }, undefined)
  }

  /** What takes connections to a port of the workload. */
  inboundChain(port: number): CompiledChain | undefined {
    return this.#components.config.find([inboundMatch(port), inboundMatch(0)])
  }

  #inboundPeer(
    address: SocketAddress,
    local: SocketAddress,
    workload: Workload | undefined,
    identity: SpiffeId | undefined,
  ): DownstreamPeer {
    return {
      ...{ identity, workload, address, local, service: undefined, scheme: 'http', side: 'inbound' },
      called: this.#components.own.current,
      facts: new ConnectionFacts({
        sourceIp: address.address,
        destinationIp: local.address,
        destinationPort: local.port,
        identity,
      }),
    }
  }

  /** Envoy finds no filter chain for what came without mutual TLS where that is wanted. */
  #refuse(peer: DownstreamPeer, downstream: ByteStream): void {
    const { clock, recorder } = this.#components
    const record = new RequestRecord({ peer, startedAtMs: clock.now(), startedMs: clock.monotonic() })
    record.protocol = '-'
    record.details = NOT_SECURED
    record.flag('NR')
    recorder.opened(record)
    recorder.finish(record)
    downstream.reset(dataplaneError('POLICY_DENIED', 'mutual TLS is required'))
  }

  #outbound(captured: CapturedConnection, own: Workload, destination: SocketAddress): void {
    if (isSelfCall(captured.source.address, destination)) return this.#callSelf(captured, destination.port)
    if (isProxyItself(destination)) {
      return captured.reject('RECURSIVE_CALL', 'attempted recursive call to ourselves')
    }
    const { state, listener } = this.#components
    const service = serviceAt(state.current, own, destination)
    const find = () => chooseOutbound(this.routes, service, destination.port)
    const peer: DownstreamPeer = {
      ...{ identity: undefined, workload: own, address: captured.sourceAddress, local: destination },
      ...{ service, scheme: 'http', side: 'outbound' },
      facts: new ConnectionFacts({
        sourceIp: captured.sourceAddress.address,
        destinationIp: destination.address,
        destinationPort: destination.port,
        identity: undefined,
      }),
    }
    // As real capture has it: the program is connected before anybody knows to whom.
    listener.serve(captured.accept(), find(), { peer, find }, undefined)
  }

  /** Never captured in a real pod, whose loopback the rules leave alone: no policy, no record. */
  #callSelf(captured: CapturedConnection, port: number): void {
    const { network, listener } = this.#components
    const target = this.#init.pod.targetOf(port)
    if (!target) return captured.reject('CONNECT_REFUSED', 'connection refused')
    network.dial(target, { timeoutMs: CONNECT_TIMEOUT_MS }).then(
      (upstream) => {
        const copy = new Copy(captured.accept(), upstream)
        const held: Held = { drain() {}, cut: (reason: CodedError) => copy.abort(reason) }
        listener.hold(held)
        void copy.result.then(() => listener.release(held))
      },
      (error: unknown) => {
        const failure = asCodedError(error)
        captured.reject(errorCodeOf(failure), failure.message)
      },
    )
  }
}

import type { SvidSource } from '@ambient-lab/pki'
import { assert, type Clock, type Random, Scope } from '@ambient-lab/std'
import type { AccessLog, Logger, MetricsRegistry } from '@ambient-lab/telemetry'
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  type DestinationReviewQuery,
  type ReplayAnswer,
  type ReplayQuery,
  type ReviewAnswer,
  type SourceReviewQuery,
  type Traffic,
  type TrafficQuery,
  type TypeUrl,
  type Workload,
} from '@ambient-lab/xds'
import type { HostPort } from '../address.ts'
import { listenForWorkload } from '../capture/capture-listener.ts'
import { dataplaneError } from '../errors.ts'
import { parseRanges } from '../lab-ranges.ts'
import { DRAIN_DEADLINE_MS } from '../limits.ts'
import type { PlainListener, PlainNetwork } from '../plain-network.ts'
import { reviewDestination } from '../review/destination-review.ts'
import { replay } from '../review/replay.ts'
import { reviewSource } from '../review/source-review.ts'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { Transport } from '../tunnel/transport.ts'
import { TunnelPool } from '../tunnel/tunnel-pool.ts'
import { TunnelServer } from '../tunnel/tunnel-server.ts'
import { ConnectionRecorder } from './connection-recorder.ts'
import type { ConnectionSpans } from './connection-spans.ts'
import { ConnectionTracker } from './connection-tracker.ts'
import { DecisionLog } from './decision-log.ts'
import { Inbound } from './inbound.ts'
import { InboundGuard } from './inbound-guard.ts'
import { InboundPassthrough } from './inbound-passthrough.ts'
import type { LocalWorkload } from './local-workload.ts'
import type { LocalWorkloads } from './local-workloads.ts'
import { OnDemandDns } from './on-demand-dns.ts'
import { Outbound } from './outbound.ts'
import { serverNameOf } from './server-name.ts'

export interface ZtunnelComponents {
  readonly clock: Clock
  readonly random: Random
  /** Made with a `LocalSvids` over the same `locals` and `svids`. */
  readonly transport: Transport
  readonly dialer: PlainNetwork
  readonly svids: SvidSource
  readonly locals: LocalWorkloads
  readonly log: Logger
  readonly metrics: MetricsRegistry
  readonly accessLog: AccessLog
  /** @default connections have no spans, as at Istio's ztunnel */
  readonly spans?: ConnectionSpans | undefined
}

export interface ZtunnelInit {
  /** Where the HBONE and underlay listeners listen. @default 127.0.0.1 */
  readonly host?: string
  /** Where the capture listeners listen; loopback, for who dials one is that workload. @default 127.0.0.1 */
  readonly captureHost?: string
  /** @default 0: a free one */
  readonly hbonePort?: number
  /** @default 0 */
  readonly underlayPort?: number
  /** @default cluster.local */
  readonly clusterDomain?: string
  /** CIDRs that exist in the lab only. @default pods, services, ServiceEntries */
  readonly labRanges?: readonly string[]
  /** @default 5 s */
  readonly drainDeadlineMs?: number
}

const LOOPBACK = '127.0.0.1'
const CLUSTER_DOMAIN = 'cluster.local'

/** The L4 proxy of one node: both ends of every connection of its workloads. */
export class Ztunnel implements AsyncDisposable {
  readonly node: string
  readonly state = new ProxyStateHolder()
  readonly outbound: Outbound
  readonly #components: ZtunnelComponents
  readonly #init: ZtunnelInit
  readonly #recorder: ConnectionRecorder
  readonly #decisions: DecisionLog
  readonly #tracker: ConnectionTracker
  readonly #pool: TunnelPool
  readonly #server: TunnelServer
  readonly #passthrough: InboundPassthrough
  readonly #captures = new Map<string, PlainListener>()
  /** The version of each local workload that policy was last asked about. */
  readonly #judged = new Map<string, Workload | undefined>()
  readonly #scope: Scope
  readonly #gone = new AbortController()
  #underlay: PlainListener | undefined
  #draining: Promise<void> | undefined

  constructor(options: { readonly node: string; readonly components: ZtunnelComponents; readonly init?: ZtunnelInit }) {
    const { node, components, init = {} } = options
    const { clock, random, transport, dialer: network, locals, log } = components
    const { state } = this
    this.node = node
    this.#components = components
    this.#init = init
    this.#scope = new Scope(`ztunnel ${node}`)
    const recorder = new ConnectionRecorder({ node, components })
    const tracker = new ConnectionTracker({ clock })
    this.#decisions = new DecisionLog({ clock })
    const guard = new InboundGuard({ state, decisions: this.#decisions, log })
    const signal = this.#gone.signal
    this.#recorder = recorder
    this.#tracker = tracker
    this.#pool = new TunnelPool({ transport, clock })
    this.outbound = new Outbound({
      components: {
        ...{ clock, random, state, network, recorder, tracker, signal, transport },
        tunnels: this.#pool,
        spans: components.spans,
        onDemandDns: new OnDemandDns({ network, metrics: components.metrics }),
      },
      init: { node, clusterDomain: init.clusterDomain ?? CLUSTER_DOMAIN, labRanges: parseRanges(init.labRanges) },
    })
    const inbound = new Inbound({ state, locals, network, guard, recorder, tracker })
    const clusterDomain = init.clusterDomain ?? CLUSTER_DOMAIN
    this.#passthrough = new InboundPassthrough({
      ...{ clock, state, locals, network, guard, recorder, tracker, signal },
      onTunnel: (stream, { address, namespace }) =>
        this.#server.accept(stream, serverNameOf(address, namespace, clusterDomain)),
    })
    this.#server = new TunnelServer(
      { transport, clock },
      {
        node,
        host: init.host ?? LOOPBACK,
        port: init.hbonePort ?? 0,
        drainDeadlineMs: init.drainDeadlineMs ?? DRAIN_DEADLINE_MS,
        onConnect: (incoming) => inbound.handle(incoming.session, incoming),
      },
    )
  }

  /** Opens the HBONE and underlay listeners. @throws CodedError ADDRESS_IN_USE */
  async start(): Promise<void> {
    const { dialer, svids } = this.#components
    this.#scope.defer(() => this.#pool[Symbol.asyncDispose]())
    await this.#server.start()
    this.#scope.own(this.#server)
    const address = { host: this.#init.host ?? LOOPBACK, port: this.#init.underlayPort ?? 0 }
    this.#underlay = await dialer.listen(address, (stream) => this.#passthrough.handle(stream))
    this.#scope.own(this.#underlay)
    this.#scope.defer(this.state.onChange.on((typeUrl) => this.#onStateChange(typeUrl)))
    this.#scope.defer(
      svids.onChange(({ id, kind }) => {
        // A tunnel lives as long as it has streams; new ones should present the new certificate.
        if (kind === 'available' || kind === 'trusts-less') this.#pool.drainSource(id)
        // Peers whom we would not let in any more finish what they have; for anything new they have to come in again.
        if (kind === 'trusts-less') this.#server.drainLocal(id)
      }),
    )
  }

  /** Where the two listeners really listen; known after `start`. */
  get addresses(): { readonly hbone: HostPort; readonly underlay: HostPort } {
    assert(this.#underlay, 'the ztunnel is not started')
    return { hbone: this.#server.address, underlay: this.#underlay.address }
  }

  /** Live connections that are moving bytes. */
  get connectionCount(): number {
    return this.#tracker.count()
  }

  /**
   * Takes a workload of this node in: its capture listener opens, its certificate is fetched. Of one with a sidecar it
   * only keeps in mind that the pod is somebody else's.
   * @throws CodedError ADDRESS_IN_USE
   */
  async addWorkload(local: LocalWorkload): Promise<{ readonly capture?: HostPort }> {
    const { dialer: network, clock, locals, svids } = this.#components
    const address = { host: this.#init.captureHost ?? LOOPBACK, port: 0 }
    locals.add(local)
    if (local.hasSidecar) return {}
    if (local.captured) svids.prefetch(local.identity)
    const listener = await listenForWorkload(local, address, { network, clock }, (captured) => {
      if (this.#draining) captured.reject('DRAINED', 'connection closed due to connection drain')
      else this.outbound.handle(captured)
    })
    this.#captures.set(local.uid, listener)
    this.#judged.set(local.uid, this.state.current.workload(local.uid))
    return { capture: listener.address }
  }

  /** Lets a workload go: no new connections, then its open ones get the time to drain. */
  async removeWorkload(uid: string): Promise<void> {
    const { locals, svids } = this.#components
    const listener = this.#captures.get(uid)
    this.#captures.delete(uid)
    this.#judged.delete(uid)
    const local = locals.remove(uid)
    for (const session of this.#server.sessions) if (!locals.behind(session)) session.drain()
    await listener?.[Symbol.asyncDispose]()
    await this.#tracker.drain(this.#drainDeadlineMs, uid)
    if (!local?.captured || locals.hasIdentity(local.identity)) return
    this.#pool.drainSource(local.identity)
    svids.forget(local.identity)
  }

  /** What the control plane's `traffic` call answers. */
  traffic(query: TrafficQuery): Traffic {
    this.#recorder.syncBytes()
    return {
      atMs: this.#components.clock.now(),
      connections: query.edgesOnly ? [] : this.#recorder.connections(),
      lost: this.#recorder.lost,
      edges: this.#recorder.edges(),
    }
  }

  /** What the control plane's `review` call answers: the decisions on a connection that nobody has made yet. */
  review(query: SourceReviewQuery | DestinationReviewQuery): ReviewAnswer {
    const { locals, svids } = this.#components
    const local = locals.get(query.uid)
    const asked = { state: this.state.current, node: this.node, local, svid: local && svids.state(local.identity) }
    if (query.at === 'destination') return reviewDestination({ ...asked, decisions: this.#decisions }, query)
    return reviewSource({ ...asked, clusterDomain: this.#init.clusterDomain ?? CLUSTER_DOMAIN }, query)
  }

  /** What the control plane's `replay` call answers: late decisions under other policies. */
  replay(query: ReplayQuery): ReplayAnswer {
    return replay({ state: this.state.current, node: this.node, decisions: this.#decisions }, query)
  }

  /** Stops accepting, lets connections end until the deadline, cuts what is left. */
  drain(): Promise<void> {
    this.#draining ??= this.#drainAll()
    return this.#draining
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = dataplaneError('DRAINED', 'connection closed due to connection drain')
    this.#gone.abort(reason)
    for (const listener of this.#captures.values()) await listener[Symbol.asyncDispose]()
    this.#captures.clear()
    this.#tracker.cutAll(reason)
    await this.#scope.dispose()
  }

  get #drainDeadlineMs(): number {
    return this.#init.drainDeadlineMs ?? DRAIN_DEADLINE_MS
  }

  async #drainAll(): Promise<void> {
    for (const listener of this.#captures.values()) await listener[Symbol.asyncDispose]()
    this.#pool.drain()
    await Promise.all([this.#server.drain(), this.#tracker.drain(this.#drainDeadlineMs)])
  }

  /** A policy's news concern everybody; a workload's own (which policies are attached to it) only itself. */
  #onStateChange(typeUrl: TypeUrl): void {
    const state = this.state.current
    if (typeUrl === AUTHORIZATION_TYPE) this.#tracker.reevaluateAll(state)
    if (typeUrl !== ADDRESS_TYPE) return
    this.outbound.follow(state)
    for (const [uid, judged] of this.#judged) {
      const workload = state.workload(uid)
      if (workload === judged) continue
      this.#judged.set(uid, workload)
      this.#tracker.reevaluate(state, uid)
    }
  }
}

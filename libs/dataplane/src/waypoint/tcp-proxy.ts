import {
  cidrContains,
  evaluateCustom,
  evaluateDryRuns,
  evaluateRequest,
  type HttpPolicies,
  isAudited,
  parseCidr,
  parseIp,
} from '@ambient-lab/policy'
import { type CancelTimer, type Clock, CodedError, type Random } from '@ambient-lab/std'
import type { ExtAuthz, TcpRoute } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { Copy } from '../stream/copy.ts'
import { CONNECT_TIMEOUT } from '../stream/errors.ts'
import { limitCopy } from '../stream/limit-copy.ts'
import { asCodedError } from '../ztunnel/outbound.ts'
import { TCP_IDLE_TIMEOUT_MS } from './limits.ts'
import { type DownstreamPeer, RequestRecord } from './request-record.ts'
import type { RequestRecorder } from './request-recorder.ts'
import { TcpAuthorization, type TcpAuthorizationInit } from './tcp-authorization.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Clusters } from './upstream/clusters.ts'
import { hashText } from './upstream/hash.ts'

export interface TcpProxyComponents {
  readonly clock: Clock
  readonly random: Random
  readonly clusters: Clusters
  readonly recorder: RequestRecorder
}

export interface TcpConnectionInit {
  readonly downstream: ByteStream
  readonly peer: DownstreamPeer
  readonly routes: readonly TcpRoute[]
  readonly policies: HttpPolicies | undefined
  /** Whom CUSTOM policies have asked, by name. */
  readonly extAuthz: ReadonlyMap<string, ExtAuthz>
  /** SNI of the client hello; undefined without TLS. */
  readonly serverName: string | undefined
  readonly onClosed: () => void
}

/** A connection whose bytes nobody reads: it is judged, a route is chosen, an endpoint dialled, and bytes move. */
export class TcpConnection {
  readonly #components: TcpProxyComponents
  readonly #init: TcpConnectionInit
  readonly #record: RequestRecord
  readonly #abort = new AbortController()
  #copy: Copy | undefined
  /** While somebody is asked. */
  #authorization: TcpAuthorization | undefined

  constructor(components: TcpProxyComponents, init: TcpConnectionInit) {
    const { clock } = components
    this.#components = components
    this.#init = init
    this.#record = new RequestRecord({ peer: init.peer, startedAtMs: clock.now(), startedMs: clock.monotonic() })
    this.#record.protocol = '-'
    this.#start()
  }

  cut(reason: CodedError): void {
    if (this.#authorization) return this.#deny('ext_authz_error')
    this.#abort.abort(reason)
    this.#copy?.abort(reason)
  }

  /** As Istio orders them: CUSTOM, then DENY and ALLOW. */
  #start(): void {
    const { peer, policies, serverName, extAuthz: providers } = this.#init
    const custom = policies && evaluateCustom(peer.facts, policies)
    if (!custom) return this.#decide()
    if ('allowed' in custom) return this.#deny(custom.details)
    const onDecided: TcpAuthorizationInit['onDecided'] = (refusal) => {
      if (!this.#authorization) return
      if (refusal) return this.#deny(refusal)
      this.#authorization = undefined
      this.#decide()
    }
    this.#authorization = new TcpAuthorization(this.#components, { peer, serverName, providers, onDecided })
    this.#authorization.ask(custom.ask)
  }

  #decide(): void {
    const { peer, policies } = this.#init
    if (policies?.audit.isEnforced) this.#record.isAudited = isAudited(peer.facts, policies)
    this.#record.dryRuns = policies && evaluateDryRuns(peer.facts, policies)
    const verdict = policies && evaluateRequest(peer.facts, policies)
    if (verdict && !verdict.allowed) this.#deny(verdict.details)
    else this.#connect()
  }

  #deny(details: string): void {
    this.#authorization?.cancel()
    this.#authorization = undefined
    this.#record.details = details
    this.#refuse('UAEX')
  }

  #connect(): void {
    const { clusters, random, clock, recorder } = this.#components
    const { downstream, peer, routes, serverName } = this.#init
    const route = chooseTcpRoute(routes, serverName, peer.local.address)
    const name = route && drawBackend(route, random)
    this.#record.routeName = route?.name ?? ''
    this.#record.cluster = name ?? ''
    const cluster = name === undefined ? undefined : clusters.get(name)
    if (!cluster) return this.#refuse(route ? 'NC' : 'NR')
    // Of what a hash can be made of, a connection has its source alone.
    const bySource = cluster.config.loadBalancing.hash?.kind === 'source-ip'
    const host = cluster.pick({ random, hash: bySource ? hashText(peer.address.address) : undefined }, peer)
    if (!host) return this.#refuse('UH')
    this.#record.upstreamHost = host
    if (!cluster.breaker.acquire('connections')) return this.#refuse('UO')
    const { connectTimeoutMs } = cluster.config
    const cancel = clock.schedule(connectTimeoutMs, () => this.#abort.abort(timeout(connectTimeoutMs)))
    host.activeRequests += 1
    const over = () => {
      cancel()
      host.activeRequests -= 1
      cluster.breaker.release('connections')
    }
    const dialled = Promise.resolve().then(() =>
      cluster.dial(host, peer, { timeoutMs: connectTimeoutMs, signal: this.#abort.signal }, []),
    )
    dialled.then(
      (upstream) => {
        cancel()
        recorder.opened(this.#record)
        this.#copy = new Copy(downstream, upstream)
        const cancelLimits = this.#limit(this.#copy, cluster)
        void this.#copy.result.then((result) => {
          cancelLimits()
          over()
          this.#record.bytesReceived = result.bytesSent
          this.#record.bytesSent = result.bytesReceived
          if (result.error) this.#record.terminationDetails = result.error.code.toLowerCase()
          this.#over()
        })
      },
      (error: unknown) => {
        over()
        cluster.record(host, 'local-origin-failure')
        this.#record.upstreamFailure = asCodedError(error).message
        this.#refuse('UF')
      },
    )
  }

  /** Of a connection that was silent for too long Envoy's log has no flag. */
  #limit(copy: Copy, { config }: Cluster): CancelTimer {
    const { idleTimeoutMs = TCP_IDLE_TIMEOUT_MS, maxConnectionDurationMs = 0 } = config.tcpProxy ?? {}
    const times = { idleTimeoutMs: idleTimeoutMs || undefined, durationMaxMs: maxConnectionDurationMs || undefined }
    return limitCopy(this.#components.clock, copy, times, (code, text) => {
      if (code === 'DURATION_EXCEEDED') this.#record.flag('DT')
      copy.abort(dataplaneError(code, text))
    })
  }

  #refuse(flag: 'NR' | 'NC' | 'UH' | 'UO' | 'UF' | 'UAEX'): void {
    this.#record.flag(flag)
    this.#components.recorder.opened(this.#record)
    this.#init.downstream.start({ onData() {}, onEnd() {}, onDrain() {}, onClose: () => this.#over() })
    this.#init.downstream.reset(refused(flag))
  }

  #over(): void {
    this.#components.recorder.finish(this.#record)
    this.#init.onClosed()
  }
}

/** The first route that matches. @param serverName undefined without TLS */
export function chooseTcpRoute(
  routes: readonly TcpRoute[],
  serverName: string | undefined,
  destination: string,
): TcpRoute | undefined {
  return routes.find(({ serverNames, destinationCidrs }) => {
    if (serverNames.length > 0 && !serverNames.some((name) => matchesServerName(name, serverName))) return false
    return destinationCidrs.length === 0 || destinationCidrs.some((text) => contains(text, destination))
  })
}

function matchesServerName(pattern: string, serverName: string | undefined): boolean {
  if (serverName === undefined) return false
  const name = serverName.toLowerCase()
  if (pattern.startsWith('*')) return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1).toLowerCase())
  return name === pattern.toLowerCase()
}

function contains(text: string, address: string): boolean {
  const cidr = parseCidr(text)
  const ip = parseIp(address)
  return cidr !== undefined && ip !== undefined && cidrContains(cidr, ip)
}

/** @returns a cluster's name; undefined for a backend that is invalid */
export function drawBackend({ backends }: TcpRoute, random: Random): string | undefined {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0)
  let rest = random.next() * total
  for (const { cluster, weight } of backends) {
    rest -= weight
    if (rest < 0) return cluster
  }
  return undefined
}

function timeout(ms: number): CodedError {
  return new CodedError(CONNECT_TIMEOUT, `no answer in ${ms} ms`, { origin: 'upstream' })
}

function refused(flag: string): CodedError {
  return new CodedError('CONNECT_FAILED', `the connection was refused: ${flag}`)
}

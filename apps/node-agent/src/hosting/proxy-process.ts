import {
  certificateReport,
  LinkFaults,
  NodeNetwork,
  TrustFeed,
  Waypoint,
  WsMtlsTransport,
} from '@ambient-lab/dataplane'
import { Revocations, type SignedCertificate, SvidSource } from '@ambient-lab/pki'
import { CodedError, Scope, systemClock, unseededRandom } from '@ambient-lab/std'
import { Logging, MetricsRegistry } from '@ambient-lab/telemetry'
import { LINK_FAULT_TYPE, TRUST_TYPE } from '@ambient-lab/xds'
import { AdminServers } from '../admin.ts'
import { advertisedHost } from '../advertised-host.ts'
import { LinkFaultFeed } from '../link-fault-feed.ts'
import { Profiles } from '../profiles.ts'
import type { HostPort } from './container.ts'
import { fetchText } from './fetch-text.ts'
import { LineLog } from './line-log.ts'
import type { PodTargets, ProxyCommand, ProxyNews, ProxyPush, ProxyQuestion, ProxySpec } from './proxy-protocol.ts'

/** Composition root of one proxy's thread. */
export class ProxyProcess {
  readonly #spec: ProxySpec
  readonly #send: (news: ProxyNews) => void
  readonly #scope = new Scope('proxy')
  readonly #log = new LineLog()
  readonly #logging: Logging
  readonly #metrics = new MetricsRegistry()
  readonly #signing = new Map<number, PromiseWithResolvers<SignedCertificate>>()
  readonly #svids: SvidSource
  readonly #trust: TrustFeed
  readonly #faults: LinkFaultFeed
  readonly #waypoint: Waypoint
  #targets: PodTargets = {}
  #lastRequest = 0
  #isReady = false
  #ports: Readonly<Record<string, HostPort>> = {}
  #gatewayPorts: Readonly<Record<string, HostPort>> = {}

  constructor(spec: ProxySpec, send: (news: ProxyNews) => void) {
    const clock = systemClock
    const random = unseededRandom()
    this.#spec = spec
    this.#send = send
    this.#logging = new Logging({ components: { clock, sink: (line) => this.#log.write(line) } })
    const svids = new SvidSource({
      components: { clock, random: random.fork('svids'), signer: { sign: (csr, ttl) => this.#sign(csr, ttl) } },
      init: { ttlSeconds: spec.certificateTtlSeconds },
    })
    const links = new LinkFaults({ clock })
    const revocations = new Revocations()
    const svid = (signal?: AbortSignal) => svids.fetch(spec.identity, signal ? { signal } : {})
    this.#svids = svids
    this.#trust = new TrustFeed({ clock, svids, revocations })
    this.#faults = new LinkFaultFeed(links)
    this.#waypoint = new Waypoint({
      components: {
        clock,
        random: random.fork('waypoint'),
        network: new NodeNetwork({ clock }),
        svids,
        metrics: this.#metrics,
        log: this.#logging.logger('rbac'),
        upstreamLog: this.#logging.logger('upstream'),
        fetchText,
        accessLogSink: (line) => this.#log.push(line),
        transport: new WsMtlsTransport({
          clock,
          links,
          revocations,
          log: this.#logging.logger('tunnel'),
          svids: { clientSvid: (_source, signal) => svid(signal), serverSvid: () => svid() },
        }),
      },
      init: {
        ...spec,
        ...(spec.pod && { sidecar: { ...spec.pod, targetOf: (port) => this.#targets[String(port)] } }),
        gatewayHost: spec.adminHost,
        onGatewayPorts: (ports) => this.#gatewayPortsChanged(ports),
      },
    })
  }

  /** Listens with what is known so far, and reports where. */
  async start(state: readonly ProxyPush[]): Promise<void> {
    const { adminHost } = this.#spec
    this.#scope.own(this.#svids)
    this.#scope.defer(this.#svids.onChange(() => this.#reportCertificate()))
    for (const push of state) this.#apply(push)
    await this.#waypoint.start()
    this.#scope.own(this.#waypoint)
    const ports = { admin: 0, metrics: 0, ready: 0 }
    const admin = await AdminServers.listen(this.#adminSource(), { host: adminHost, ports })
    this.#scope.own(admin)
    this.#isReady = true
    const { host, port } = this.#waypoint.address
    const at = (own: number): HostPort => ({ host: adminHost, port: own })
    this.#ports = {
      ...this.#sidecarPorts(),
      '15008': { host: advertisedHost(host), port },
      '15000': at(admin.ports.admin),
      '15020': at(admin.ports.metrics),
      '15021': at(admin.ports.ready),
    }
    this.#reportPorts()
  }

  /** Programs dial on this machine only; peers from wherever they are. */
  #sidecarPorts(): Readonly<Record<string, HostPort>> {
    const { '15006': underlay, ...others } = this.#waypoint.sidecarAddresses
    return { ...others, ...(underlay && { '15006': { ...underlay, host: advertisedHost(underlay.host) } }) }
  }

  hear(command: Exclude<ProxyCommand, { type: 'start' }>): void {
    switch (command.type) {
      case 'push':
        return this.#apply(command.push)
      case 'targets':
        this.#targets = command.targets
        return
      case 'signed':
        return this.#signed(command.id)?.resolve({ chainPem: command.chainPem, rootsPem: command.rootsPem })
      case 'not-signed':
        return this.#signed(command.id)?.reject(new CodedError(command.code, command.message))
      case 'signer-back':
        return this.#svids.retryFailed()
      case 'ask':
        return void this.#answer(command.id, command.question)
      case 'stop':
        return void this.#stop()
    }
  }

  async #answer(id: number, question: ProxyQuestion): Promise<void> {
    try {
      this.#send({ type: 'answer', id, answer: await this.#answerTo(question) })
    } catch (error) {
      if (!CodedError.is(error)) throw error
      this.#send({ type: 'no-answer', id, code: error.code, message: error.message })
    }
  }

  #answerTo({ about, query }: ProxyQuestion): unknown {
    switch (about) {
      case 'log':
        return this.#log.tail(query.linesMax)
      case 'review':
        return this.#waypoint.review(query)
      case 'replay':
        return this.#waypoint.replay(query)
      case 'requests':
        return this.#waypoint.requests(query)
      case 'edges':
        return this.#waypoint.edges()
    }
  }

  #gatewayPortsChanged(ports: Readonly<Record<string, HostPort>>): void {
    this.#gatewayPorts = ports
    if (this.#isReady) this.#reportPorts()
  }

  #reportPorts(): void {
    this.#send({ type: 'started', ports: { ...this.#gatewayPorts, ...this.#ports } })
  }

  #reportCertificate(): void {
    const state = this.#svids.state(this.#spec.identity)
    if (state) this.#send({ type: 'certificate', report: certificateReport(state) })
  }

  #apply({ typeUrl, upserts, removed }: ProxyPush): void {
    for (const { name, reason } of this.#take(typeUrl, upserts, removed)) this.#send({ type: 'refused', name, reason })
  }

  #take(typeUrl: ProxyPush['typeUrl'], upserts: ProxyPush['upserts'], removed: readonly string[]) {
    if (typeUrl === TRUST_TYPE) return this.#trust.apply(upserts)
    if (typeUrl === LINK_FAULT_TYPE) return this.#faults.apply(upserts, removed)
    return this.#waypoint.apply(typeUrl, upserts, removed)
  }

  #sign(csrPem: string, ttlSeconds: number): Promise<SignedCertificate> {
    this.#lastRequest += 1
    const waiting = Promise.withResolvers<SignedCertificate>()
    this.#signing.set(this.#lastRequest, waiting)
    this.#send({ type: 'sign', id: this.#lastRequest, csrPem, ttlSeconds })
    return waiting.promise
  }

  #signed(id: number): PromiseWithResolvers<SignedCertificate> | undefined {
    const waiting = this.#signing.get(id)
    this.#signing.delete(id)
    return waiting
  }

  async #stop(): Promise<void> {
    this.#isReady = false
    await this.#waypoint.drain()
    await this.#scope.dispose()
    this.#send({ type: 'stopped' })
  }

  /** As Envoy does: the thread ends, and its owner starts another, as the kubelet would. */
  async #quit(): Promise<void> {
    this.#isReady = false
    await this.#waypoint.drain()
    process.exit(0)
  }

  #adminSource() {
    const logging = this.#logging
    return {
      title: `${this.#spec.proxy} on node ${this.#spec.node}`,
      configDump: () => this.#waypoint.configDump(),
      certificates: () => this.#svids.state(this.#spec.identity)?.phase ?? 'Initializing',
      connections: () => ({ open: this.#waypoint.connectionCount }),
      metrics: () => this.#metrics.expose(),
      pending: () => (this.#isReady ? [] : ['listener']),
      logLevel: {
        current: () => logging.levels,
        set: (levels: string) => {
          try {
            logging.setLevels(levels)
            return true
          } catch (error) {
            if (CodedError.is(error, 'LOG_LEVEL_INVALID')) return false
            throw error
          }
        },
        reset: () => logging.reset(),
      },
      profiles: new Profiles({ clock: systemClock }),
      quit: () => void this.#quit(),
    }
  }
}

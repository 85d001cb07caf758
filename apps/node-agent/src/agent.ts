import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import {
  type CertificateReport,
  ConnectionSpans,
  certificateReport,
  DnsMetrics,
  DnsServer,
  joinTraffic,
  LinkFaults,
  LocalSvids,
  type LocalWorkload,
  LocalWorkloads,
  NodeNetwork,
  ProxyStateHolder,
  SystemDnsUpstream,
  TrustFeed,
  WsMtlsTransport,
  Ztunnel,
} from '@ambient-lab/dataplane'
import { Revocations, type SpiffeId, SvidSource } from '@ambient-lab/pki'
import {
  assert,
  type Clock,
  CodedError,
  type Random,
  removeProcessRecord,
  Scope,
  writeProcessRecord,
} from '@ambient-lab/std'
import {
  ACCESS_LOG_TARGET,
  AccessLog,
  type Logger,
  Logging,
  MetricsRegistry,
  OtlpSpanExporter,
} from '@ambient-lab/telemetry'
import {
  ASSIGNMENT_TYPE,
  type Assignment,
  type CallMethods,
  type Delta,
  DiscoveryClient,
  dialWsLink,
  type Hello,
  joinReplays,
  LINK_FAULT_TYPE,
  LOAD_RUN_TYPE,
  type LoadRun,
  type Reject,
  TRUST_TYPE,
  type TypeUrl,
  type Welcome,
} from '@ambient-lab/xds'
import { AdminServers, type AdminSource } from './admin.ts'
import { createAdminSource } from './admin-source.ts'
import { advertisedHost } from './advertised-host.ts'
import { AgentMetrics } from './agent-metrics.ts'
import type { AgentConfig } from './config.ts'
import type { NodeCredentials } from './credentials.ts'
import { CrlFile } from './crl-file.ts'
import { isIdentityRefused, obtainCredentials } from './enrolment.ts'
import { LineLog } from './hosting/line-log.ts'
import type { Mesh } from './hosting/mesh.ts'
import { checkOverSockets } from './hosting/probe.ts'
import { ProxyThreads } from './hosting/proxy-threads.ts'
import { SimulatedWorkloads } from './hosting/simulated-workloads.ts'
import { PROXY_HEAP_MIB_MAX, SPANS_POST_TIMEOUT_MS, WORKLOADS_HEAP_MIB_MAX } from './limits.ts'
import { LinkFaultFeed } from './link-fault-feed.ts'
import { LoadHost } from './load/load-host.ts'
import { describePortOwner } from './port-owner.ts'
import { Readiness } from './readiness.ts'
import { VERSION } from './version.ts'
import { startWorkerThread } from './worker-thread.ts'
import { WorkloadHost } from './workload-host.ts'

export interface AgentComponents {
  readonly clock: Clock
  readonly random: Random
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable
  /** Takes the agent's log, whole lines. */
  readonly logSink: (line: string) => void
  /** Somebody asked for the end (`/quitquitquit`), or the control plane will not have us any more. */
  readonly onEnd: (reason: CodedError | undefined) => void
}

export type AgentPorts = Readonly<Record<'hbone' | 'underlay' | 'admin' | 'metrics' | 'ready', number>>

/** To a collector outside of the lab; what it answers is its own affair. */
async function postSpans(endpoint: string, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  await fetch(endpoint, { method: 'POST', headers, body, signal: AbortSignal.timeout(SPANS_POST_TIMEOUT_MS) })
}

/** Composition root: constructs every part of a node, connects them, and ends them in the right order. */
export class Agent {
  readonly #config: AgentConfig
  readonly #components: AgentComponents
  readonly #scope = new Scope('agent')
  readonly #startedAtMs: number
  readonly #ownLog = new LineLog()
  readonly #logging: Logging
  readonly #log: Logger
  readonly #metrics = new MetricsRegistry()
  readonly #agentMetrics: AgentMetrics
  readonly #dnsMetrics: DnsMetrics
  readonly #revocations = new Revocations()
  readonly #locals = new LocalWorkloads()
  readonly #linkFaults: LinkFaults
  readonly #faultFeed: LinkFaultFeed
  readonly #svids: SvidSource
  readonly #trustFeed: TrustFeed
  readonly #ztunnel: Ztunnel
  readonly #simulated: SimulatedWorkloads
  readonly #proxies: ProxyThreads
  readonly #host: WorkloadHost
  readonly #loads: LoadHost
  readonly #readiness: Readiness
  readonly #joined = Promise.withResolvers<void>()
  #client: DiscoveryClient | undefined
  #admin: AdminServers | undefined
  #welcome: Welcome | undefined
  #connected = false
  #stopping: Promise<void> | undefined

  /** Opens nothing yet. @throws CodedError LOG_LEVEL_INVALID */
  constructor(config: AgentConfig, components: AgentComponents) {
    const { clock, random } = components
    this.#config = config
    this.#components = components
    this.#startedAtMs = clock.now()
    this.#logging = new Logging({
      components: { clock, sink: (line) => this.#writeLog(line) },
      init: { levels: config.logLevel, format: config.logFormat },
    })
    this.#log = this.#logging.logger('agent')
    this.#readiness = new Readiness({ pendingTypes: () => this.#client?.pendingTypes ?? [] })
    this.#agentMetrics = new AgentMetrics(this.#metrics, () => this.#host.workloads)
    this.#dnsMetrics = new DnsMetrics(this.#metrics)
    this.#agentMetrics.countRevocations(this.#revocations)
    this.#linkFaults = new LinkFaults({ clock })
    this.#faultFeed = new LinkFaultFeed(this.#linkFaults)
    this.#svids = new SvidSource({
      components: { clock, random: random.fork('svids'), signer: { sign: (csr, ttl) => this.#sign(csr, ttl) } },
      init: { ttlSeconds: config.certificateTtlSeconds },
    })
    this.#trustFeed = new TrustFeed({ clock, svids: this.#svids, revocations: this.#revocations })
    this.#ztunnel = this.#createZtunnel()
    this.#followRevocations()
    const spawn = () =>
      startWorkerThread('workloads', { resourceLimits: { maxOldGenerationSizeMb: WORKLOADS_HEAP_MIB_MAX } })
    this.#simulated = new SimulatedWorkloads(
      { clock, random: random.fork('workloads'), spawn },
      { host: config.workloadHost },
    )
    this.#proxies = this.#createProxies()
    this.#host = this.#createHost()
    this.#loads = new LoadHost({
      clock,
      spawn: () => startWorkerThread('load'),
      captureOf: (uid) => this.#host.captureOf(uid),
      onProgress: (progress) => this.#client?.report({ loads: [progress] }),
    })
    this.#joined.promise.catch(() => {}) // `start` waits for it, if it comes that far
  }

  /**
   * Listens, joins the lab unless this node did before, and connects.
   * @returns the real ports, once the control plane has welcomed this node
   */
  async start(): Promise<AgentPorts> {
    this.#scope.own(this.#svids)
    this.#scope.own(this.#simulated)
    rmSync(this.#volumesDir, { recursive: true, force: true }) // of a life that was killed
    this.#simulated.prestart()
    const [credentials, ports] = await Promise.all([
      obtainCredentials(this.#config, this.#components, this.#log),
      this.#listen(),
    ])
    this.#client = this.#connect(credentials, ports)
    this.#scope.own(this.#client)
    this.#client.start()
    await this.#joined.promise
    return ports
  }

  /** Leaves the mesh: no new work, the deadline for what is open, then the end. Stopping twice waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#log.info('draining', { deadline: `${this.#config.drainDeadlineMs}ms` })
    // The link goes first: the control plane takes our workloads out of every endpoint set while they still answer.
    await this.#client?.[Symbol.asyncDispose]()
    await this.#loads[Symbol.asyncDispose]()
    await Promise.all([this.#ztunnel.drain(), this.#host[Symbol.asyncDispose]()])
    await this.#scope.dispose()
  }

  async #listen(): Promise<AgentPorts> {
    const { labDir, node, adminPort, metricsPort, readyPort } = this.#config
    const processes = join(labDir, 'processes')
    try {
      await this.#ztunnel.start()
      this.#scope.own(this.#ztunnel)
      const ports = { admin: adminPort, metrics: metricsPort, ready: readyPort }
      this.#admin = await AdminServers.listen(this.#adminSource(), { host: this.#config.workloadHost, ports })
      this.#scope.own(this.#admin)
    } catch (error) {
      if (!CodedError.is(error, 'ADDRESS_IN_USE')) throw error
      throw new CodedError(error.code, `${error.message}${describePortOwner(processes, error.where)}`, {
        cause: error,
        next: 'choose another port, or 0 for a free one',
      })
    }
    const { hbone, underlay } = this.#ztunnel.addresses
    const ports = { hbone: hbone.port, underlay: underlay.port, ...this.#admin.ports }
    const startedAt = new Date(this.#startedAtMs).toISOString()
    const record = writeProcessRecord(processes, { role: 'node-agent', name: node, startedAt, ports })
    this.#scope.defer(() => removeProcessRecord(processes, record))
    return ports
  }

  #connect(credentials: NodeCredentials, ports: AgentPorts): DiscoveryClient {
    const { clock, random } = this.#components
    const url = `${credentials.api.replace(/^http/, 'ws')}/discovery`
    const tls = { ca: credentials.rootsPem, cert: credentials.certificatePem, key: credentials.keyPem }
    return new DiscoveryClient({
      clock,
      random: random.fork('link'),
      connect: (signal) => dialWsLink({ url, tls, clock, signal }),
      handlers: {
        hello: () => this.#hello(ports),
        onWelcome: (welcome) => this.#welcomed(welcome),
        apply: (typeUrl, upserts, removed, bytes) => {
          this.#agentMetrics.pushed(typeUrl, bytes)
          return this.#apply(typeUrl, upserts, removed)
        },
        calls: {
          traffic: async (query) => joinTraffic(this.#ztunnel.traffic(query), await this.#proxies.edges()),
          review: async (query) =>
            query.at === 'waypoint' || query.at === 'request' || this.#proxies.hasSidecar(query.uid)
              ? this.#proxies.review(query)
              : this.#ztunnel.review(query),
          requests: (query) => this.#proxies.requests(query),
          replay: async (query) => joinReplays([this.#ztunnel.replay(query), ...(await this.#proxies.replay(query))]),
          log: async (query) => ({ lines: await this.#tail(query) }),
        },
        onState: (state) => this.#linkState(state.connected ? undefined : state.reason),
        onRefused: (reason) => this.#refused(reason),
      },
    })
  }

  #hello(ports: AgentPorts): Omit<Hello, 'type'> {
    const { hbone, underlay } = this.#ztunnel.addresses
    const { admin, metrics, ready } = ports
    return {
      node: this.#config.node,
      version: VERSION,
      pid: process.pid,
      startedAtMs: this.#startedAtMs,
      machine: hostname(),
      hbone: { host: advertisedHost(hbone.host), port: hbone.port },
      underlay: { host: advertisedHost(underlay.host), port: underlay.port },
      ports: { admin, metrics, ready },
    }
  }

  #welcomed(welcome: Welcome): void {
    if (!this.#welcome) {
      const message = `Node ${this.#config.node} joined with version ${VERSION}, pid ${process.pid}`
      this.#client?.report({
        events: [{ atMs: this.#components.clock.now(), severity: 'Normal', reason: 'Joined', message }],
      })
    }
    this.#welcome = welcome
    this.#readiness.joined()
    this.#joined.resolve()
  }

  #apply(typeUrl: TypeUrl, upserts: Delta['upserts'], removed: readonly string[]): Reject['errors'] {
    if (this.#stopping) return []
    const resources = upserts.map(({ resource }) => resource)
    if (typeUrl === ASSIGNMENT_TYPE) return this.#host.apply(resources as Assignment[], removed)
    if (typeUrl === LOAD_RUN_TYPE) return this.#loads.apply(resources as LoadRun[], removed)
    // Threads of proxies are told even of what only they are interested in, and of what the ztunnel knows as well.
    const refused = this.#proxies.apply(typeUrl, upserts, removed)
    if (typeUrl === TRUST_TYPE) return [...this.#trustFeed.apply(upserts)]
    if (typeUrl === LINK_FAULT_TYPE) return this.#faultFeed.apply(upserts, removed)
    if (!ProxyStateHolder.holds(typeUrl)) return refused
    return [...this.#ztunnel.state.apply(typeUrl, upserts, removed)]
  }

  #linkState(lost: CodedError | undefined): void {
    const wasConnected = this.#connected
    this.#connected = lost === undefined
    if (!lost) {
      this.#log.info('connected to the control plane')
      this.#svids.retryFailed()
      this.#proxies.signerBack()
      return
    }
    this.#agentMetrics.linkLost(wasConnected)
    if (wasConnected)
      this.#log.warn('the control plane is gone; serving on from the last state', { error: lost.message })
    else this.#log.debug('no connection to the control plane', { error: lost.message })
    if (!this.#welcome && isIdentityRefused(lost)) {
      const next = `remove ${this.#config.stateDir} and join again with a new token`
      this.#refused(new CodedError('CERTIFICATE_REFUSED', lost.message, { cause: lost, next }))
    }
  }

  #refused(reason: CodedError): void {
    this.#log.error('refused by the control plane', { code: reason.code, error: reason.message })
    this.#joined.reject(reason)
    if (this.#welcome) this.#components.onEnd(reason)
  }

  async #tail({ uid, container, tailLines }: CallMethods['log']['params']): Promise<readonly string[]> {
    if (uid === undefined) return this.#ownLog.tail(tailLines)
    const lines = await this.#host.log(uid, tailLines, container)
    if (!lines) throw new CodedError('NOT_FOUND', `${uid} does not run on node ${this.#config.node}`)
    return lines
  }

  #sign(csrPem: string, ttlSeconds: number): ReturnType<DiscoveryClient['sign']> {
    assert(this.#client, 'certificates are asked for by workloads, and those come over the link')
    return this.#client.sign(csrPem, ttlSeconds)
  }

  #createZtunnel(): Ztunnel {
    const { clock, random } = this.#components
    const { node, host, workloadHost, hbonePort, underlayPort, drainDeadlineMs } = this.#config
    const locals = this.#locals
    const svids = this.#svids
    const transport = new WsMtlsTransport({
      clock,
      svids: new LocalSvids({ locals, svids }),
      links: this.#linkFaults,
      revocations: this.#revocations,
      log: this.#logging.logger('tunnel'),
    })
    const spans = this.#createSpans()
    return new Ztunnel({
      node,
      components: {
        clock,
        random: random.fork('ztunnel'),
        transport,
        dialer: new NodeNetwork({ clock }),
        svids,
        locals,
        log: this.#logging.logger('ztunnel'),
        metrics: this.#metrics,
        accessLog: new AccessLog(this.#logging.logger(ACCESS_LOG_TARGET)),
        spans,
      },
      init: { host, captureHost: workloadHost, hbonePort, underlayPort, drainDeadlineMs },
    })
  }

  #createSpans(): ConnectionSpans | undefined {
    const { traceEndpoint, traceSamplingPercent } = this.#config
    const { clock, random } = this.#components
    if (traceEndpoint === undefined) return undefined
    const exporter = this.#scope.own(new OtlpSpanExporter({ clock, post: postSpans }, traceEndpoint))
    return new ConnectionSpans({ exporter, random: random.fork('spans') }, traceSamplingPercent)
  }

  #followRevocations(): void {
    const { crlPath } = this.#config
    const { clock } = this.#components
    if (crlPath === undefined) return
    const components = { clock, svids: this.#svids, revocations: this.#revocations, log: this.#logging.logger('crl') }
    this.#scope.own(new CrlFile(crlPath, components))
  }

  #createProxies(): ProxyThreads {
    const { clock, random } = this.#components
    const { node, host, workloadHost: adminHost, certificateTtlSeconds, drainDeadlineMs } = this.#config
    return new ProxyThreads(
      {
        clock,
        random: random.fork('proxies'),
        spawn: () => startWorkerThread('proxy', { resourceLimits: { maxOldGenerationSizeMb: PROXY_HEAP_MIB_MAX } }),
        sign: (csrPem, ttlSeconds) => this.#sign(csrPem, ttlSeconds),
      },
      { node, host, adminHost, certificateTtlSeconds, drainDeadlineMs },
    )
  }

  #createHost(): WorkloadHost {
    const { clock, random, environment } = this.#components
    const { node, workloadHost } = this.#config
    const host = new WorkloadHost(
      {
        clock,
        random: random.fork('host'),
        mesh: this.#countedMesh(),
        simulated: this.#simulated,
        proxies: this.#proxies,
        check: checkOverSockets(clock),
        environment,
        certificateOf: (identity) => this.#certificateOf(identity),
        onReport: (report) => this.#client?.report({ workloads: [report] }),
        onEvent: (event) => this.#client?.report({ events: [event] }),
        onIdentity: (identity, used) => this.#identityUsed(identity, used),
      },
      { node, host: workloadHost, volumesDir: this.#volumesDir, trust: () => this.#trust() },
    )
    this.#scope.defer(this.#svids.onChange(({ id }) => host.certificateChanged(id)))
    return host
  }

  get #volumesDir(): string {
    return join(this.#config.stateDir, 'volumes')
  }

  #countedMesh(): Mesh {
    const dnsServers = new Map<string, DnsServer>()
    return {
      addWorkload: async (workload) => {
        this.#agentMetrics.started.inc()
        const { capture } = await this.#ztunnel.addWorkload(workload)
        const dns = await this.#dnsServer(workload)
        dnsServers.set(workload.uid, dns)
        return { ...(capture && { capture }), dns: dns.address }
      },
      removeWorkload: async (uid) => {
        this.#agentMetrics.stopped.inc()
        await this.#ztunnel.removeWorkload(uid)
        await dnsServers.get(uid)?.[Symbol.asyncDispose]()
        dnsServers.delete(uid)
      },
    }
  }

  #dnsServer(workload: LocalWorkload): Promise<DnsServer> {
    const { clock } = this.#components
    assert(this.#welcome, 'workloads are assigned after the welcome')
    return DnsServer.listen(
      {
        clock,
        upstream: new SystemDnsUpstream({ clock }),
        metrics: this.#dnsMetrics,
        state: () => this.#ztunnel.state.current,
      },
      {
        ...{ uid: workload.uid, host: this.#config.workloadHost, clusterDomain: this.#welcome.clusterDomain },
        ofClusterOnly: () => workload.bypassesDnsCapture ?? false,
      },
    )
  }

  #trust(): { readonly trustDomain: string } {
    assert(this.#welcome, 'workloads are assigned after the welcome')
    return this.#welcome
  }

  #certificateOf(identity: SpiffeId): CertificateReport | undefined {
    const state = this.#svids.state(identity)
    return state && certificateReport(state)
  }

  #identityUsed(identity: SpiffeId, used: boolean): void {
    if (used) this.#svids.prefetch(identity)
    // The ztunnel forgets with the workload; this is for one that stays and leaves the mesh.
    else if (!this.#locals.hasIdentity(identity)) this.#svids.forget(identity)
  }

  #adminSource(): AdminSource {
    return createAdminSource({
      config: this.#config,
      ztunnel: this.#ztunnel,
      svids: this.#svids,
      host: this.#host,
      metrics: this.#metrics,
      readiness: this.#readiness,
      logging: this.#logging,
      clock: this.#components.clock,
      quit: () => this.#components.onEnd(undefined),
    })
  }

  #writeLog(line: string): void {
    this.#ownLog.write(line)
    this.#components.logSink(line)
  }
}

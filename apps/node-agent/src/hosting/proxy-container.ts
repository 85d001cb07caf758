import type { Worker } from 'node:worker_threads'
import { type Clock, CodedError, errorMessage, type Random } from '@ambient-lab/std'
import { FILTER_CHAIN_TYPE, type FilterChain, L7_PROXY_TYPE, sidecarGroup } from '@ambient-lab/xds'
import {
  type ContainerObserver,
  type ContainerRunner,
  type ContainerState,
  CREATING,
  type HostPort,
} from './container.ts'
import type {
  PodTargets,
  ProxyCommand,
  ProxyNews,
  ProxyPush,
  ProxyQuestion,
  ProxyQuestions,
  ProxySpec,
} from './proxy-protocol.ts'
import { RestartPolicy } from './restart-policy.ts'

/** Envoy's port for what its workload sends. */
const CAPTURE_PORT = '15001'

/** Has a certificate request signed by the control plane. */
export type Signer = (
  csrPem: string,
  ttlSeconds: number,
) => Promise<{ readonly chainPem: readonly string[]; readonly rootsPem: readonly string[] }>

interface Components {
  readonly clock: Clock
  readonly random: Random
  readonly spawn: () => Worker
  readonly sign: Signer
  /** What the control plane has said so far. */
  readonly state: () => readonly ProxyPush[]
  readonly onStopped: () => void
}

/** One L7 proxy and its thread: restarted with growing delays when the thread dies. */
export class ProxyContainer implements ContainerRunner {
  readonly #components: Components
  readonly #spec: ProxySpec
  readonly #observer: ContainerObserver
  readonly #policy: RestartPolicy
  readonly #questions = new Map<number, PromiseWithResolvers<unknown>>()
  #worker: Worker | undefined
  #state: ContainerState = CREATING
  #stopping: PromiseWithResolvers<void> | undefined
  #lastQuestion = 0
  #targets: PodTargets | undefined
  /** Where the way out of a sidecar's programs is: they were told once. */
  #capture: HostPort | undefined

  constructor(components: Components, spec: ProxySpec, observer: ContainerObserver) {
    this.#components = components
    this.#spec = spec
    this.#observer = observer
    this.#policy = new RestartPolicy(components)
    this.#spawn()
  }

  get state(): ContainerState {
    return this.#state
  }

  /** Sends what concerns this proxy. */
  push(push: ProxyPush): void {
    const own = ofProxy(push, this.#spec)
    if (own.upserts.length + own.removed.length > 0) this.#send({ type: 'push', push: own })
  }

  /** Of a sidecar: where the ports of its pod really listen now. */
  setTargets(targets: PodTargets): void {
    this.#targets = targets
    this.#send({ type: 'targets', targets })
  }

  /** Of a sidecar: the way out of its programs, once there is one; the same in each of its lives. */
  get capture(): HostPort | undefined {
    return this.#capture
  }

  /** Drains, and ends the thread. */
  stop(): Promise<void> {
    if (this.#stopping) return this.#stopping.promise
    this.#stopping = Promise.withResolvers()
    this.#policy.cancel()
    if (this.#worker) this.#send({ type: 'stop' })
    else this.#stopped()
    return this.#stopping.promise
  }

  /** Certificates can be had again. */
  signerBack(): void {
    this.#send({ type: 'signer-back' })
  }

  async log(linesMax: number): Promise<readonly string[]> {
    try {
      return await this.ask('log', { linesMax })
    } catch (error) {
      // What a thread that is gone wrote went with it.
      if (CodedError.is(error, 'NOT_FOUND')) return []
      throw error
    }
  }

  /** @throws CodedError NOT_FOUND when the thread is not there, or goes away; whatever the proxy answers instead */
  ask<K extends keyof ProxyQuestions>(
    about: K,
    query: ProxyQuestions[K]['query'],
  ): Promise<ProxyQuestions[K]['answer']> {
    if (!this.#worker) return Promise.reject(notRunning(this.#spec.proxy))
    this.#lastQuestion += 1
    const pending = Promise.withResolvers<unknown>()
    this.#questions.set(this.#lastQuestion, pending)
    this.#send({ type: 'ask', id: this.#lastQuestion, question: { about, query } as ProxyQuestion })
    return pending.promise as Promise<ProxyQuestions[K]['answer']>
  }

  get isSidecar(): boolean {
    return this.#spec.pod !== undefined
  }

  get uid(): string {
    return this.#spec.uid
  }

  #spawn(): void {
    const worker = this.#components.spawn()
    this.#worker = worker
    this.#policy.started()
    let cause = 'the thread ended'
    worker.on('message', (news: ProxyNews) => this.#hear(news))
    worker.on('error', (error) => {
      cause = error instanceof Error ? (error.stack ?? error.message) : errorMessage(error)
    })
    worker.on('exit', () => this.#gone(cause))
    worker.unref()
    const state = this.#components.state().map((push) => ofProxy(push, this.#spec))
    this.#send({ type: 'start', spec: this.#specNow(), state })
    if (this.#targets) this.#send({ type: 'targets', targets: this.#targets })
  }

  #specNow(): ProxySpec {
    const { pod } = this.#spec
    return pod && this.#capture ? { ...this.#spec, pod: { ...pod, capturePort: this.#capture.port } } : this.#spec
  }

  #hear(news: ProxyNews): void {
    switch (news.type) {
      case 'started':
        return this.#started(news.ports)
      case 'certificate':
        return this.#become({ certificate: news.report })
      case 'failed':
        this.#observer.onEvent('Warning', 'Failed', `Error: ${news.message}`)
        return this.#become({ phase: 'terminated', ready: false, reason: 'Error', message: news.message, ports: {} })
      case 'refused':
        return this.#observer.onEvent('Warning', 'ConfigurationRefused', `${news.name}: ${news.reason}`)
      case 'sign':
        return void this.#sign(news.id, news.csrPem, news.ttlSeconds)
      case 'answer':
        return this.#asked(news.id)?.resolve(news.answer)
      case 'no-answer':
        return this.#asked(news.id)?.reject(new CodedError(news.code, news.message))
      case 'stopped':
        void this.#worker?.terminate()
    }
  }

  #asked(id: number): PromiseWithResolvers<unknown> | undefined {
    const pending = this.#questions.get(id)
    this.#questions.delete(id)
    return pending
  }

  #started(ports: ContainerState['ports']): void {
    this.#capture = ports[CAPTURE_PORT]
    if (this.#state.phase === 'running') return this.#become({ ports })
    const startedAtMs = this.#components.clock.now()
    this.#become({ phase: 'running', ready: true, reason: '', message: '', startedAtMs, ports })
    this.#observer.onEvent('Normal', 'Started', 'Started container istio-proxy')
  }

  async #sign(id: number, csrPem: string, ttlSeconds: number): Promise<void> {
    try {
      const { chainPem, rootsPem } = await this.#components.sign(csrPem, ttlSeconds)
      this.#send({ type: 'signed', id, chainPem, rootsPem })
    } catch (error) {
      if (!CodedError.is(error)) throw error
      this.#send({ type: 'not-signed', id, code: error.code, message: error.message })
    }
  }

  #gone(cause: string): void {
    this.#worker = undefined
    for (const pending of this.#questions.values()) pending.reject(notRunning(this.#spec.proxy))
    this.#questions.clear()
    if (this.#stopping) return this.#stopped()
    const [firstLine = ''] = cause.split('\n')
    this.#become({
      phase: 'waiting',
      ready: false,
      reason: 'CrashLoopBackOff',
      message: `the thread of the proxy died: ${firstLine}`,
      restarts: this.#state.restarts + 1,
      ports: {},
    })
    this.#observer.onEvent('Warning', 'BackOff', `Back-off restarting failed container istio-proxy: ${firstLine}`)
    this.#policy.failed(() => this.#spawn())
  }

  #stopped(): void {
    this.#components.onStopped()
    this.#become({ phase: 'terminated', ready: false, reason: 'Completed', ports: {} })
    this.#stopping?.resolve()
  }

  #become(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change }
    this.#observer.onChange()
  }

  #send(command: ProxyCommand): void {
    this.#worker?.postMessage(command)
  }
}

/**
 * The part of the news that a proxy can use. Chains and settings of others, of which a node with many sidecars has a
 * lot, would only be copied into its thread to be passed over there.
 */
function ofProxy(push: ProxyPush, { proxy, pod }: ProxySpec): ProxyPush {
  const names = [proxy, pod && sidecarGroup(pod.namespace)]
  if (push.typeUrl === FILTER_CHAIN_TYPE) {
    const upserts = push.upserts.filter(({ resource }) => names.includes((resource as FilterChain).proxy))
    return { ...push, upserts }
  }
  if (push.typeUrl !== L7_PROXY_TYPE) return push
  const isOwn = (name: string) => name === proxy
  return {
    ...push,
    upserts: push.upserts.filter(({ name }) => isOwn(name)),
    removed: push.removed.filter(isOwn),
  }
}

function notRunning(proxy: string): CodedError {
  return new CodedError('NOT_FOUND', `waypoint ${proxy} is not running here`)
}

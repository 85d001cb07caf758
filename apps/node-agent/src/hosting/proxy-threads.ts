import type { Worker } from 'node:worker_threads'
import { checkProxyResource } from '@ambient-lab/dataplane'
import type { SpiffeId } from '@ambient-lab/pki'
import { type Clock, CodedError, errorMessage, type Random } from '@ambient-lab/std'
import {
  ADDRESS_TYPE,
  type Assignment,
  CLUSTER_TYPE,
  type Delta,
  type EdgeCounters,
  FILTER_CHAIN_TYPE,
  L7_PROXY_TYPE,
  LINK_FAULT_TYPE,
  NODE_TYPE,
  type Reject,
  type ReplayAnswer,
  type ReplayQuery,
  type RequestsAnswer,
  type RequestsQuery,
  type ReviewAnswer,
  type ReviewQuery,
  TRUST_TYPE,
  type TypeUrl,
} from '@ambient-lab/xds'
import type { ContainerObserver, ContainerRunner } from './container.ts'
import { ProxyContainer, type Signer } from './proxy-container.ts'
import type { ProxyPush, ProxyQuestions, ProxySpec } from './proxy-protocol.ts'

/** What proxies are told, in an order in which later types may name earlier ones. */
const PROXY_TYPES: readonly TypeUrl[] = [
  TRUST_TYPE,
  NODE_TYPE,
  ADDRESS_TYPE,
  LINK_FAULT_TYPE,
  CLUSTER_TYPE,
  FILTER_CHAIN_TYPE,
  L7_PROXY_TYPE,
]
/** Of proxies alone: nobody else on this node would refuse what is wrong in them. */
const L7_TYPES: readonly TypeUrl[] = [CLUSTER_TYPE, FILTER_CHAIN_TYPE, L7_PROXY_TYPE]

export interface ProxyThreadsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly spawn: () => Worker
  readonly sign: Signer
}

export interface ProxyThreadsInit {
  readonly node: string
  /** Where HBONE listeners of proxies listen. */
  readonly host: string
  readonly adminHost: string
  readonly certificateTtlSeconds: number
  readonly drainDeadlineMs: number
}

/**
 * The L7 proxies of this node, each in a thread of its own: one that crashes takes neither the ztunnel nor a neighbour
 * with it. What the control plane says is kept here, so that a proxy which starts late or again knows all of it.
 */
export class ProxyThreads {
  readonly #components: ProxyThreadsComponents
  readonly #init: ProxyThreadsInit
  readonly #known = new Map<TypeUrl, Map<string, unknown>>()
  readonly #running = new Set<ProxyContainer>()

  constructor(components: ProxyThreadsComponents, init: ProxyThreadsInit) {
    this.#components = components
    this.#init = init
  }

  /** Whether nobody but proxies is interested in a type. */
  static owns(typeUrl: TypeUrl): boolean {
    return L7_TYPES.includes(typeUrl)
  }

  /** @returns the resources that no proxy could run on; they keep their former version */
  apply(typeUrl: TypeUrl, upserts: Delta['upserts'], removed: readonly string[]): Reject['errors'] {
    if (!PROXY_TYPES.includes(typeUrl) || upserts.length + removed.length === 0) return []
    const errors: { name: string; reason: string }[] = []
    const known = this.#known.get(typeUrl) ?? new Map<string, unknown>()
    this.#known.set(typeUrl, known)
    const accepted = upserts.filter(({ name, resource }) => {
      const reason = ProxyThreads.owns(typeUrl) ? reasonToRefuse(typeUrl, name, resource) : undefined
      if (reason !== undefined) errors.push({ name, reason })
      else known.set(name, resource)
      return reason === undefined
    })
    for (const name of removed) known.delete(name)
    const push: ProxyPush = {
      typeUrl,
      upserts: accepted.map(({ name, resource }) => ({ name, resource })),
      removed,
    }
    for (const proxy of this.#running) proxy.push(push)
    return errors
  }

  /** The control plane is there again: what of certificates failed without it need not wait any longer. */
  signerBack(): void {
    for (const proxy of this.#running) proxy.signerBack()
  }

  /** Runs the replica that an assignment asks for. */
  run(
    assignment: Assignment & { readonly proxy: string },
    identity: SpiffeId,
    observer: ContainerObserver,
  ): ContainerRunner {
    return this.#run(assignment, assignment.proxy, undefined, identity, observer)
  }

  /** Runs the sidecar of an assignment's pod. */
  runSidecar(assignment: Assignment, identity: SpiffeId, observer: ContainerObserver): ProxyContainer {
    const { uid, name, namespace, address } = assignment
    return this.#run(assignment, uid, { name, namespace, address }, identity, observer)
  }

  #run(
    { uid, labels }: Assignment,
    proxy: string,
    pod: ProxySpec['pod'],
    identity: SpiffeId,
    observer: ContainerObserver,
  ): ProxyContainer {
    const { node, host, adminHost, certificateTtlSeconds, drainDeadlineMs } = this.#init
    const container: ProxyContainer = new ProxyContainer(
      { ...this.#components, state: () => this.#snapshot(), onStopped: () => this.#running.delete(container) },
      {
        ...{ uid, proxy, node, identity, labels, host, adminHost, certificateTtlSeconds, drainDeadlineMs },
        ...(pod && { pod }),
      },
      observer,
    )
    this.#running.add(container)
    return container
  }

  /** Whether the sidecar of a pod runs here. */
  hasSidecar(uid: string): boolean {
    for (const proxy of this.#running) if (proxy.uid === uid && proxy.isSidecar) return true
    return false
  }

  /** @throws CodedError NOT_FOUND when no such replica runs here, or it has forgotten the request */
  review(query: ReviewQuery): Promise<ReviewAnswer> {
    for (const proxy of this.#running) if (proxy.uid === query.uid) return proxy.ask('review', query)
    return Promise.reject(new CodedError('NOT_FOUND', `${query.uid} does not run on node ${this.#init.node}`))
  }

  /** What each replica here decided lately, under other policies. */
  replay(query: ReplayQuery): Promise<readonly ReplayAnswer[]> {
    return this.#askAll('replay', query)
  }

  /** What the replicas here were asked lately. */
  async requests(query: RequestsQuery): Promise<RequestsAnswer> {
    const answers = await this.#askAll('requests', query)
    return { requests: answers.flatMap(({ requests }) => requests) }
  }

  /** Who talked to whom through each sidecar here. */
  edges(): Promise<readonly (readonly EdgeCounters[])[]> {
    const sidecars = [...this.#running].filter(({ isSidecar }) => isSidecar)
    return this.#askAll('edges', undefined, sidecars)
  }

  /** One that just ends has nothing to say. */
  async #askAll<K extends keyof ProxyQuestions>(
    about: K,
    query: ProxyQuestions[K]['query'],
    proxies: readonly ProxyContainer[] = [...this.#running],
  ): Promise<ProxyQuestions[K]['answer'][]> {
    const asked = await Promise.allSettled(proxies.map((proxy) => proxy.ask(about, query)))
    return asked.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  }

  #snapshot(): readonly ProxyPush[] {
    return PROXY_TYPES.flatMap((typeUrl) => {
      const known = this.#known.get(typeUrl)
      if (!known || known.size === 0) return []
      return { typeUrl, upserts: Array.from(known, ([name, resource]) => ({ name, resource })), removed: [] }
    })
  }
}

function reasonToRefuse(typeUrl: TypeUrl, name: string, resource: unknown): string | undefined {
  try {
    checkProxyResource(typeUrl, name, resource)
    return undefined
  } catch (error) {
    return errorMessage(error)
  }
}

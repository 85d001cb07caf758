import {
  type AuthorizationPolicy,
  type Namespace,
  type Node,
  type PeerAuthentication,
  REDIRECTION_ANNOTATION,
  type Resource,
  type Service,
} from '@ambient-lab/api'
import type { MeshConfig } from '../mesh-config.ts'
import { SidecarIndex } from '../sidecars/sidecar-index.ts'
import type { StoreEvent } from '../store/store.ts'
import {
  AUTHORIZATION_POLICIES,
  ENDPOINT_SLICES,
  type KnownType,
  NAMESPACES,
  PEER_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
  type StoredKinds,
} from '../stored-kinds.ts'
import { isForZtunnel, type L4PolicyMesh, policySelector } from './authorization.ts'
import { EntryHosts, type EntrySelection, entryCandidate, selectEntries } from './entry-selection.ts'
import { entryVisibility } from './entry-visibility.ts'
import { NETWORK_KINDS, type Networks, networksOf } from './networks.ts'
import { RouteIndex } from './route-index.ts'
import { SelectorIndex } from './selector-index.ts'
import { type ServiceInfo, serviceEntryInfos, serviceInfo } from './service-info.ts'
import { TargetIndex } from './target-index.ts'

/** Reads objects; the store, or a list in a test. */
export interface ObjectReader {
  get<T extends KnownType>(type: T, key: string): StoredKinds[T] | undefined
  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][]
}

interface NamespaceIndex {
  readonly services: SelectorIndex<ServiceInfo>
  /** Services by name whose endpoints are written by hand. */
  readonly selectorless: ReadonlyMap<string, ServiceInfo>
  /** `namespace/name` of policies that select workloads. */
  readonly policies: SelectorIndex<string>
  readonly peerAuthentications: readonly PeerAuthentication[]
  /** Pod `namespace/name` → services that name it in an EndpointSlice written by hand. */
  readonly handWritten: ReadonlyMap<string, readonly ServiceInfo[]>
}

const INDEXED: ReadonlySet<string> = new Set<KnownType>([
  SERVICES,
  SERVICE_ENTRIES,
  AUTHORIZATION_POLICIES,
  PEER_AUTHENTICATIONS,
  ENDPOINT_SLICES,
])

/** What translations see besides their object: other objects, and indexes over them that are rebuilt when they change. */
export class TranslationView {
  readonly mesh: MeshConfig
  readonly #reader: ObjectReader
  readonly #namespaces = new Map<string, NamespaceIndex>()
  #hosts: EntryHosts | undefined
  #routes: RouteIndex | undefined
  #targets: TargetIndex | undefined
  #networks: Networks | undefined
  #sidecars: SidecarIndex | undefined

  constructor(reader: ObjectReader, mesh: MeshConfig) {
    this.#reader = reader
    this.mesh = mesh
  }

  get<T extends KnownType>(type: T, key: string): StoredKinds[T] | undefined {
    return this.#reader.get(type, key)
  }

  list<T extends KnownType>(type: T, namespace?: string): readonly StoredKinds[T][] {
    return this.#reader.list(type, namespace)
  }

  /** Forgets what was derived from an object that changed. */
  invalidate(change: Pick<StoreEvent, 'type' | 'operation' | 'object' | 'previous'>): void {
    if (INDEXED.has(change.type)) this.#namespaces.delete(change.object.metadata.namespace ?? '')
    if (NETWORK_KINDS.has(change.type)) this.#networks = undefined
    this.#routes?.update(change)
    this.#targets?.update(change)
    this.#sidecars?.update(change)
    if (change.type !== SERVICE_ENTRIES || !this.#hosts) return
    if (change.previous) this.#hosts.remove(change.previous as ServiceEntry)
    if (change.operation === 'deleted') this.#hosts.remove(change.object as ServiceEntry)
    else this.#hosts.add(change.object as ServiceEntry)
  }

  /** Which routes are attached to what and send where; always up to date. */
  get routes(): RouteIndex {
    this.#routes ??= new RouteIndex(this.#reader, this.mesh.clusterDomain)
    return this.#routes
  }

  /** Where sidecars run; always up to date. */
  get sidecars(): SidecarIndex {
    this.#sidecars ??= new SidecarIndex(this.#reader)
    return this.#sidecars
  }

  /** Which policies are about what; always up to date. */
  get targets(): TargetIndex {
    this.#targets ??= new TargetIndex(this.#reader, this.mesh.rootNamespace)
    return this.#targets
  }

  /** The networks of the mesh, and who lets in to each; always up to date. */
  get networks(): Networks {
    this.#networks ??= networksOf(this.#reader, this.mesh)
    return this.#networks
  }

  namespace(name: string): Namespace | undefined {
    return this.#reader.get(NAMESPACES, name)
  }

  node(name: string): Node | undefined {
    return this.#reader.get('/nodes', name)
  }

  servicesSelecting(namespace: string, labels: Readonly<Record<string, string>>): ServiceInfo[] {
    return this.#index(namespace).services.matching(labels)
  }

  servicesNamingPod(namespace: string, pod: string): readonly ServiceInfo[] {
    return this.#index(namespace).handWritten.get(pod) ?? []
  }

  selectorlessService(namespace: string, name: string): ServiceInfo | undefined {
    return this.#index(namespace).selectorless.get(name)
  }

  /** Sorted `namespace/name` of the AuthorizationPolicies that select these labels. */
  policiesSelecting(namespace: string, labels: Readonly<Record<string, string>>): string[] {
    const { rootNamespace } = this.mesh
    const own = this.#index(namespace).policies.matching(labels)
    const root = namespace === rootNamespace ? [] : this.#index(rootNamespace).policies.matching(labels)
    return [...own, ...root].sort()
  }

  peerAuthentications(namespace: string): readonly PeerAuthentication[] {
    return this.#index(namespace).peerAuthentications
  }

  /** ServiceEntries of all namespaces that name a host. */
  entriesNaming(host: string): Iterable<ServiceEntry> {
    if (!this.#hosts) {
      this.#hosts = new EntryHosts()
      for (const entry of this.#reader.list(SERVICE_ENTRIES)) this.#hosts.add(entry)
    }
    return this.#hosts.naming(host)
  }

  /** Which ServiceEntry stands for a host, in each namespace and for everybody. */
  entriesOf(host: string): EntrySelection {
    const { serviceEntryVisibility } = this.mesh
    return selectEntries(
      [...this.entriesNaming(host)].map((entry) =>
        entryCandidate(entry, entryVisibility(serviceEntryVisibility, this.namespace(entry.metadata.namespace ?? ''))),
      ),
    )
  }

  #index(namespace: string): NamespaceIndex {
    let index = this.#namespaces.get(namespace)
    if (!index) {
      index = this.#build(namespace)
      this.#namespaces.set(namespace, index)
    }
    return index
  }

  #build(namespace: string): NamespaceIndex {
    const infos = [
      ...this.#reader.list(SERVICES, namespace).flatMap((service) => this.#infoOf(service)),
      ...this.#reader.list(SERVICE_ENTRIES, namespace).flatMap(serviceEntryInfos),
    ]
    const services = new SelectorIndex<ServiceInfo>()
    for (const info of infos) services.add(info.selector, info)
    const selectorless = new Map<string, ServiceInfo>()
    for (const service of this.#reader.list(SERVICES, namespace)) {
      const [info] = this.#infoOf(service)
      if (info && Object.keys(info.selector).length === 0) selectorless.set(service.metadata.name, info)
    }
    const policies = new SelectorIndex<string>()
    for (const policy of this.#reader.list(AUTHORIZATION_POLICIES, namespace)) addPolicy(policies, policy, this.mesh)
    return {
      services,
      selectorless,
      policies,
      peerAuthentications: this.#reader.list(PEER_AUTHENTICATIONS, namespace),
      handWritten: this.#handWritten(namespace, selectorless),
    }
  }

  #infoOf(service: Service): ServiceInfo[] {
    const info = serviceInfo(service, this.mesh.clusterDomain)
    return info ? [info] : []
  }

  #handWritten(
    namespace: string,
    selectorless: ReadonlyMap<string, ServiceInfo>,
  ): ReadonlyMap<string, readonly ServiceInfo[]> {
    const found = new Map<string, ServiceInfo[]>()
    if (selectorless.size === 0) return found
    for (const slice of this.#reader.list(ENDPOINT_SLICES, namespace)) {
      const info = selectorless.get(slice.metadata.labels?.['kubernetes.io/service-name'] ?? '')
      if (!info) continue
      for (const { targetRef } of slice.endpoints) {
        if (targetRef?.kind !== 'Pod') continue
        const pod = `${targetRef.namespace ?? namespace}/${targetRef.name}`
        found.set(pod, [...(found.get(pod) ?? []), info])
      }
    }
    return found
  }
}

function addPolicy(index: SelectorIndex<string>, policy: AuthorizationPolicy, mesh: L4PolicyMesh): void {
  if (!isForZtunnel(policy, mesh)) return
  const { name, namespace } = policy.metadata
  index.add(policySelector(policy), `${namespace}/${name}`)
}

/** Whether its node has captured it, which is what its peers have to know. */
export function isCaptured(pod: Resource): boolean {
  return pod.metadata.annotations?.[REDIRECTION_ANNOTATION] === 'enabled'
}

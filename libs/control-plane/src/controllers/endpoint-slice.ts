import {
  controllerOf,
  controllerReference,
  type Endpoint,
  type EndpointSlice,
  isConditionTrue,
  matchesEvery,
  objectKey,
  type Pod,
  SERVICE_NAME_LABEL,
  type Service,
} from '@ambient-lab/api'
import { type Cluster, sameContent } from '../cluster.ts'
import { generateName } from '../names.ts'
import { isLive } from '../nodes.ts'
import { ENDPOINT_SLICES, PODS, SERVICES } from '../stored-kinds.ts'
import { podNamedPorts } from '../translate/workload-parts.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'
const MANAGER = 'endpointslice-controller.k8s.io'
const ENDPOINTS_PER_SLICE_MAX = 1000

type Ports = NonNullable<EndpointSlice['ports']>
interface Wanted {
  readonly ports: Ports
  readonly endpoints: readonly Endpoint[]
}

/** Writes which pods stand behind each Service that has a selector. Services without one keep what people wrote. */
export class EndpointSliceController implements Controller {
  readonly name = 'endpointslice'
  readonly watches = {
    [SERVICES]: itself,
    [PODS]: (change: Change) => this.#servicesOfPod(change),
    [ENDPOINT_SLICES]: serviceOfSlice,
  }
  readonly #cluster: Cluster

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  #servicesOfPod({ object, previous }: Change): string[] {
    const labels = [object.metadata.labels, previous?.metadata.labels]
    return this.#cluster
      .list(SERVICES, object.metadata.namespace)
      .filter((service) => labels.some((of) => of && selectorOf(service) && matchesEvery(selectorOf(service)!, of)))
      .map(({ metadata }) => objectKey(metadata))
  }

  async #reconcile(key: string): Promise<void> {
    const service = this.#cluster.get(SERVICES, key)
    const [namespace = '', name = ''] = key.split('/')
    const existing = this.#cluster
      .list(ENDPOINT_SLICES, namespace)
      .filter(
        ({ metadata }) => metadata.labels?.[SERVICE_NAME_LABEL] === name && metadata.labels[MANAGED_BY] === MANAGER,
      )
    const selector = service && selectorOf(service)
    const wanted = selector ? this.#wanted(service, selector) : []
    const writes = wanted.map((slice, index) => this.#put(service!, slice, existing[index]))
    const surplus = existing.slice(wanted.length)
    await Promise.all([
      ...writes,
      ...surplus.map(({ metadata }) => this.#cluster.remove(ENDPOINT_SLICES, objectKey(metadata), metadata.uid)),
    ])
  }

  /** One slice for each set of resolved ports, since pods may name their ports differently; one at least. */
  #wanted(service: Service, selector: Readonly<Record<string, string>>): Wanted[] {
    const groups = new Map<string, { ports: Ports; endpoints: Endpoint[] }>()
    for (const pod of this.#cluster.list(PODS, service.metadata.namespace)) {
      if (!pod.status?.podIP || !isLive(pod) || !matchesEvery(selector, pod.metadata.labels)) continue
      const ports = resolvedPorts(service, pod)
      const id = JSON.stringify(ports)
      const group = groups.get(id) ?? { ports, endpoints: [] }
      group.endpoints.push(endpointOf(service, pod))
      groups.set(id, group)
    }
    if (groups.size === 0) return [{ ports: [], endpoints: [] }]
    return [...groups.values()].flatMap(({ ports, endpoints }) =>
      chunks(endpoints).map((part) => ({ ports, endpoints: part })),
    )
  }

  async #put(service: Service, { ports, endpoints }: Wanted, existing: EndpointSlice | undefined): Promise<void> {
    if (existing) {
      if (sameContent([existing.endpoints, existing.ports], [endpoints, ports])) return
      await this.#cluster.update(ENDPOINT_SLICES, objectKey(existing.metadata), (current) => ({
        ...current,
        endpoints,
        ports,
      }))
      return
    }
    const { name, namespace, labels } = service.metadata
    await this.#cluster.create(ENDPOINT_SLICES, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: generateName(`${name}-`, this.#cluster.random),
        generateName: `${name}-`,
        namespace: namespace!,
        labels: { ...labels, [SERVICE_NAME_LABEL]: name, [MANAGED_BY]: MANAGER },
        ownerReferences: [controllerReference(service)],
      },
      addressType: 'IPv4',
      endpoints,
      ports,
    })
  }
}

/** Undefined for services whose endpoints are somebody else's business. */
function selectorOf({ spec }: Service): Readonly<Record<string, string>> | undefined {
  if (!spec || spec.type === 'ExternalName') return undefined
  return Object.keys(spec.selector ?? {}).length > 0 ? spec.selector : undefined
}

function serviceOfSlice({ object, operation }: Change): string[] {
  const name = object.metadata.labels?.[SERVICE_NAME_LABEL]
  // Our own writes need no second look; what others did to our slices does.
  return operation === 'deleted' && name && controllerOf(object) ? [`${object.metadata.namespace}/${name}`] : []
}

function resolvedPorts(service: Service, pod: Pod): Ports {
  const named = podNamedPorts(pod)
  return (service.spec?.ports ?? []).flatMap(({ name, port, targetPort = port, protocol = 'TCP', appProtocol }) => {
    const number = typeof targetPort === 'number' ? targetPort : named.get(targetPort)
    if (number === undefined) return []
    return { name: name ?? '', port: number, protocol, ...(appProtocol && { appProtocol }) }
  })
}

function endpointOf(service: Service, pod: Pod): Endpoint {
  const { metadata, spec, status } = pod
  const serving = isConditionTrue(pod, 'Ready')
  const terminating = metadata.deletionTimestamp !== undefined
  const ready = (serving && !terminating) || service.spec?.publishNotReadyAddresses === true
  return {
    addresses: [status!.podIP!],
    conditions: { ready, serving, terminating },
    ...(spec?.nodeName && { nodeName: spec.nodeName }),
    targetRef: {
      kind: 'Pod',
      name: metadata.name,
      namespace: metadata.namespace!,
      ...(metadata.uid && { uid: metadata.uid }),
    },
  }
}

function chunks(endpoints: readonly Endpoint[]): Endpoint[][] {
  const count = Math.ceil(endpoints.length / ENDPOINTS_PER_SLICE_MAX)
  return Array.from({ length: count }, (_, index) =>
    endpoints.slice(index * ENDPOINTS_PER_SLICE_MAX, (index + 1) * ENDPOINTS_PER_SLICE_MAX),
  )
}

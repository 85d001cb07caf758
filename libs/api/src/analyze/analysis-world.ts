import type { KindDefinition } from '../kind.ts'
import deploymentKind, { type Deployment } from '../kinds/deployment.ts'
import namespaceKind from '../kinds/namespace.ts'
import podKind from '../kinds/pod.ts'
import type { PodSpec } from '../pod-template.ts'
import { controllerOf } from '../reference.ts'
import { findKind } from '../registry.ts'
import { objectKey, type Resource } from '../resource.ts'
import { matchesEvery } from '../selector.ts'
import { GATEWAY_NAME_LABEL } from '../waypoint-labels.ts'

/** Settings of the mesh that decide whether something is wrong. */
export interface AnalysisSettings {
  /** @default 'istio-system' */
  readonly rootNamespace: string
  /** @default 'cluster.local' */
  readonly clusterDomain: string
  /** Whether hosts of ServiceEntries without addresses are given some. @default true, as ambient needs it */
  readonly allocatesEntryAddresses: boolean
  /** Milliseconds since the epoch, for certificates; undefined: nobody asks whether one has ended. */
  readonly nowMs: number | undefined
}

const SETTINGS_DEFAULT: AnalysisSettings = {
  rootNamespace: 'istio-system',
  clusterDomain: 'cluster.local',
  allocatesEntryAddresses: true,
  nowMs: undefined,
}

/** What runs, or will: a Deployment by its template, or a pod that nobody made for it. */
export interface Workload {
  readonly object: Resource
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: PodSpec | undefined
}

/** All objects that are analysed together, by kind. */
export class AnalysisWorld {
  readonly settings: AnalysisSettings
  readonly #byKind = new Map<KindDefinition, Map<string, Resource>>()
  #workloads: readonly Workload[] | undefined

  /** @param objects of several with one name the last counts; kinds that nobody knows are left out */
  constructor(objects: Iterable<Resource>, settings: Partial<AnalysisSettings> = {}) {
    this.settings = { ...SETTINGS_DEFAULT, ...settings }
    for (const object of objects) {
      const definition = findKind(object)
      if (!definition) continue
      const known = this.#byKind.get(definition) ?? new Map<string, Resource>()
      known.set(objectKey(object.metadata), object)
      this.#byKind.set(definition, known)
    }
  }

  list<R extends Resource>(kind: KindDefinition<R>, namespace?: string): readonly R[] {
    const all = [...(this.#byKind.get(kind as unknown as KindDefinition)?.values() ?? [])] as R[]
    return namespace === undefined ? all : all.filter(({ metadata }) => (metadata.namespace ?? '') === namespace)
  }

  get<R extends Resource>(kind: KindDefinition<R>, namespace: string | undefined, name: string): R | undefined {
    const key = objectKey({ name, ...(namespace && { namespace }) })
    return this.#byKind.get(kind as unknown as KindDefinition)?.get(key) as R | undefined
  }

  /** Objects of every kind. */
  *all(): Iterable<Resource> {
    for (const objects of this.#byKind.values()) yield* objects.values()
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.get(namespaceKind, undefined, name)?.metadata.labels ?? {}
  }

  /** Programs, less the mesh's own proxies. */
  get workloads(): readonly Workload[] {
    this.#workloads ??= this.#findWorkloads()
    return this.#workloads
  }

  /** @param namespace undefined: of all */
  workloadsWith(labels: Readonly<Record<string, string>>, namespace?: string): readonly Workload[] {
    return this.workloads.filter(
      (workload) =>
        (namespace === undefined || workload.namespace === namespace) && matchesEvery(labels, workload.labels),
    )
  }

  #findWorkloads(): readonly Workload[] {
    const deployments = this.list(deploymentKind).map(
      (object): Workload => workloadOf(object, templateOf(object)?.metadata ?? {}, templateOf(object)?.spec),
    )
    const pods = this.list(podKind)
      .filter((pod) => !controllerOf(pod))
      .map((pod): Workload => workloadOf(pod, pod.metadata, pod.spec))
    return [...deployments, ...pods].filter(({ labels }) => labels[GATEWAY_NAME_LABEL] === undefined)
  }
}

function templateOf({ spec }: Deployment): NonNullable<Deployment['spec']>['template'] | undefined {
  return spec?.template
}

function workloadOf(
  object: Resource,
  { labels, annotations }: Pick<Resource['metadata'], 'labels' | 'annotations'>,
  spec: PodSpec | undefined,
): Workload {
  return {
    object,
    namespace: object.metadata.namespace ?? '',
    labels: labels ?? {},
    annotations: annotations ?? {},
    spec,
  }
}

import {
  GATEWAY_GROUP,
  isCoreGroup,
  type ObjectKey,
  objectKey,
  type PolicyTargetReference,
  type Resource,
} from '@ambient-lab/api'
import type { StoreType } from '../store/store.ts'
import {
  AUTHORIZATION_POLICIES,
  ENVOY_FILTERS,
  type KnownType,
  RATE_LIMIT_POLICIES,
  REQUEST_AUTHENTICATIONS,
  TELEMETRIES,
} from '../stored-kinds.ts'
import { Groups } from './groups.ts'
import type { ObjectChange } from './translation.ts'

/** Kinds of policies that name what they are about. */
export const TARGETING_KINDS = [
  AUTHORIZATION_POLICIES,
  REQUEST_AUTHENTICATIONS,
  TELEMETRIES,
  ENVOY_FILTERS,
  RATE_LIMIT_POLICIES,
] as const
export type TargetingKind = (typeof TARGETING_KINDS)[number]

/** `Service ns/name`, `ServiceEntry ns/name`, `Gateway ns/name`, `GatewayClass name`. */
export type TargetId = string

interface TargetingSpec {
  readonly targetRef?: PolicyTargetReference
  readonly targetRefs?: readonly PolicyTargetReference[]
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> }
  /** EnvoyFilter's word for it. */
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> }
}

interface Listing {
  list<T extends KnownType>(type: T, namespace?: string): readonly Resource[]
}

/** Which policies are about what, by target; those without a target by namespace. */
export class TargetIndex {
  readonly #byTarget = new Groups<Resource>()
  /** Policies for workloads: of a selector, of a namespace, or of the mesh. */
  readonly #untargeted = new Groups<Resource>()
  readonly #rootNamespace: string

  constructor(reader: Listing, rootNamespace: string) {
    this.#rootNamespace = rootNamespace
    for (const type of TARGETING_KINDS) for (const object of reader.list(type)) this.#add(type, object)
  }

  update({ type, operation, object, previous }: ObjectChange): void {
    if (!isTargetingKind(type)) return
    if (previous) this.#remove(type, previous)
    if (operation === 'deleted') this.#remove(type, object)
    else this.#add(type, object)
  }

  /** By key. */
  targeting<R extends Resource>(type: TargetingKind, target: TargetId): R[] {
    return inOrder(this.#byTarget.of(`${type} ${target}`)) as R[]
  }

  /** Policies without a target that hold for workloads with these labels, those of the root namespace first. */
  selecting<R extends Resource>(type: TargetingKind, namespace: string, labels: Readonly<Record<string, string>>): R[] {
    const homes = [...new Set([this.#rootNamespace, namespace])]
    const all = homes.flatMap((home) => inOrder(this.#untargeted.of(`${type} ${home}`)))
    return all.filter((policy) => {
      const { selector, workloadSelector } = (policy.spec ?? {}) as TargetingSpec
      const wanted = selector?.matchLabels ?? workloadSelector?.labels ?? {}
      return Object.entries(wanted).every(([key, value]) => labels[key] === value)
    }) as R[]
  }

  targetsOf(policy: Resource): TargetId[] {
    return targetIds(policy, this.#rootNamespace)
  }

  #add(type: StoreType, policy: Resource): void {
    for (const group of this.#groupsOf(type, policy)) group.of.add(group.name, objectKey(policy.metadata), policy)
  }

  #remove(type: StoreType, policy: Resource): void {
    for (const group of this.#groupsOf(type, policy)) group.of.delete(group.name, objectKey(policy.metadata))
  }

  #groupsOf(type: StoreType, policy: Resource): { readonly of: Groups<Resource>; readonly name: string }[] {
    if (references(policy).length === 0) {
      return [{ of: this.#untargeted, name: `${type} ${policy.metadata.namespace}` }]
    }
    return this.targetsOf(policy).map((target) => ({ of: this.#byTarget, name: `${type} ${target}` }))
  }
}

export function isTargetingKind(type: string): type is TargetingKind {
  return (TARGETING_KINDS as readonly string[]).includes(type)
}

export function references({ spec }: Resource): readonly PolicyTargetReference[] {
  const { targetRef, targetRefs = [] } = (spec ?? {}) as TargetingSpec
  return targetRef ? [targetRef, ...targetRefs] : targetRefs
}

/** A policy is about things of its own namespace; about classes of Gateways only from the root namespace. */
function targetIds(policy: Resource, rootNamespace: string): TargetId[] {
  const { namespace = '' } = policy.metadata
  return references(policy).flatMap(({ group = '', kind, name }): TargetId[] => {
    if (group === GATEWAY_GROUP && kind === 'Gateway') return [`Gateway ${namespace}/${name}`]
    if (group === GATEWAY_GROUP && kind === 'GatewayClass') {
      return namespace === rootNamespace ? [`GatewayClass ${name}`] : []
    }
    if (isCoreGroup(group) && kind === 'Service') return [`Service ${namespace}/${name}`]
    return group === 'networking.istio.io' && kind === 'ServiceEntry' ? [`ServiceEntry ${namespace}/${name}`] : []
  })
}

function inOrder(policies: readonly Resource[]): Resource[] {
  const keyOf = ({ metadata }: Resource): ObjectKey => objectKey(metadata)
  return policies.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** What every object of the API has, in Kubernetes' words. */
export interface Resource<Spec = unknown, Status = unknown> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly spec?: Spec
  readonly status?: Status
  /** Kinds without a spec keep their fields at the top: ConfigMap.data, Event.reason, EndpointSlice.endpoints. */
  readonly [field: string]: unknown
}

export interface ObjectMeta {
  readonly name: string
  readonly generateName?: string
  /** Absent on objects of the whole cluster. */
  readonly namespace?: string
  readonly uid?: string
  /** Opaque; comparable only for equality. */
  readonly resourceVersion?: string
  /** Grows when the spec changes. */
  readonly generation?: number
  /** RFC 3339, whole seconds. */
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
  readonly managedFields?: readonly unknown[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Names one resource type in the API's paths: `{ group: 'apps', version: 'v1', resource: 'deployments' }`. */
export interface GroupVersionResource {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  /** Plural, lower case. */
  readonly resource: string
}

/** `namespace/name`, or `name` for objects of the whole cluster. */
export type ObjectKey = string

export function objectKey(metadata: Pick<ObjectMeta, 'name' | 'namespace'>): ObjectKey {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name
}

import type { ObjectMeta, OwnerReference, Resource } from './resource.ts'

/** What a policy or route attaches to, as the Gateway API names it. */
export interface PolicyTargetReference {
  /** Empty or absent for the core group, which Istio's policies may also call `core`. */
  readonly group?: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

/** Istio's policies may write the group without a name as `core`. */
export function isCoreGroup(group: string): boolean {
  return group === '' || group === 'core'
}

export interface NamespacedName {
  readonly namespace: string
  readonly name: string
}

/** `ns/name` → its parts; a bare name takes the namespace given. */
export function parseNamespacedName(text: string, defaultNamespace: string): NamespacedName {
  const slash = text.indexOf('/')
  if (slash < 0) return { namespace: defaultNamespace, name: text }
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) }
}

/** `deploy/curl` → type and name, the type as it was typed; undefined when there is no single slash with words around. */
export function parseTypedName(text: string): { readonly type: string; readonly name: string } | undefined {
  const match = /^([^/\s]+)\/([^/\s]+)$/.exec(text)
  return match ? { type: match[1]!, name: match[2]! } : undefined
}

/** `apps/v1` → its parts; the core group's `v1` has the empty group. */
export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/')
  if (slash < 0) return { group: '', version: apiVersion }
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) }
}

export function formatApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** `Service/reviews.default`, as istioctl names objects in messages; without the namespace for those of the cluster. */
export function describeReference(
  object: Pick<Resource, 'kind'> & { metadata: Pick<ObjectMeta, 'name' | 'namespace'> },
): string {
  const { name, namespace } = object.metadata
  return `${object.kind}/${name}${namespace ? `.${namespace}` : ''}`
}

/** The reference by which `owner` controls what it made. */
export function controllerReference(owner: Resource): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}

export function controllerOf(object: Resource): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller)
}

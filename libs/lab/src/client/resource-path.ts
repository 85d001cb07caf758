import type { GroupVersionResource } from '@ambient-lab/api'

/** Where requests about a type, or one object of it, go. */
export interface ResourceTarget {
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  /** `status`, `scale`, `log` */
  readonly subresource?: string | undefined
}

/**
 * `{apps v1 deployments}`, namespace `default`, name `curl` → `/apis/apps/v1/namespaces/default/deployments/curl`. Every
 * part that came from outside is escaped.
 */
export function resourcePath(type: GroupVersionResource, target: ResourceTarget = {}): string {
  const parts = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version]
  if (target.namespace) parts.push('namespaces', target.namespace)
  parts.push(type.resource)
  if (target.name !== undefined) parts.push(target.name)
  if (target.subresource !== undefined) parts.push(target.subresource)
  return `/${parts.map(encodeURIComponent).join('/')}`
}

/** Query text with its question mark, leaving out what is undefined, false or empty. */
export function queryText(query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== false && value !== '') params.set(name, String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

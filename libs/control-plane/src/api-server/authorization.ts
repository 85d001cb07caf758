import type { User } from './authentication.ts'
import type { ResourceRoute } from './router.ts'
import { forbidden, StatusError as Refusal, type StatusError } from './status-error.ts'

const ADMINISTRATORS = 'system:masters'

/** Paths that anyone may read, with or without a certificate. */
const PUBLIC_PATHS = new Set(['/healthz', '/livez', '/readyz', '/version'])

/**
 * Administrators may do everything, nobody else anything but the public paths. Agents (system:nodes) are nobody here:
 * what they need comes over /discovery, which asks for its own certificate.
 */
export function mayDo(user: User, path: string): boolean {
  return user.groups.includes(ADMINISTRATORS) || PUBLIC_PATHS.has(path)
}

/** @throws StatusError 403, in kube-apiserver's words */
export function authorize(
  user: User,
  route: ResourceRoute | { readonly type: 'other'; readonly verb: string; readonly path: string },
): void {
  if (route.type === 'other') {
    if (!mayDo(user, route.path)) throw forbiddenPath(user, route.verb, route.path)
    return
  }
  if (mayDo(user, '')) return
  const { group, resource, subresource, namespace, name = '', verb } = route
  const full = subresource === undefined ? resource : `${resource}/${subresource}`
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const why = `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${where}`
  throw forbidden({ group, resource }, name, why)
}

function forbiddenPath(user: User, verb: string, path: string): StatusError {
  return new Refusal(403, 'Forbidden', `forbidden: User "${user.name}" cannot ${verb} path "${path}"`, {})
}

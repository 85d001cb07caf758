import type { BackendObjectReference } from '@ambient-lab/api'
import type { TranslationView } from '../translate/view.ts'
import { isGranted } from './reference-grants.ts'
import { type RouteTarget, targetOfHost, targetOfService } from './targets.ts'

/** Why a part of a route cannot be done as asked; ends up in its status. */
export interface RouteFinding {
  readonly reason:
    | 'BackendNotFound'
    | 'InvalidKind'
    | 'RefNotPermitted'
    | 'InvalidDestination'
    | 'InvalidFilter'
    | 'UnsupportedValue'
  readonly message: string
}

/** Who refers. */
export interface Referrer {
  readonly kind: string
  readonly namespace: string
}

export interface ResolvedBackend {
  readonly target: RouteTarget
  readonly port: number
}

type View = Pick<TranslationView, 'get' | 'list' | 'mesh' | 'entriesOf'>

/**
 * Finds what a backendRef means; a ServiceImport is the Service of its name, for there is one cluster. The texts are
 * istiod's.
 * @param enforceGrants whether other namespaces have to allow it: not for routes of a service in the mesh
 * @see reference: istio/istio pilot/pkg/config/kube/gateway, buildDestination
 */
export function resolveBackend(
  view: View,
  { group = '', kind = 'Service', name, namespace, port }: BackendObjectReference,
  from: Referrer,
  enforceGrants = true,
): ResolvedBackend | RouteFinding {
  const home = namespace ?? from.namespace
  const isService = group === '' && kind === 'Service'
  const isHost = group === 'networking.istio.io' && kind === 'Hostname'
  const isImport = group === 'multicluster.x-k8s.io' && kind === 'ServiceImport'
  if (!isService && !isHost && !isImport) {
    return { reason: 'InvalidKind', message: `referencing unsupported backendRef: group "${group}" kind "${kind}"` }
  }
  const referrer = { group: 'gateway.networking.k8s.io', ...from }
  if (enforceGrants && !isHost && !isGranted(view, referrer, { group, kind, name, namespace: home })) {
    return {
      reason: 'RefNotPermitted',
      message: `backendRef ${name}/${home} not accessible to a ${from.kind} in namespace "${from.namespace}" (missing a ReferenceGrant?)`,
    }
  }
  if (port === undefined) return { reason: 'InvalidDestination', message: 'port is required in backendRef' }
  const hostname = isHost ? name : `${name}.${home}.svc.${view.mesh.clusterDomain}`
  const target = isHost ? targetOfHost(view, hostname, from.namespace) : targetOfService(view, home, name)
  if (!target) return { reason: 'BackendNotFound', message: `backend(${hostname}) not found` }
  return { target, port }
}

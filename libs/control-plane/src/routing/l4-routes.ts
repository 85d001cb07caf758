import type { TcpRoute, TlsRoute } from '@ambient-lab/api'
import type { TcpRoute as L4Route } from '@ambient-lab/xds'
import { type RouteFinding, resolveBackend } from './backends.ts'
import { backendCluster } from './http-route.ts'
import type { RouteContext } from './route-context.ts'

/** Rules of a TCPRoute, or of a TLSRoute for the server names given. */
export function l4Routes(route: TcpRoute | TlsRoute, serverNames: readonly string[], context: RouteContext): L4Route[] {
  const { namespace = '', name } = route.metadata
  const from = { kind: route.kind, namespace }
  return (route.spec?.rules ?? []).map(({ backendRefs }, index) => ({
    name: `${namespace}.${name}.${index}`,
    serverNames,
    destinationCidrs: [],
    backends: backendRefs.map((backend) => {
      const cluster = backendCluster(backend, from, context)
      return { ...(cluster !== undefined && { cluster }), weight: backend.weight ?? 1 }
    }),
  }))
}

export function l4RouteFindings(route: TcpRoute | TlsRoute, { view, enforceGrants }: RouteContext): RouteFinding[] {
  const from = { kind: route.kind, namespace: route.metadata.namespace ?? '' }
  return (route.spec?.rules ?? []).flatMap(({ backendRefs }) =>
    backendRefs.flatMap((backend) => {
      const resolved = resolveBackend(view, backend, from, enforceGrants)
      return 'reason' in resolved ? resolved : []
    }),
  )
}

import type { Resource } from '@ambient-lab/api'
import type { Route } from '@ambient-lab/xds'
import { type KnownType, SERVICES } from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { serviceRoutes, waypointSide } from './service-chain.ts'
import { serviceTarget } from './targets.ts'

export const WAYPOINT = { namespace: 'default', name: 'waypoint' }

/** A Service of the namespace `default` unless its name says another: `other/reviews`. */
export function service(name: string, ports: readonly object[] = [{ name: 'http', port: 80 }]): Resource {
  const [namespace, own] = name.includes('/') ? name.split('/') : ['default', name]
  const metadata = { name: own!, namespace: namespace! }
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: { app: own }, ports } }
}

/** An HTTPRoute of the Service `reviews`, with these rules. */
export function httpRoute(name: string, rules: readonly object[], more: object = {}): Resource {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 'default', ...more },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: 'reviews' }], rules },
  }
}

export function virtualService(name: string, spec: object, more: object = {}): Resource {
  const metadata = { name, namespace: 'default', ...more }
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec }
}

/** The routes of port 80 of `reviews` at its waypoint, among the objects given. */
export function routesAmong(objects: readonly [KnownType, Resource][], port = 80): Route[] {
  const reviews = service('reviews', [
    { name: 'http', port: 80 },
    { name: 'http-admin', port: 8080 },
  ])
  const view = viewOf([[SERVICES, reviews], ...objects])
  const target = serviceTarget(reviews as never, 'cluster.local')!
  const servicePort = target.ports.find((one) => one.servicePort === port)!
  return serviceRoutes(target, servicePort, waypointSide(WAYPOINT), view)
}

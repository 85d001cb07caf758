import type { TranslationView } from '../translate/view.ts'
import type { ClusterNamer } from './cluster-names.ts'

/** What the translation of a route reads besides the route. */
export interface RouteContext {
  readonly view: TranslationView
  readonly clusterOf: ClusterNamer
  /** Whether a ReferenceGrant is needed to send to other namespaces: at gateways, not for a service of the mesh. */
  readonly enforceGrants: boolean
}

import type { TranslationView } from '../translate/view.ts'
import type { ClusterNamer } from './cluster-names.ts'

/** What the translation of a route reads besides the route. */
export interface RouteContext {
  readonly view: TranslationView
  readonly clusterOf: ClusterNamer
}

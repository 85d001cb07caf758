import { defineCatalog } from '@ambient-lab/std'
import { FILTER_PHASES, type FilterContext, type HttpFilterDefinition, type HttpFilterFactory } from './filter.ts'
import catalog from './filters/_catalog.ts'

/** Every filter of the catalogue, in the order of the chain. */
export const HTTP_FILTERS: readonly HttpFilterDefinition[] = [
  ...defineCatalog<HttpFilterDefinition>(catalog, ({ name }) => name).values(),
].sort((a, b) => FILTER_PHASES.indexOf(a.phase) - FILTER_PHASES.indexOf(b.phase))

/** The filters that have something to do on a route, in order; the last one answers. */
export function compileFilters(context: FilterContext): readonly HttpFilterFactory[] {
  return HTTP_FILTERS.flatMap((definition) => definition.create(context) ?? [])
}

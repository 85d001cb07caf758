import { defineCatalog } from '@ambient-lab/std'
import { comparePlaces, type FilterContext, type HttpFilterDefinition, type RouteFilter } from './filter.ts'
import catalog from './filters/_catalog.ts'

/** Every filter of the catalogue, in the order of the chain. */
export const HTTP_FILTERS: readonly HttpFilterDefinition[] = [
  ...defineCatalog<HttpFilterDefinition>(catalog, ({ name }) => name).values(),
].sort(comparePlaces)

/** The filters that have something to do on a route, in order; the last one answers. */
export function compileFilters(context: FilterContext): readonly RouteFilter[] {
  return HTTP_FILTERS.flatMap((definition) => {
    const create = definition.create(context)
    return create ? [{ place: definition, create }] : []
  })
}

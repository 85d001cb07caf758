import type { Handler, ResourceRequest, Services } from '../api-request.ts'
import type { VirtualList } from '../hooks.ts'
import { notFound } from '../status-error.ts'
import { renderList, renderObject } from '../table/representation.ts'
import { parseSelection } from './selection.ts'

/** A list that is computed now; it has no revision, so it cannot be watched. */
export const listVirtual: Handler = async (request, services) => {
  const { items, annotations } = await query(request, services)
  const meta = { resourceVersion: '', ...(annotations && { annotations }) }
  return { status: 200, body: renderList(items, meta, request.rendering) }
}

export const getVirtual: Handler = async (request, services) => {
  const { items } = await query(request, services)
  const object = items.find(({ metadata }) => metadata.name === request.route.name)
  if (!object) throw notFound(request.kind.named, request.route.name!)
  return { status: 200, body: renderObject(object, request.rendering) }
}

/** What the source answers, filtered again: it may ignore the selectors. */
async function query(request: ResourceRequest, { hooks }: Services): Promise<VirtualList> {
  const { kind, route, user, signal } = request
  const selection = parseSelection(request.query, undefined)
  const source = hooks.virtual?.[kind.type]
  if (!source) return { items: [] }
  const list = await source.list({
    namespace: route.namespace,
    name: route.name,
    labelSelector: request.query.get('labelSelector') ?? '',
    fieldSelector: request.query.get('fieldSelector') ?? '',
    user,
    signal,
  })
  const items = list.items.filter(
    (object) =>
      (route.namespace === undefined || object.metadata.namespace === route.namespace) && selection.matches(object),
  )
  return { ...list, items }
}

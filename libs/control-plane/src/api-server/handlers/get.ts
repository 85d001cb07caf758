import { type Handler, keyOf } from '../api-request.ts'
import { notFound } from '../status-error.ts'
import { renderObject } from '../table/representation.ts'

/** One object; the status subresource reads the whole object too, as in Kubernetes. */
export const getObject: Handler = (request, { store }) => {
  const object = store.get(request.kind.type, keyOf(request))
  if (!object) throw notFound(request.kind.named, request.route.name!)
  return { status: 200, body: renderObject(object, request.rendering) }
}

import type { Resource } from '@ambient-lab/api'
import { type Handler, keyOf } from '../api-request.ts'
import { carryOut, prepareUpdate, toResource } from '../object-write.ts'
import { badRequest, notFound } from '../status-error.ts'
import { renderObject } from '../table/representation.ts'
import { readObject } from './create.ts'

/** PUT: replaces a whole object, or its status alone, if it is still the one that the caller read. */
export const updateObject: Handler = async (request, services) => {
  const incoming = toResource(await readObject(request), request)
  const name = request.route.name!
  if (incoming.metadata.name !== undefined && incoming.metadata.name !== name) {
    throw badRequest(`the name of the object (${incoming.metadata.name}) does not match the name on the URL (${name})`)
  }
  let last: Resource | undefined
  const stored = await carryOut(request, services, keyOf(request), (current) => {
    if (!current) throw notFound(request.kind.named, name)
    last = current
    return prepareUpdate(current, incoming, request, services)
  })
  return { status: 200, body: renderObject(stored ?? last!, request.rendering) }
}

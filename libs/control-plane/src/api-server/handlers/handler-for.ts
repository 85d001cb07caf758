import type { Handler, ResourceRequest } from '../api-request.ts'
import { methodNotAllowed, unknownPath } from '../status-error.ts'
import { applyBatch, BATCH_TYPE } from './batch.ts'
import { createObject, createOnly } from './create.ts'
import { deleteCollection, deleteObject } from './delete.ts'
import { getObject } from './get.ts'
import { listObjects } from './list.ts'
import { patchObject } from './patch.ts'
import { getScale, SCALABLE, setScale } from './scale.ts'
import { updateObject } from './update.ts'
import { getVirtual, listVirtual } from './virtual.ts'
import { watchObjects } from './watch.ts'

const STORED: Readonly<Record<ResourceRequest['route']['verb'], Handler>> = {
  get: getObject,
  list: listObjects,
  watch: watchObjects,
  create: createObject,
  update: updateObject,
  patch: patchObject,
  delete: deleteObject,
  deletecollection: deleteCollection,
}

/**
 * The function that carries out a request.
 * @throws StatusError 404 for an unknown subresource, 405 for a verb that the type does not have
 */
export function handlerFor({ kind, route }: ResourceRequest): Handler {
  if (route.subresource !== undefined) return subresourceHandler(kind, route)
  if (!kind.verbs.includes(route.verb)) throw methodNotAllowed()
  if (kind.definition.virtual) return route.verb === 'get' ? getVirtual : listVirtual
  if (kind.type === BATCH_TYPE) return applyBatch
  return kind.verbs.includes('list') ? STORED[route.verb] : createOnly
}

function subresourceHandler(
  { type, definition }: ResourceRequest['kind'],
  { subresource, verb }: ResourceRequest['route'],
): Handler {
  const writes = verb === 'update' || verb === 'patch'
  if (subresource === 'status' && definition.statusSubresource !== false && !definition.virtual) {
    if (verb !== 'get' && !writes) throw methodNotAllowed()
    return STORED[verb]
  }
  if (subresource === 'scale' && SCALABLE.has(type)) {
    if (verb !== 'get' && !writes) throw methodNotAllowed()
    return writes ? setScale : getScale
  }
  throw unknownPath()
}

import { jsonPatch, mergePatch, type Resource } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type { ObjectWrite } from '../../store/store.ts'
import { type Handler, keyOf, type ResourceRequest, type Services } from '../api-request.ts'
import { checkMediaType, isJsonObject, parseBody, readBody } from '../body.ts'
import { carryOut, prepareCreate, prepareUpdate, toResource } from '../object-write.ts'
import { applyConfiguration } from '../patch/apply.ts'
import { strategicMergePatch } from '../patch/strategic-merge-patch.ts'
import { badRequest, notFound, StatusError } from '../status-error.ts'
import { renderObject } from '../table/representation.ts'

export const APPLY_TYPE = 'application/apply-patch+yaml'

type Patch = (current: Resource) => unknown

export const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  APPLY_TYPE,
] as const

/** Changes parts of an object. The patch is computed inside the write, so it never meets a stale object. */
export const patchObject: Handler = async (request, services) => {
  const mediaType = checkMediaType(request.http.headers['content-type'], PATCH_TYPES)
  const body = await parseBody(await readBody(request.http), mediaType)
  if (mediaType === APPLY_TYPE) return applyObject(body, request, services)
  const patch = patchOf(mediaType, body)
  let last: Resource | undefined
  const stored = await carryOut(request, services, keyOf(request), (current) => {
    if (!current) throw notFound(request.kind.named, request.route.name!)
    last = current
    return prepareUpdate(current, patched(current, patch, request), request, services)
  })
  return { status: 200, body: renderObject(stored ?? last!, request.rendering) }
}

/** Server-side apply: makes the object when there is none. */
const applyObject = async (body: unknown, request: ResourceRequest, services: Services) => {
  const { key, change } = appliedWrite(named(body, request.route.name!), request, services)
  let created = false
  let last: Resource | undefined
  const stored = await carryOut(request, services, key, (current) => {
    created = !current
    last = current
    return change(current)
  })
  return { status: created ? 201 : 200, body: renderObject(stored ?? last!, request.rendering) }
}

/** The change that an apply of this body is. @throws StatusError */
export function appliedWrite(body: unknown, request: ResourceRequest, services: Services): ObjectWrite {
  const manager = request.query.get('fieldManager')
  if (!manager)
    throw badRequest(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
  const applied = toResource(body, request)
  const nowMs = services.clock.now()
  const change = (current: Resource | undefined) => {
    const subresource = request.route.subresource
    if (!current && subresource !== undefined) throw notFound(request.kind.named, request.route.name!)
    const merged = applyConfiguration(current, applied, { manager, nowMs, ...(subresource && { subresource }) })
    return current ? prepareUpdate(current, merged, request, services) : prepareCreate(merged, request, services)
  }
  return { type: request.kind.type, key: keyOf(request), change }
}

function named(body: unknown, name: string): unknown {
  if (!isJsonObject(body)) return body
  const metadata = isJsonObject(body.metadata) ? body.metadata : {}
  if (metadata.name !== undefined && metadata.name !== name) {
    throw badRequest(
      `the name of the object (${JSON.stringify(metadata.name)}) does not match the name on the URL (${name})`,
    )
  }
  return { ...body, metadata: { ...metadata, name } }
}

function patchOf(mediaType: string, body: unknown): Patch {
  switch (mediaType) {
    case 'application/json-patch+json':
      return (current) => jsonPatch(current, body)
    case 'application/merge-patch+json':
      return (current) => mergePatch(current, objectBody(body))
    default:
      return (current) => strategicMergePatch(current, objectBody(body))
  }
}

function objectBody(body: unknown): object {
  if (!isJsonObject(body)) throw badRequest('the patch is not a JSON object')
  return body
}

/** @throws StatusError 422 when a path of a JSON patch is missing or a test fails, 400 when the patch is none */
function patched(current: Resource, patch: Patch, request: ResourceRequest): Resource {
  try {
    return toResource(atRequestedVersion(patch(current), current, request), request)
  } catch (error) {
    if (CodedError.is(error, 'PATCH_INVALID')) throw badRequest(error.message)
    if (CodedError.is(error, 'PATCH_FAILED')) {
      const message = `the server rejected our request due to an error in our request: ${error.message}`
      throw new StatusError(422, 'Invalid', message)
    }
    throw error
  }
}

/** The patch was made against the version of the path; the object is stored under its own. */
function atRequestedVersion(value: unknown, current: Resource, { kind }: ResourceRequest): unknown {
  if (!isJsonObject(value) || value.apiVersion !== current.apiVersion) return value
  return { ...value, apiVersion: kind.apiVersion }
}

import { objectKey, type Resource } from '@ambient-lab/api'
import { type Handler, keyOf, type ResourceRequest, type Services } from '../api-request.ts'
import { checkMediaType, isJsonObject, type JsonObject, OBJECT_TYPES, parseBody, readBody } from '../body.ts'
import { markDeleted } from '../deletion.ts'
import { admit, carryOut } from '../object-write.ts'
import { badRequest, conflict, notFound, qualifiedName, StatusError } from '../status-error.ts'
import { renderList, renderObject } from '../table/representation.ts'
import { orphanDependents } from './orphan.ts'
import { parseSelection } from './selection.ts'

/**
 * What happens to what the object owns. The garbage collector deletes it in the background; in the foreground we do the
 * same, since it follows within milliseconds.
 */
type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan'

/** metav1.DeleteOptions, from the body or the query. */
interface DeleteOptions {
  readonly graceSeconds: number | undefined
  readonly propagationPolicy: PropagationPolicy
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
}

/** One object: gone at once when nothing keeps it, marked when a finalizer or its grace does. */
export const deleteObject: Handler = async (request, services) => {
  const options = await readOptions(request)
  const { before, after } = await deleteOne(keyOf(request), options, request, services)
  if (after) return { status: 200, body: renderObject(after, request.rendering) }
  return { status: 200, body: JSON.stringify(success(before, request)) }
}

/** Every object of a type that the selectors take, one write each. */
export const deleteCollection: Handler = async (request, services) => {
  const options = await readOptions(request)
  const { kind, route, query } = request
  const selection = parseSelection(query, undefined)
  const namespace = route.namespace === undefined ? {} : { namespace: route.namespace }
  const doomed = services.store.list(kind.type, namespace).filter(selection.matches)
  const outcomes = await Promise.all(
    doomed.map(async (object) => {
      try {
        return [await deleteOne(objectKey(object.metadata), options, request, services)]
      } catch (error) {
        if (error instanceof StatusError && error.code === 'NotFound') return [] // somebody was faster
        throw error
      }
    }),
  )
  const objects = outcomes.flat().map(({ before, after }) => after ?? before)
  const meta = { resourceVersion: String(services.store.revision) }
  return { status: 200, body: renderList(objects, meta, request.rendering) }
}

async function deleteOne(
  key: string,
  options: DeleteOptions,
  request: ResourceRequest,
  services: Services,
): Promise<{ before: Resource; after: Resource | undefined }> {
  let before: Resource | undefined
  if (options.propagationPolicy === 'Orphan')
    orphanDependents(services.store.get(request.kind.type, key), request, services)
  const after = await carryOut(request, services, key, (current) => {
    if (!current) throw notFound(request.kind.named, key.slice(key.indexOf('/') + 1))
    before = current
    checkPreconditions(current, options, request)
    admit({ operation: 'delete', object: current, old: current }, request, services)
    return markDeleted(current, {
      nowMs: services.clock.now(),
      graceSeconds: graceOf(current, options, request, services),
    })
  })
  return { before: before!, after }
}

/** Grace exists only where someone ends it; an object that needs none gets none, whatever the caller says. */
function graceOf(object: Resource, options: DeleteOptions, { kind }: ResourceRequest, { hooks }: Services): number {
  const graceSeconds = hooks.graceSeconds?.[kind.type]?.(object) ?? 0
  return graceSeconds === 0 ? 0 : (options.graceSeconds ?? graceSeconds)
}

function checkPreconditions({ metadata }: Resource, options: DeleteOptions, { kind }: ResourceRequest): void {
  if (options.uid !== undefined && options.uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${metadata.uid}`
    throw conflict(kind.named, metadata.name, why)
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`
    throw conflict(kind.named, metadata.name, why)
  }
}

function success({ metadata }: Resource, { kind }: ResourceRequest) {
  const { group, resource } = kind.named
  const details = { name: metadata.name, ...(group !== '' && { group }), kind: resource, uid: metadata.uid }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
}

/** @throws StatusError 400 */
async function readOptions(request: ResourceRequest): Promise<DeleteOptions> {
  const bytes = await readBody(request.http)
  const body = bytes.length === 0 ? {} : await parseOptions(bytes, request)
  // kubectl says in the body what others say in the query.
  if (Array.isArray(body.dryRun))
    for (const value of body.dryRun)
      request.query.append('dryRun', typeof value === 'string' ? value : JSON.stringify(value))
  const preconditions = isJsonObject(body.preconditions) ? body.preconditions : {}
  return {
    graceSeconds: parseGrace(body.gracePeriodSeconds ?? request.query.get('gracePeriodSeconds') ?? undefined),
    propagationPolicy: parsePolicy(body, request),
    uid: textOf(preconditions.uid),
    resourceVersion: textOf(preconditions.resourceVersion),
  }
}

async function parseOptions(bytes: Buffer, { http }: ResourceRequest): Promise<JsonObject> {
  const mediaType = checkMediaType(http.headers['content-type'], OBJECT_TYPES)
  const body = await parseBody(bytes, mediaType)
  if (!isJsonObject(body)) throw badRequest('the delete options are not a JSON object')
  return body
}

function parsePolicy(body: JsonObject, { query, kind }: ResourceRequest): PropagationPolicy {
  const policy = body.propagationPolicy ?? query.get('propagationPolicy')
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy
  if (policy !== undefined && policy !== null && policy !== '') {
    throw badRequest(`invalid propagationPolicy ${JSON.stringify(policy)} for ${qualifiedName(kind.named)}`)
  }
  return body.orphanDependents === true ? 'Orphan' : 'Background'
}

function parseGrace(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const seconds = Number(value)
  if (!Number.isSafeInteger(seconds)) throw badRequest('gracePeriodSeconds must be an integer')
  // Kubernetes takes a negative grace for the shortest there is.
  return seconds < 0 ? 1 : seconds
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

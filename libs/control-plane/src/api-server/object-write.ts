import { isDeepStrictEqual } from 'node:util'
import {
  apiVersionOf,
  applyDefaults,
  type ObjectMeta,
  type Resource,
  timestamp,
  validateResource,
  validateSchema,
} from '@ambient-lab/api'
import type { ResourceRequest, Services } from './api-request.ts'
import { isJsonObject, type JsonObject } from './body.ts'
import { admitBuiltin } from './builtin-admission.ts'
import type { AdmissionRequest } from './hooks.ts'
import { creatableMetadata, isFinished, newUid, updatedMetadata, withGeneration } from './object-meta.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, conflict, invalid, modifiedMeanwhile } from './status-error.ts'

/**
 * The steps between a body and the store, the same for create, update, patch and apply. They run inside the store's
 * write, so that each sees the object that it replaces and nothing can come between.
 */

/** Of metadata: what the server itself reads before anything is validated. */
const TEXT_FIELDS = ['name', 'generateName', 'namespace', 'uid', 'resourceVersion']

/**
 * An incoming value as an object of the request's kind, under the stored version.
 * @throws StatusError 400 when it is another kind, or not an object at all
 */
export function toResource(value: unknown, { kind, route }: ResourceRequest): Resource {
  if (!isJsonObject(value)) throw badRequest('the object provided is not a JSON object')
  const { definition } = kind
  checkIdentity(value, kind)
  const metadata = (value.metadata ?? {}) as JsonObject
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = value
  return {
    apiVersion: apiVersionOf(definition),
    kind: definition.kind,
    metadata: { ...metadata, ...namespaceOf(metadata, route.namespace) } as unknown as ObjectMeta,
    ...rest,
  }
}

function checkIdentity(value: JsonObject, { definition, apiVersion }: ServedKind): void {
  const metadata = value.metadata ?? {}
  if (!isJsonObject(metadata)) throw badRequest('metadata is not an object')
  const wrong = TEXT_FIELDS.find((field) => (metadata[field] ?? '') !== '' && typeof metadata[field] !== 'string')
  if (wrong !== undefined) throw badRequest(`metadata.${wrong} must be a string`)
  const mismatch = (what: string, given: unknown, expected: string) =>
    badRequest(`the ${what} in the data (${JSON.stringify(given)}) does not match the expected ${what} (${expected})`)
  if (value.kind !== undefined && value.kind !== definition.kind) throw mismatch('kind', value.kind, definition.kind)
  if (value.apiVersion !== undefined && value.apiVersion !== apiVersion) {
    throw mismatch('API version', value.apiVersion, apiVersion)
  }
}

/** The path decides; a body may repeat it. */
function namespaceOf(metadata: JsonObject, namespace: string | undefined): object {
  const given = metadata.namespace || undefined
  if (given !== undefined && given !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  return namespace === undefined ? {} : { namespace }
}

/** @throws StatusError 422 with every finding, 400 for unknown fields under strict validation, 403 from admission */
export function prepareCreate(incoming: Resource, request: ResourceRequest, services: Services): Resource {
  const { kind } = request
  const { status, ...desired } = applyDefaults(kind.definition, incoming)
  const keepsStatus = kind.definition.statusSubresource === false && status !== undefined
  const object: Resource = {
    ...(desired as Resource),
    metadata: {
      ...creatableMetadata(incoming.metadata),
      uid: newUid(services.random),
      creationTimestamp: timestamp(services.clock.now()),
      generation: 1,
    },
    ...(keepsStatus && { status }),
  }
  validate(object, request)
  return admit({ operation: 'create', object, old: undefined }, request, services)
}

/**
 * @returns what to store: undefined when this update was the last thing that kept a deleted object, `old` itself when
 *   nothing changes
 * @throws StatusError 409 for a stale resourceVersion or another uid, else as prepareCreate
 */
export function prepareUpdate(
  old: Resource,
  incoming: Resource,
  request: ResourceRequest,
  services: Services,
): Resource | undefined {
  checkSameLife(old, incoming, request)
  const merged = mergeParts(old, applyDefaults(request.kind.definition, incoming), request)
  if (isStatusWrite(request)) validateStatus(merged, request)
  else validate(merged, request)
  checkFinalizers(old, merged, request)
  const admitted = admit({ operation: 'update', object: merged, old }, request, services)
  const next = withGeneration(old, admitted)
  if (isFinished(next)) return undefined
  return isDeepStrictEqual(next, old) ? old : next
}

function isStatusWrite({ route }: ResourceRequest): boolean {
  return route.subresource === 'status'
}

/** The status path changes the status alone, every other path everything but the status. */
function mergeParts(old: Resource, incoming: Resource, request: ResourceRequest): Resource {
  const { status: oldStatus, ...oldRest } = old
  const { status, ...rest } = incoming
  if (isStatusWrite(request)) return { ...(oldRest as Resource), ...(status !== undefined && { status }) }
  const kept = request.kind.definition.statusSubresource === false ? status : oldStatus
  const metadata = updatedMetadata(old.metadata, incoming.metadata)
  return { ...(rest as Resource), metadata, ...(kept !== undefined && { status: kept }) }
}

function checkSameLife(old: Resource, incoming: Resource, { kind }: ResourceRequest): void {
  const { resourceVersion, uid } = incoming.metadata
  const { name } = old.metadata
  if (uid && uid !== old.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`
    throw conflict(kind.named, name, why)
  }
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw modifiedMeanwhile(kind.named, name)
}

/** An object that is on its way out gets no new reason to stay. */
function checkFinalizers(old: Resource, next: Resource, { kind }: ResourceRequest): void {
  if (old.metadata.deletionTimestamp === undefined) return
  const before = old.metadata.finalizers ?? []
  const added = (next.metadata.finalizers ?? []).filter((finalizer) => !before.includes(finalizer))
  if (added.length === 0) return
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
  throw invalid(kind.definition, old.metadata.name, [{ path: 'metadata.finalizers', message }])
}

function validate(object: Resource, request: ResourceRequest): void {
  const { definition, apiVersion } = request.kind
  const { errors, unknownFields } = validateResource(definition, object)
  const listErrors = validateLists(object.metadata)
  if (errors.length + listErrors.length > 0) {
    throw invalid(definition, object.metadata.name ?? object.metadata.generateName ?? '', [...errors, ...listErrors])
  }
  const mode = request.query.get('fieldValidation') || 'Warn'
  if (mode === 'Ignore' || unknownFields.length === 0) return
  const texts = unknownFields.map(({ path, message }) => message.replace('unknown field', `unknown field "${path}"`))
  if (mode !== 'Strict') {
    request.warnings.push(...texts)
    return
  }
  const list = texts.join(', ')
  const version = apiVersion.split('/').at(-1)
  throw badRequest(
    `${definition.kind} in version "${version}" cannot be handled as a ${definition.kind}: strict decoding error: ${list}`,
  )
}

/** The status alone: whoever writes it is not to blame for the rest. */
function validateStatus({ metadata, status }: Resource, { kind }: ResourceRequest): void {
  const schema = kind.definition.schema.properties?.status
  if (!schema || status === undefined) return
  const { errors } = validateSchema(schema, status, 'status')
  if (errors.length > 0) throw invalid(kind.definition, metadata.name, errors)
}

/** Lists of metadata that others walk without looking twice. */
function validateLists({ finalizers, ownerReferences }: ObjectMeta) {
  const fits = (value: unknown, item: (entry: unknown) => boolean) =>
    value === undefined || (Array.isArray(value) && value.every(item))
  const wrong = (path: string, wanted: string) => [{ path, message: `Invalid value: must be a list of ${wanted}` }]
  return [
    ...(fits(finalizers, (entry) => typeof entry === 'string') ? [] : wrong('metadata.finalizers', 'names')),
    ...(fits(ownerReferences, isOwnerReference) ? [] : wrong('metadata.ownerReferences', 'owner references')),
  ]
}

function isOwnerReference(entry: unknown): boolean {
  return isJsonObject(entry) && ['apiVersion', 'kind', 'name', 'uid'].every((field) => typeof entry[field] === 'string')
}

/** Runs our own rules, then what others plugged in; collects what they have to say. */
export function admit(
  review: Pick<AdmissionRequest, 'operation' | 'object' | 'old'>,
  request: ResourceRequest,
  services: Services,
): Resource {
  const { kind, route, user, query } = request
  const subresource = route.subresource
  const base = { kind: kind.definition, type: kind.type, user, subresource, dryRun: isDryRun(query) }
  let { object } = review
  for (const hook of [admitBuiltin(services), ...(services.hooks.admission ?? [])]) {
    const result = hook.admit({ ...base, ...review, object })
    request.warnings.push(...(result?.warnings ?? []))
    object = result?.object ?? object
  }
  if (review.operation !== 'delete' && subresource === undefined) {
    request.warnings.push(...(services.hooks.warnings?.(object, kind.definition) ?? []))
  }
  return object
}

/** @throws StatusError 400 */
export function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '')
  const unknown = values.find((value) => value !== 'All')
  if (unknown !== undefined)
    throw badRequest(`invalid dryRun value ${JSON.stringify(unknown)}: supported values: "All"`)
  return values.length > 0
}

/**
 * Carries a change out, or only computes what it would give when the request is a dry run.
 * @returns the object as stored, undefined when it is gone
 */
export async function carryOut(
  request: ResourceRequest,
  { store }: Services,
  key: string,
  change: (current: Resource | undefined) => Resource | undefined,
): Promise<Resource | undefined> {
  if (isDryRun(request.query)) return change(store.get(request.kind.type, key))
  return store.write(request.kind.type, key, change)
}

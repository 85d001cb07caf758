import { isDeepStrictEqual } from 'node:util'
import { type Resource, serverSideApply, timestamp } from '@ambient-lab/api'
import { isJsonObject, type JsonObject } from '../body.ts'
import { fromFields, toFields } from './managed-fields.ts'

export interface ApplyOptions {
  /** Whose configuration this is: `kubectl`, `ambient`. */
  readonly manager: string
  readonly nowMs: number
  readonly subresource?: string
}

/** Set by the server or by the path, so never a manager's own. */
const UNMANAGED_METADATA = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'managedFields',
  'creationTimestamp',
  'generation',
])

/**
 * The object that an applied configuration makes of `current`, with a note in `managedFields` of what the manager now
 * says, so that its next apply can take back what it no longer does. Pure.
 */
export function applyConfiguration(current: Resource | undefined, applied: Resource, options: ApplyOptions): Resource {
  const entries = (current?.metadata.managedFields ?? []).filter(isJsonObject)
  const own = entries.find((entry) => isOwn(entry, options))
  const { resourceVersion, uid, managedFields: _, ...metadata } = applied.metadata
  const merged = serverSideApply(current, { ...applied, metadata }, fromFields(own?.fieldsV1))
  const fieldsV1 = toFields(managedPart(applied))
  const unchanged = own !== undefined && isDeepStrictEqual(own.fieldsV1, fieldsV1)
  const entry = unchanged ? own : newEntry(applied, fieldsV1, options)
  const managedFields = [...entries.filter((other) => other !== own), entry]
  // The caller's own preconditions go on to be checked; without one the object in hand is the one meant.
  const preconditions = { ...(resourceVersion && { resourceVersion }), ...(uid && { uid }) }
  return { ...merged, metadata: { ...merged.metadata, ...preconditions, managedFields } }
}

function isOwn(entry: JsonObject, { manager, subresource }: ApplyOptions): boolean {
  return entry.manager === manager && entry.operation === 'Apply' && (entry.subresource ?? '') === (subresource ?? '')
}

function managedPart({ apiVersion: _, kind: __, metadata, ...rest }: Resource): JsonObject {
  const managed = Object.fromEntries(Object.entries(metadata).filter(([name]) => !UNMANAGED_METADATA.has(name)))
  return Object.keys(managed).length > 0 ? { metadata: managed, ...rest } : rest
}

function newEntry(
  { apiVersion }: Resource,
  fieldsV1: JsonObject,
  { manager, nowMs, subresource }: ApplyOptions,
): JsonObject {
  return {
    manager,
    operation: 'Apply',
    apiVersion,
    time: timestamp(nowMs),
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource && { subresource }),
  }
}

import { type FieldError, findKind, type KindDefinition, type Resource, validateResource } from '@ambient-lab/api'
import { badRequest, invalid } from './api-server/index.ts'
import type { StoreType } from './store/store.ts'

/** Objects that a review brings along, as they would be applied. */

/** @throws StatusError when the lab has no such kind, or it has no name */
export function proposedKind(object: Pick<Resource, 'apiVersion' | 'kind' | 'metadata'>): KindDefinition {
  const definition = findKind(object)
  if (!definition) throw badRequest(`there is no kind ${object.kind} in ${object.apiVersion}`)
  if (typeof object.metadata?.name !== 'string') throw badRequest(`a ${object.kind} without metadata.name`)
  return definition
}

/**
 * In its namespace, `default` when it names none.
 * @throws StatusError when it is none that the API would take
 */
export function proposedObject(object: Resource): Resource {
  const definition = proposedKind(object)
  const whole = placed(definition, object)
  const errors: readonly FieldError[] = validateResource(definition, whole).errors
  if (errors.length > 0) throw invalid(definition, whole.metadata.name, errors)
  return whole
}

export function storeType({ group, plural }: Pick<KindDefinition, 'group' | 'plural'>): StoreType {
  return `${group}/${plural}`
}

export function placed<R extends Pick<Resource, 'metadata'>>(definition: KindDefinition, object: R): R {
  if (definition.scope === 'Cluster' || object.metadata.namespace) return object
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } }
}

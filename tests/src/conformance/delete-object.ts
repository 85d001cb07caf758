import { type KindDefinition, parseApiVersion, type Resource } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { CodedError } from '@ambient-lab/std'

/** Takes an object away again; one that is not there is fine: a case may write one object twice. */
export async function deleteObject(
  client: ApiClient,
  { definition, object }: { readonly definition: Pick<KindDefinition, 'plural'>; readonly object: Resource },
): Promise<void> {
  const { name, namespace } = object.metadata
  try {
    await client.delete({ ...parseApiVersion(object.apiVersion), resource: definition.plural }, { name, namespace })
  } catch (error) {
    if (!CodedError.is(error, 'NOT_FOUND')) throw error
  }
}

import { isDeepStrictEqual } from 'node:util'
import { type Batch, type BatchResult, findKind, parseApiVersion, type Resource } from '@ambient-lab/api'
import { isStoreFailure } from '../../cluster.ts'
import { jsonText } from '../../store/json-text.ts'
import type { ObjectWrite } from '../../store/store.ts'
import type { Handler, ResourceRequest, Services } from '../api-request.ts'
import { isJsonObject } from '../body.ts'
import { isDryRun, prepareCreate } from '../object-write.ts'
import { errorStatus } from '../reply.ts'
import type { ResourceRoute } from '../router.ts'
import { badRequest, StatusError, unknownPath } from '../status-error.ts'
import { readObject } from './create.ts'
import { appliedWrite } from './patch.ts'

export const BATCH_TYPE = 'ambient.lab/batches'

type Refused = Extract<BatchResult, { outcome: 'refused' }>
type Accepted = Exclude<BatchResult, Refused>

/** One object of a batch as a request of its own, and what the write found out. */
interface Item {
  readonly write: ObjectWrite
  readonly warnings: readonly string[]
  previous?: Resource | undefined
}

/**
 * Applies objects together: each as a server-side apply of its own would, all of them in one transaction of the store
 * or none.
 */
export const applyBatch: Handler = async (request, services) => {
  const batch = prepareCreate(toBatch(await readObject(request), request), request, services) as Batch
  const refusals: (Refused & { index: number })[] = []
  const refuse = (index: number, error: unknown) => {
    refusals.push({ index, outcome: 'refused', refusal: { ...errorStatus(error) } })
  }
  const items = batch.spec!.objects.map((object, index) => {
    try {
      return itemOf(object, request, services, (error) => refuse(index, error))
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      refuse(index, error)
      return undefined
    }
  })
  const writes = items.flatMap((item) => item?.write ?? [])
  const dryRun = isDryRun(request.query) || refusals.length > 0
  const stored = await services.store.writeAll(writes, { dryRun }).catch((error: unknown) => {
    // Each refusal was noted where it was thrown; that the disk is full is no object's own.
    if (refusals.length === 0 || isStoreFailure(error)) throw error
  })
  const results =
    stored && refusals.length === 0
      ? stored.map((object, index) => resultText(index, items[index]!, object ?? items[index]!.previous!))
      : refusals.toSorted((a, b) => a.index - b.index).map((refused) => JSON.stringify(refused))
  const { spec: _, ...head } = batch
  return { status: 201, body: `${JSON.stringify(head).slice(0, -1)},"status":{"results":[${results.join(',')}]}}` }
}

/** Nobody looks a batch up: it needs no name of its own. */
function toBatch(value: unknown, { kind: { definition, apiVersion } }: ResourceRequest): Resource {
  if (!isJsonObject(value)) throw badRequest('the object provided is not a JSON object')
  return { apiVersion, kind: definition.kind, metadata: { name: 'batch' }, spec: value.spec }
}

function itemOf(
  object: Resource,
  request: ResourceRequest,
  services: Services,
  onRefused: (error: unknown) => void,
): Item {
  const own = requestOf(object, request, services)
  const write = appliedWrite(object, own, services)
  const item: Item = {
    warnings: own.warnings,
    write: {
      ...write,
      change(current) {
        item.previous = current
        try {
          return write.change(current)
        } catch (error) {
          if (error instanceof StatusError) onRefused(error)
          throw error
        }
      },
    },
  }
  return item
}

/** What the request for this object alone would have been. */
function requestOf(object: Resource, request: ResourceRequest, { kinds }: Services): ResourceRequest {
  const { apiVersion, kind: kindName, metadata } = object
  if (typeof apiVersion !== 'string' || typeof kindName !== 'string') throw badRequest('an object without a kind')
  const definition = findKind({ apiVersion, kind: kindName })
  const { group, version } = parseApiVersion(apiVersion)
  const kind = definition && kinds.find(group, version, definition.plural)
  if (!kind?.verbs.includes('patch')) throw unknownPath()
  const { name, namespace } = isJsonObject(metadata) ? metadata : {}
  if (typeof name !== 'string' || name === '') throw badRequest('an object without a name')
  if (kind.namespaced !== (typeof namespace === 'string' && namespace !== '')) {
    throw badRequest(`${kindName} "${name}": ${kind.namespaced ? 'a namespace is required' : 'it is in no namespace'}`)
  }
  const route: ResourceRoute = {
    type: 'resource',
    verb: 'patch',
    group,
    version,
    resource: kind.definition.plural,
    namespace: kind.namespaced ? String(namespace) : undefined,
    name,
    subresource: undefined,
  }
  return { ...request, kind, route, rendering: { ...request.rendering, kind }, warnings: [] }
}

/** Objects as they are stored are texts already. */
function resultText(index: number, { previous, warnings }: Item, object: Resource): string {
  const outcome = outcomeOf(previous, object)
  const rest = {
    ...{ index, outcome },
    ...(warnings.length > 0 && { warnings }),
    ...(outcome === 'changed' && { previous }),
  } satisfies Partial<Accepted> & { index: number }
  return `${JSON.stringify(rest).slice(0, -1)},"object":${jsonText(object)}}`
}

/** By content: a new note of who owns which field is no change, nor is a status, which is others' to write. */
function outcomeOf(previous: Resource | undefined, object: Resource): Accepted['outcome'] {
  if (!previous) return 'created'
  return previous === object || isDeepStrictEqual(contentOf(previous), contentOf(object)) ? 'unchanged' : 'changed'
}

function contentOf({ status: _, metadata, ...content }: Resource): unknown {
  const { resourceVersion: __, managedFields: ___, ...rest } = metadata
  return { ...content, metadata: rest }
}

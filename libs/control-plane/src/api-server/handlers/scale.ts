import { formatLabelSelector, jsonPatch, type LabelSelector, mergePatch, type Resource } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import { type Handler, keyOf, type ResourceRequest } from '../api-request.ts'
import { checkMediaType, isJsonObject, type JsonObject, parseBody, readBody } from '../body.ts'
import { carryOut, prepareUpdate } from '../object-write.ts'
import { badRequest, invalid, notFound } from '../status-error.ts'
import { readObject } from './create.ts'

/** Types whose `spec.replicas` can be read and set by itself, as `kubectl scale` does. */
export const SCALABLE = new Set(['apps/deployments', 'apps/replicasets'])

const MERGE_TYPES = ['application/merge-patch+json', 'application/strategic-merge-patch+json']
const JSON_PATCH_TYPE = 'application/json-patch+json'

export const getScale: Handler = (request, { store }) => {
  const object = store.get(request.kind.type, keyOf(request))
  if (!object) throw notFound(request.kind.named, request.route.name!)
  return { status: 200, body: JSON.stringify(scaleOf(object)) }
}

/** PUT and PATCH alike: the new scale is computed from the current one inside the write. */
export const setScale: Handler = async (request, services) => {
  const change = await readChange(request)
  const stored = await carryOut(request, services, keyOf(request), (current) => {
    if (!current) throw notFound(request.kind.named, request.route.name!)
    return prepareUpdate(current, scaled(current, change(scaleOf(current)), request), request, services)
  })
  return { status: 200, body: JSON.stringify(scaleOf(stored!)) }
}

async function readChange(request: ResourceRequest): Promise<(scale: JsonObject) => unknown> {
  if (request.route.verb === 'update') {
    const scale = await readObject(request)
    return () => scale
  }
  const mediaType = checkMediaType(request.http.headers['content-type'], [...MERGE_TYPES, JSON_PATCH_TYPE])
  const patch = await parseBody(await readBody(request.http), mediaType)
  return (scale) => (mediaType === JSON_PATCH_TYPE ? applyJsonPatch(scale, patch) : mergePatch(scale, patch))
}

function applyJsonPatch(scale: JsonObject, patch: unknown): unknown {
  try {
    return jsonPatch(scale, patch)
  } catch (error) {
    if (error instanceof CodedError) throw badRequest(error.message)
    throw error
  }
}

function scaled(current: Resource, scale: unknown, { kind }: ResourceRequest): Resource {
  const spec = isJsonObject(scale) && isJsonObject(scale.spec) ? scale.spec : {}
  const replicas = spec.replicas ?? 0
  if (!Number.isSafeInteger(replicas) || Number(replicas) < 0) {
    const message = `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`
    throw invalid(kind.definition, current.metadata.name, [{ path: 'spec.replicas', message }])
  }
  const metadata = isJsonObject(scale) && isJsonObject(scale.metadata) ? scale.metadata : {}
  const resourceVersion = metadata.resourceVersion
  return {
    ...current,
    metadata: {
      ...current.metadata,
      ...(typeof resourceVersion === 'string' && resourceVersion && { resourceVersion }),
    },
    spec: { ...(current.spec as object), replicas },
  }
}

function scaleOf({ metadata, spec, status }: Resource): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
  const { replicas = 1, selector } = (spec ?? {}) as { replicas?: number; selector?: LabelSelector }
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas },
    status: {
      replicas: (status as { replicas?: number } | undefined)?.replicas ?? 0,
      selector: formatLabelSelector(selector),
    },
  }
}

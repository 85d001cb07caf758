import { objectKey, type Resource } from '@ambient-lab/api'
import type { Handler, ResourceRequest, Services } from '../api-request.ts'
import { checkMediaType, OBJECT_TYPES, parseBody, readBody } from '../body.ts'
import { GENERATE_NAME_ATTEMPTS_MAX } from '../limits.ts'
import { generateName } from '../object-meta.ts'
import { carryOut, isDryRun, prepareCreate, toResource } from '../object-write.ts'
import { alreadyExists, badRequest, StatusError } from '../status-error.ts'
import { renderObject } from '../table/representation.ts'

/** Makes a new object, with a name of our making when only `generateName` is given. */
export const createObject: Handler = async (request, services) => {
  const incoming = toResource(await readObject(request), request)
  if (incoming.metadata.resourceVersion) {
    throw badRequest('resourceVersion should not be set on objects to be created')
  }
  const created = await createNamed(incoming, request, services)
  return { status: 201, body: renderObject(created, request.rendering) }
}

/** Kinds that exist only in the answer to their creation. */
export const createOnly: Handler = async (request, services) => {
  const incoming = withName(withPrefix(toResource(await readObject(request), request)), services)
  const object = prepareCreate(incoming, request, services)
  const handler = services.hooks.createOnly![request.kind.type]!
  const answer = await handler({ object, user: request.user, dryRun: isDryRun(request.query) })
  return { status: 201, body: renderObject(answer, request.rendering) }
}

/** What nobody will look up needs no name of its caller's choice. */
function withPrefix(object: Resource): Resource {
  const { name, generateName: prefix = `${object.kind.toLowerCase()}-`, ...rest } = object.metadata
  return { ...object, metadata: { ...rest, name, ...(!name && { generateName: prefix }) } }
}

/** A body that is one object: JSON, YAML for those who write by hand, protobuf for those who cannot be stopped. */
export async function readObject({ http }: ResourceRequest): Promise<unknown> {
  const mediaType = checkMediaType(http.headers['content-type'], OBJECT_TYPES)
  return parseBody(await readBody(http), mediaType)
}

/** Tries another name when a generated one is taken. */
async function createNamed(incoming: Resource, request: ResourceRequest, services: Services): Promise<Resource> {
  for (let attempt = 1; ; attempt++) {
    const named = withName(incoming, services)
    try {
      return await createOnce(named, request, services)
    } catch (error) {
      const taken = error instanceof StatusError && error.code === 'AlreadyExists' && named !== incoming
      if (!taken || attempt === GENERATE_NAME_ATTEMPTS_MAX) throw error
    }
  }
}

async function createOnce(incoming: Resource, request: ResourceRequest, services: Services): Promise<Resource> {
  const { name } = incoming.metadata
  const created = await carryOut(request, services, objectKey(incoming.metadata), (current) => {
    if (current) throw alreadyExists(request.kind.named, name)
    return prepareCreate(incoming, request, services)
  })
  return created!
}

/** The same object when it has a name already, or no usable prefix: validation tells what is wrong. */
function withName(object: Resource, { random }: Services): Resource {
  const { name, generateName: prefix } = object.metadata
  if (name || typeof prefix !== 'string' || prefix === '') return object
  return { ...object, metadata: { ...object.metadata, name: generateName(prefix, random) } }
}

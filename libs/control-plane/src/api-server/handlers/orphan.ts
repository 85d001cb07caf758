import { objectKey, type Resource } from '@ambient-lab/api'
import type { ResourceRequest, Services } from '../api-request.ts'
import { isDryRun } from '../object-write.ts'

/**
 * Cuts what `owner` owns loose, so that nobody deletes it after its owner. The writes are asked for and not waited for:
 * the store carries them out before the owner's own deletion, which is asked for next.
 */
export function orphanDependents(owner: Resource | undefined, request: ResourceRequest, services: Services): void {
  const uid = owner?.metadata.uid
  if (uid === undefined || isDryRun(request.query)) return
  const types = new Set(services.kinds.all.filter(({ verbs }) => verbs.includes('delete')).map(({ type }) => type))
  for (const type of types) {
    for (const object of services.store.list(type)) {
      if (!isOwnedBy(object, uid)) continue
      const cut = services.store.write(type, objectKey(object.metadata), (current) => current && disowned(current, uid))
      // The disk's refusal reaches the caller through the owner's deletion, which shares the transaction.
      cut.catch(() => {})
    }
  }
}

function isOwnedBy({ metadata }: Resource, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false
}

function disowned(object: Resource, uid: string): Resource {
  if (!isOwnedBy(object, uid)) return object
  const { ownerReferences = [], ...metadata } = object.metadata
  const left = ownerReferences.filter((owner) => owner.uid !== uid)
  return { ...object, metadata: { ...metadata, ...(left.length > 0 && { ownerReferences: left }) } }
}

import { isDeepStrictEqual } from 'node:util'
import type { ObjectMeta, Resource } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'

/** Letters that form no words by accident; Kubernetes' own choice. */
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789'
const NAME_SUFFIX_LENGTH = 5
/** Names are cut so that the suffix fits a DNS label. */
const NAME_PREFIX_LENGTH_MAX = 58

export function generateName(prefix: string, random: Random): string {
  const suffix = Array.from({ length: NAME_SUFFIX_LENGTH }, () => NAME_LETTERS[random.integer(NAME_LETTERS.length)])
  return prefix.slice(0, NAME_PREFIX_LENGTH_MAX) + suffix.join('')
}

/** A version 4 UUID. It tells two lives of one name apart and is no secret, so the seeded source will do. */
export function newUid(random: Random): string {
  const digits = Array.from({ length: 32 }, () => random.integer(16))
  digits[12] = 4
  digits[16] = 8 + (digits[16]! & 3)
  const hex = digits.map((digit) => digit.toString(16)).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** What of a new object's metadata is the caller's to say. */
export function creatableMetadata(metadata: ObjectMeta): ObjectMeta {
  const { name, generateName, namespace, labels, annotations, ownerReferences, finalizers, managedFields } = metadata
  return withoutUndefined({
    name,
    generateName,
    namespace,
    labels,
    annotations,
    ownerReferences,
    finalizers,
    managedFields,
  })
}

/** An update's metadata: what identifies the object and its life stays as it was. */
export function updatedMetadata(old: ObjectMeta, incoming: ObjectMeta): ObjectMeta {
  const { name, namespace, generateName, uid, creationTimestamp, generation, resourceVersion } = old
  const { deletionTimestamp, deletionGracePeriodSeconds } = old
  const { labels, annotations, ownerReferences, finalizers, managedFields } = incoming
  return withoutUndefined({
    name,
    generateName,
    namespace,
    uid,
    resourceVersion,
    generation,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    labels,
    annotations,
    ownerReferences,
    finalizers,
    managedFields,
  })
}

function withoutUndefined(metadata: { [K in keyof ObjectMeta]: ObjectMeta[K] | undefined }): ObjectMeta {
  return Object.fromEntries(
    Object.entries(metadata).filter(([, value]) => value !== undefined),
  ) as unknown as ObjectMeta
}

/** The generation counts what a controller has to act on: everything but metadata and status. */
export function withGeneration(old: Resource, next: Resource): Resource {
  if (isDeepStrictEqual(desired(old), desired(next))) return next
  return { ...next, metadata: { ...next.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}

function desired({ metadata: _, status: __, ...rest }: Resource): object {
  return rest
}

/** Whether nothing is left that keeps a deleted object. */
export function isFinished({ metadata }: Resource): boolean {
  if (metadata.deletionTimestamp === undefined) return false
  return !metadata.finalizers?.length && !metadata.deletionGracePeriodSeconds
}

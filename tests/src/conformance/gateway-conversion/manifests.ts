import { findKind, parseYaml, type Resource } from '@ambient-lab/api'
import type { KnownType } from '@ambient-lab/control-plane'
import type { TypedObject } from '../object-list.ts'

/**
 * The documents of a file as they are, without defaults and validation: some of the corpus are wrong on purpose, and
 * some are of kinds that the lab does not have.
 */
export async function readDocuments(text: string, file: string): Promise<readonly Resource[]> {
  const documents = text.split(/^---\s*$/m).filter((part) => /^\s*\w/m.test(part))
  const values = await Promise.all(documents.map((part) => parseYaml(part, file)))
  return values.filter((value): value is Resource => typeof value === 'object' && value !== null)
}

/** Undefined for a kind that the lab does not have. */
export function typedObject(object: Resource): TypedObject | undefined {
  const kind = findKind(object)
  return kind && ([`${kind.group}/${kind.plural}` as KnownType, object] as const)
}

import { applyDefaults, findKind, formatFieldError, type Resource, validateResource } from '@ambient-lab/api'
import { failed, PASSED, skipped, type Verdict } from './judge.ts'

export interface Wanted {
  readonly valid: boolean
  /** Each is part of what is said when the resource is refused; only told, not judged: the words are another's. */
  readonly hints?: readonly string[]
}

/**
 * What the API server would say to one object, with its defaults filled in and unknown fields forbidden.
 * @returns undefined when the lab has no such kind
 */
export function breachesOf(object: Resource): readonly string[] | undefined {
  const definition = findKind(object)
  if (!definition) return undefined
  const { errors, unknownFields } = validateResource(definition, applyDefaults(definition, object))
  return [...errors, ...unknownFields].map(formatFieldError)
}

/** Taken when it is valid, refused when it is not. */
export function judgeResource(object: Resource, { valid, hints = [] }: Wanted): Verdict {
  const breaches = breachesOf(object)
  if (!breaches) return skipped(`the lab has no kind ${object.kind} of ${object.apiVersion}`)
  if (valid) return breaches.length === 0 ? PASSED : failed(`want it taken\ngot  ${breaches.join('; ')}`)
  return breaches.length > 0 ? PASSED : failed(`want it refused${hints.length > 0 ? `: ${hints.join(', ')}` : ''}`)
}

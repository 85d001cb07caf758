import {
  type FieldRequirement,
  type LabelSelector,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  type Resource,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import { badRequest } from '../status-error.ts'

/** Which objects of a list or watch the caller wants. */
export interface Selection {
  /** No selector at all. */
  readonly everything: boolean
  matches(object: Resource): boolean
}

/** @throws StatusError 400 when a selector does not parse */
export function parseSelection(query: URLSearchParams, name: string | undefined): Selection {
  const labels = orBadRequest(() => parseLabelSelector(query.get('labelSelector') ?? ''))
  const fields = [
    ...orBadRequest(() => parseFieldSelector(query.get('fieldSelector') ?? '')),
    ...(name === undefined ? [] : [{ path: 'metadata.name', value: name, negated: false }]),
  ]
  const everything = fields.length === 0 && Object.keys(labels).length === 0
  return { everything, matches: (object) => everything || selects(labels, fields, object) }
}

function selects(labels: LabelSelector, fields: readonly FieldRequirement[], object: Resource): boolean {
  return matchesFields(fields, object) && matchesLabels(labels, object.metadata.labels)
}

function orBadRequest<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (CodedError.is(error, 'SELECTOR_SYNTAX')) throw badRequest(error.message)
    throw error
  }
}

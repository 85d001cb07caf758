import { notAcceptable } from '../status-error.ts'

/** The form in which objects go out. */
export type Representation = 'object' | 'table' | 'metadata'

export interface Accepted {
  readonly representation: Representation
  /** Of meta.k8s.io, for tables and metadata. */
  readonly metaVersion: 'v1' | 'v1beta1'
  /** The content type of the answer. */
  readonly mediaType: string
  /** Of apidiscovery.k8s.io, when discovery may be one aggregated document. */
  readonly discoveryVersion?: 'v2' | 'v2beta1'
}

/** A longer header is not read to its end. */
const CLAUSES_MAX = 32

const OFFERED = ['application/json', 'application/json;stream=watch']
const JSON_RANGES = new Set(['application/json', 'application/*', '*/*'])
const REPRESENTATIONS: Readonly<Record<string, Representation>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
}

/**
 * Picks the first clause of an Accept header that we can serve, as kube-apiserver does; an absent header takes JSON.
 * Pure.
 * @throws StatusError 406 when no clause fits: protobuf alone, for one
 */
export function negotiate(accept: string | undefined): Accepted {
  if (accept === undefined || accept.trim() === '') return plain()
  for (const clause of accept.split(',').slice(0, CLAUSES_MAX)) {
    const accepted = readClause(clause)
    if (accepted) return accepted
  }
  throw notAcceptable(OFFERED)
}

function plain(): Accepted {
  return { representation: 'object', metaVersion: 'v1', mediaType: 'application/json' }
}

function readClause(clause: string): Accepted | undefined {
  const [range = '', ...rest] = clause.split(';').map((part) => part.trim())
  if (!JSON_RANGES.has(range.toLowerCase())) return undefined
  const parameters = new Map(rest.map((parameter) => splitOnce(parameter, '=')))
  const as = parameters.get('as')
  if (as === undefined) return plain()
  const [group, version] = [parameters.get('g'), parameters.get('v')]
  const mediaType = `application/json;as=${as};g=${group};v=${version}`
  if (group === 'apidiscovery.k8s.io' && as === 'APIGroupDiscoveryList') {
    return version === 'v2' || version === 'v2beta1' ? { ...plain(), mediaType, discoveryVersion: version } : undefined
  }
  const representation = Object.hasOwn(REPRESENTATIONS, as) ? REPRESENTATIONS[as] : undefined
  const known = group === 'meta.k8s.io' && (version === 'v1' || version === 'v1beta1')
  return representation && known ? { representation, metaVersion: version, mediaType: 'application/json' } : undefined
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

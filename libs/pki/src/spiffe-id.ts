import { pkiError } from './errors.ts'
import { SPIFFE_ID_BYTES_MAX } from './limits.ts'
import { isTrustDomain } from './trust-domain.ts'

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, the only form Istio issues. */
export interface SpiffeId {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

/** Any SPIFFE id: the path is empty, or starts with a slash and has no empty or dot segments. */
export interface SpiffeUri {
  readonly trustDomain: string
  readonly path: string
}

const SCHEME = 'spiffe://'
const PATH_SEGMENT = /^[A-Za-z0-9._-]+$/

export function formatSpiffeId(id: SpiffeId): string {
  return `${SCHEME}${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`
}

/**
 * @throws CodedError INVALID_SPIFFE_ID for anything but exactly the five parts of Istio's form
 * @see https://istio.io/latest/docs/reference/glossary/#identity
 */
export function parseSpiffeId(text: string): SpiffeId {
  const { trustDomain, path } = parseSpiffeUri(text)
  const [, ns, namespace, sa, serviceAccount, ...rest] = path.split('/')
  if (ns !== 'ns' || sa !== 'sa' || !namespace || !serviceAccount || rest.length > 0) {
    throw invalid(text, 'not of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>')
  }
  return { trustDomain, namespace, serviceAccount }
}

/**
 * The rules of the standard alone, which know nothing of Istio's form.
 * @throws CodedError INVALID_SPIFFE_ID
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
 */
export function parseSpiffeUri(text: string): SpiffeUri {
  if (text.length > SPIFFE_ID_BYTES_MAX) throw invalid(text.slice(0, 64), `longer than ${SPIFFE_ID_BYTES_MAX} bytes`)
  if (!text.startsWith(SCHEME)) throw invalid(text, 'scheme is missing or invalid')
  const [trustDomain = '', ...segments] = text.slice(SCHEME.length).split('/')
  if (trustDomain === '') throw invalid(text, 'trust domain is missing')
  if (!isTrustDomain(trustDomain))
    throw invalid(text, 'trust domain has characters other than a-z, 0-9, dot, dash, underscore')
  return { trustDomain, path: joinPath(segments, text) }
}

/**
 * The path of a SPIFFE id: `/a/b` of `a`, `b`; empty of nothing.
 * @throws CodedError INVALID_SPIFFE_ID for a segment that no path may have
 */
export function joinSpiffePath(segments: readonly string[]): string {
  return joinPath(segments, segments.join('/'))
}

function joinPath(segments: readonly string[], text: string): string {
  for (const segment of segments) {
    if (segment === '') throw invalid(text, 'path has an empty segment or a trailing slash')
    if (segment === '.' || segment === '..') throw invalid(text, 'path has a dot segment')
    if (!PATH_SEGMENT.test(segment))
      throw invalid(text, 'path has characters other than letters, digits, dot, dash, underscore')
  }
  return segments.map((segment) => `/${segment}`).join('')
}

export function sameSpiffeId(a: SpiffeId, b: SpiffeId): boolean {
  return a.trustDomain === b.trustDomain && a.namespace === b.namespace && a.serviceAccount === b.serviceAccount
}

function invalid(text: string, reason: string): Error {
  return pkiError('INVALID_SPIFFE_ID', `not a SPIFFE id: ${JSON.stringify(text)}: ${reason}`)
}

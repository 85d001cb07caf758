import { CodedError } from '@ambient-lab/std'

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, the only form Istio issues. */
export interface SpiffeId {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

const SCHEME = 'spiffe://'

export function formatSpiffeId(id: SpiffeId): string {
  return `${SCHEME}${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`
}

/**
 * @throws CodedError INVALID_SPIFFE_ID for anything but exactly the five parts of Istio's form
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
 */
export function parseSpiffeId(text: string): SpiffeId {
  const parts = text.startsWith(SCHEME) ? text.slice(SCHEME.length).split('/') : []
  const [trustDomain, ns, namespace, sa, serviceAccount] = parts
  if (parts.length !== 5 || ns !== 'ns' || sa !== 'sa' || !trustDomain || !namespace || !serviceAccount) {
    throw new CodedError('INVALID_SPIFFE_ID', `not a SPIFFE id of the form spiffe://<td>/ns/<ns>/sa/<sa>: ${text}`)
  }
  return { trustDomain, namespace, serviceAccount }
}

export function sameSpiffeId(a: SpiffeId, b: SpiffeId): boolean {
  return a.trustDomain === b.trustDomain && a.namespace === b.namespace && a.serviceAccount === b.serviceAccount
}

import type { Resource } from '@ambient-lab/api'
import { type CorpusCase, defineJudge, skipped } from '../judge.ts'
import { judgeResource } from '../validation.ts'

export interface IstioValidationCase extends CorpusCase {
  readonly valid: boolean
  readonly errorContains?: string
  readonly resource?: Resource
  readonly function?: string
}

const NO_ENVOY_TYPES = 'the lab has no types of Envoy to hold a patch against'

/** Cases that cannot be told, and why. */
const UNTOLD: Readonly<Record<string, string>> = {
  'ValidateEnvoyFilter/16': NO_ENVOY_TYPES,
  'ValidateEnvoyFilter/18': NO_ENVOY_TYPES,
  'ValidateTelemetry/06': 'a null in a map counts as absent, as in Kubernetes',
  'ValidateServiceEntries/48': 'an empty list of Go is absent in JSON; the CRD refuses one that is written',
  'crd/serviceentry-valid/00': 'an address in it was read as a map',
}

/** What Istio's CRDs and its validating webhook take and refuse. */
export default defineJudge<IstioValidationCase>({
  corpus: 'istio-validation',
  judge({ resource, valid, errorContains, ...item }) {
    const untold = UNTOLD[item.id]
    if (untold) return skipped(untold)
    if (!resource) return skipped(`no judge for ${item.function}`)
    return judgeResource(resource, { valid, hints: errorContains ? [errorContains] : [] })
  },
})

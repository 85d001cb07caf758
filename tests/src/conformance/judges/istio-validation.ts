import type { Resource } from '@ambient-lab/api'
import { ISTIO_PARTS } from '../istio-parts.ts'
import { type CorpusCase, defineJudge, skipped } from '../judge.ts'
import { judgeResource } from '../validation.ts'

export interface IstioValidationCase extends CorpusCase {
  readonly valid: boolean
  readonly errorContains?: string
  readonly resource?: Resource
  /** Of Istio's validation, which judges the input: a part of a resource. */
  readonly function?: string
  readonly input?: Readonly<Record<string, unknown>>
}

const NO_ENVOY_TYPES = 'the lab has no types of Envoy to hold a patch against'

const NULL_ITEM = 'an item of a list that is null is no object to the CRD'
const NULL_ENTRY = 'a null in a map counts as absent, as in Kubernetes'

/** Cases that cannot be told, and why. */
const UNTOLD: Readonly<Record<string, string>> = {
  'ValidateEnvoyFilter/16': NO_ENVOY_TYPES,
  'ValidateEnvoyFilter/18': NO_ENVOY_TYPES,
  'ValidateTelemetry/06': NULL_ENTRY,
  'ValidateHTTPRoute/26': NULL_ENTRY,
  'ValidateRootHTTPRoute/03': NULL_ENTRY,
  'ValidateDelegateHTTPRoute/18': NULL_ITEM,
  'ValidateDelegateHTTPRoute/21': NULL_ITEM,
  'ValidateHTTPRoute/32': NULL_ITEM,
  'ValidateHTTPDirectResponse/00': 'nothing is no part of a resource',
  'ValidateTlsOptions/26': 'the webhook warns of three certificates; the CRD refuses them',
  'ValidateServiceEntries/48': 'an empty list of Go is absent in JSON; the CRD refuses one that is written',
  'crd/serviceentry-valid/00': 'an address in it was read as a map',
}

/** What Istio's CRDs and its validating webhook take and refuse. */
export default defineJudge<IstioValidationCase>({
  corpus: 'istio-validation',
  judge({ id, resource, function: name = '', input = {}, valid, errorContains }) {
    const untold = UNTOLD[id]
    if (untold) return skipped(untold)
    const object = resource ?? ISTIO_PARTS[name]?.(input)
    if (!object) return skipped(`no judge for ${name}`)
    return judgeResource(object, { valid, hints: errorContains ? [errorContains] : [] })
  },
})

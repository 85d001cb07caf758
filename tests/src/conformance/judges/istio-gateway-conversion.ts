import { objectKey, type Resource } from '@ambient-lab/api'
import { TestCertificates } from '@ambient-lab/testing'
import { same } from '../expectation.ts'
import { readDocuments } from '../gateway-conversion/manifests.ts'
import { essence, ourStatus } from '../gateway-conversion/statuses.ts'
import { type ExistingService, gatewayServices, viewOfInput } from '../gateway-conversion/world.ts'
import { type CorpusCase, defineJudge, skipped, type Verdict } from '../judge.ts'

export interface GatewayConversionCase extends CorpusCase {
  readonly input: string
  readonly expectedStatus?: string
}

/** Kinds of the tables that the lab has no controller for. */
const FOREIGN_KINDS = new Set(['XBackend', 'XBackendTrafficPolicy', 'InferencePool'])
/** Kinds of backends that the lab does not have. */
const FOREIGN_BACKENDS = /"kind":"(XBackend|InferencePool)"/

/** Where istiod's own table and the Gateway API's suite want different things, the lab does as the suite wants. */
const OTHERWISE: Readonly<Record<string, string>> = {
  'mix-backend-policy BackendTLSPolicy default/tls-upstream-echo-extra':
    'the Gateway API has it Conflicted: an older policy has the same target',
}

/** What istiod writes into the statuses of Gateway API objects. What it turns them into is Envoy's affair. */
export default defineJudge<GatewayConversionCase>({
  corpus: 'istio-gateway-conversion',
  async judge({ id, input, expectedStatus }, context) {
    const { folder } = context
    if (!expectedStatus) return skipped('the lab does not have Ingress')
    const services = folder.json<ExistingService[]>('services.json')
    const objects = await readDocuments(folder.text(input), input)
    const wanted = await readDocuments(folder.text(expectedStatus), expectedStatus)
    const view = viewOfInput(objects, services, context.once(keyPair))
    const checks = wanted.map((expected) => ({
      name: `${expected.kind} ${objectKey(expected.metadata)}`,
      ...verdictOf(expected),
    }))
    return { checks }

    function verdictOf(expected: Resource): Verdict {
      const otherwise = OTHERWISE[`${id} ${expected.kind} ${objectKey(expected.metadata)}`]
      if (otherwise) return skipped(otherwise)
      if (FOREIGN_KINDS.has(expected.kind)) return skipped(`the lab writes no status of ${expected.kind} here`)
      const object = objects.find(
        (one) => one.kind === expected.kind && objectKey(one.metadata) === objectKey(expected.metadata),
      )
      const [, foreign] = FOREIGN_BACKENDS.exec(JSON.stringify(object?.spec ?? {})) ?? []
      if (foreign) return skipped(`the lab does not have ${foreign}`)
      const status = object && ourStatus(object, gatewayServices(services), view)
      return same(essence(status), essence(expected.status as never))
    }
  },
})

function keyPair() {
  const { chainPem, privateKeyPem } = new TestCertificates().svid('istio-system/gateway')
  return { certificatePem: chainPem, keyPem: privateKeyPem }
}

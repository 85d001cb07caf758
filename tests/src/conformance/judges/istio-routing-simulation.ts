import type { Resource } from '@ambient-lab/api'
import { MESH_CONFIG_DEFAULT, TranslationView } from '@ambient-lab/control-plane'
import { same } from '../expectation.ts'
import { readDocuments, typedObject } from '../gateway-conversion/manifests.ts'
import { gatewayProxy, type SimulatedCall, simulate } from '../gateway-conversion/routing.ts'
import { type CorpusCase, defineJudge, skipped } from '../judge.ts'
import { ObjectList } from '../object-list.ts'

interface ExpectedResult {
  readonly clusterMatched?: string
  readonly virtualHostMatched?: string
  readonly error?: string
}

export interface RoutingSimulationCase extends CorpusCase {
  readonly manifests: readonly string[]
  readonly proxy: { readonly type?: string; readonly labels?: Readonly<Record<string, string>> } | string
  readonly calls: readonly { readonly name?: string; readonly call: SimulatedCall; readonly result: ExpectedResult }[]
}

/** Documents that leave it out are of the namespace `default`. */
const NAMESPACE = 'default'
/** An annotation that only istiod writes, on Gateways that it makes of the Gateway API's. */
const INTERNAL_SERVICE = 'internal.istio.io/gateway-service'

/** Where istiod's configuration would send a call; of gateways, since the lab has no sidecars yet. */
export default defineJudge<RoutingSimulationCase>({
  corpus: 'istio-routing-simulation',
  async judge({ manifests, proxy, calls }, { folder }) {
    if (typeof proxy === 'string' || proxy.type !== 'gateway') return skipped('the lab has no sidecars')
    const files = await Promise.all(manifests.map((file) => readDocuments(folder.text(file), file)))
    const objects = files.flat().map(inNamespace)
    if (objects.some(({ kind }) => kind === 'Ingress')) return skipped('the lab does not have Ingress')
    if (objects.some(({ metadata }) => metadata.annotations?.[INTERNAL_SERVICE])) {
      return skipped('it is about an annotation between parts of istiod')
    }
    const view = new TranslationView(
      new ObjectList(objects.flatMap((object) => [typedObject(object)].flatMap((typed) => (typed ? [typed] : [])))),
      MESH_CONFIG_DEFAULT,
    )
    const gateway = gatewayProxy(view, proxy.labels ?? {})
    const checks = calls.map(({ name = 'call', call, result }) => {
      if (result.error === 'ErrMultipleFilterChain') {
        return { name, ...skipped('the table expects a configuration that Envoy would refuse') }
      }
      const got = simulate(gateway, call, view)
      return { name, ...same(judged(withoutDomain(got), result), judged(result, result)) }
    })
    return { checks }
  },
})

function inNamespace(object: Resource): Resource {
  return { ...object, metadata: { namespace: NAMESPACE, ...object.metadata } }
}

/** What is compared: the error, and the cluster where the table names one. */
function judged({ error, clusterMatched }: ExpectedResult, wanted: ExpectedResult): unknown {
  return { error, ...(wanted.clusterMatched !== undefined && { clusterMatched }) }
}

/** The tables' domain of short names is their namespace alone. */
function withoutDomain(result: ExpectedResult): ExpectedResult {
  const { clusterMatched } = result
  return clusterMatched === undefined
    ? result
    : { ...result, clusterMatched: clusterMatched.replace(/\.default\.svc\.cluster\.local$/, '.default') }
}

import type { Resource } from '@ambient-lab/api'
import {
  ENDPOINT_SLICES,
  MESH_CONFIG_DEFAULT,
  PODS,
  SERVICE_ENTRIES,
  SERVICES,
  TranslationView,
} from '@ambient-lab/control-plane'
import { same } from '../expectation.ts'
import { readDocuments, typedObject } from '../gateway-conversion/manifests.ts'
import { gatewayProxy, simulate } from '../gateway-conversion/routing.ts'
import { type CorpusCase, defineJudge, skipped, type Verdict } from '../judge.ts'
import { ObjectList, type TypedObject } from '../object-list.ts'
import { type SidecarCall, SimulatedSidecar } from '../sidecar/simulated-sidecar.ts'

interface ExpectedResult {
  readonly clusterMatched?: string
  readonly virtualHostMatched?: string
  readonly error?: string
}

export interface RoutingSimulationCase extends CorpusCase {
  readonly name: string
  readonly manifests: readonly string[]
  readonly proxy: { readonly type?: string; readonly labels?: Readonly<Record<string, string>> } | string
  readonly calls: readonly SimulatedCheck[]
}

interface SimulatedCheck {
  readonly name?: string
  readonly call: SidecarCall
  readonly result: ExpectedResult
}

/** Documents that leave it out are of the namespace `default`. */
const NAMESPACE = 'default'
/** Of the sidecars of the upstream tests. */
const SIDECAR_ADDRESS = '1.1.1.1'
/** An annotation that only istiod writes, on Gateways that it makes of the Gateway API's. */
const INTERNAL_SERVICE = 'internal.istio.io/gateway-service'

/** Where istiod's configuration would send a call: of gateways by their chains, of sidecars through one that runs. */
export default defineJudge<RoutingSimulationCase>({
  corpus: 'istio-routing-simulation',
  async judge({ name: title, area, manifests, proxy, calls }, { folder }) {
    const files = await Promise.all(manifests.map((file) => readDocuments(folder.text(file), file)))
    const objects = files.flat().map(inNamespace)
    if (objects.some(({ kind }) => kind === 'Ingress')) return skipped('the lab does not have Ingress')
    if (objects.some(({ metadata }) => metadata.annotations?.[INTERNAL_SERVICE])) {
      return skipped('it is about an annotation between parts of istiod')
    }
    const typed = objects.map(typedObject).filter((object) => object !== undefined)
    if (typeof proxy === 'string' || proxy.type !== 'gateway') {
      if (area === 'gateway') return skipped('its table leaves out which proxy it is about')
      return { checks: await sidecarChecks(typed, title, calls) }
    }
    const view = new TranslationView(new ObjectList(typed), MESH_CONFIG_DEFAULT)
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

async function sidecarChecks(
  objects: readonly TypedObject[],
  title: string,
  calls: readonly SimulatedCheck[],
): Promise<(Verdict & { readonly name: string })[]> {
  const mode = title.includes('REGISTRY_ONLY') ? ('REGISTRY_ONLY' as const) : ('ALLOW_ANY' as const)
  await using sidecar = await SimulatedSidecar.start([...objects.map(atPod), ...podsOfSlices(objects)], {
    outboundTrafficPolicy: { mode },
  })
  const checks: (Verdict & { readonly name: string })[] = []
  for (const { name = 'call', call, result } of calls) {
    const why = unjudged(call, result, objects)
    if (why !== undefined) {
      checks.push({ name, ...skipped(why) })
      continue
    }
    const { clusterMatched, error } = await sidecar.call(call)
    const got = { ...(error && { error }), ...(clusterMatched !== undefined && { clusterMatched }) }
    checks.push({ name, ...same(judgedSidecar(got, result), judgedSidecar(result, result)) })
  }
  return checks
}

/** The upstream proxy is an endpoint by its address; here the entry selects its pod. */
function atPod([type, object]: TypedObject): TypedObject {
  if (type !== SERVICE_ENTRIES) return [type, object]
  const { endpoints, addresses, ...spec } = object.spec as Record<string, unknown>
  const own = (endpoints as { address?: string }[] | undefined)?.some(({ address }) => address === SIDECAR_ADDRESS)
  const listed = Array.isArray(addresses) ? addresses : (addresses as { _?: unknown } | undefined)?._
  return [
    type,
    {
      ...object,
      spec: {
        ...spec,
        ...(listed !== undefined && { addresses: listed }),
        ...(own ? { workloadSelector: { labels: { app: 'foo' } } } : endpoints !== undefined && { endpoints }),
      },
    },
  ]
}

/** The pods that the slices are of, which the upstream test has no need of. */
function podsOfSlices(objects: readonly TypedObject[]): TypedObject[] {
  return objects.flatMap(([type, slice]) => {
    if (type !== ENDPOINT_SLICES) return []
    const service = slice.metadata.labels?.['kubernetes.io/service-name']
    const [, owner] = objects.find(([of, { metadata }]) => of === SERVICES && metadata.name === service) ?? []
    const { selector: labels = {} } = (owner?.spec ?? {}) as { readonly selector?: Readonly<Record<string, string>> }
    const { endpoints } = slice as unknown as {
      readonly endpoints: readonly { readonly addresses: readonly string[] }[]
    }
    return endpoints
      .flatMap(({ addresses }) => addresses)
      .map((podIP): TypedObject => {
        const metadata = { name: `pod-${podIP}`, namespace: NAMESPACE, labels }
        const status = { podIP, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
        return [PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'n2', containers: [] }, status }]
      })
  })
}

/** Why nobody can say what would be right here; undefined: somebody can. */
function unjudged(call: SidecarCall, { error }: ExpectedResult, objects: readonly TypedObject[]): string | undefined {
  const endsTls = objects.some(([, { kind, spec }]) => {
    return kind === 'Sidecar' && ((spec as { ingress?: { tls?: unknown }[] }).ingress ?? []).some(({ tls }) => tls)
  })
  if (endsTls) return 'the lab’s sidecars end no TLS of their own for an ingress listener'
  if (call.tls === 'mtls' && error !== undefined) {
    return 'mutual TLS is the HBONE tunnel here, which a sidecar takes whatever its PeerAuthentication says'
  }
  return undefined
}

/**
 * The cluster where the table names one, and the error. TLS that nobody ends is turned away: in which of Envoy's stages,
 * the lab does not tell apart.
 */
function judgedSidecar({ error, clusterMatched }: ExpectedResult, wanted: ExpectedResult): unknown {
  const kind = error === 'ErrNoFilterChain' ? 'ErrProtocolError' : error
  if (!wanted.clusterMatched || clusterMatched === undefined) return { error: kind }
  return { error: kind, clusterMatched: withoutDomain({ clusterMatched }).clusterMatched }
}

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

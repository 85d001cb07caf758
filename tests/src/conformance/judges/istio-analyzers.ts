import { type Analyzer, analyze, type Finding, loadAnalyzers, parseManifest, type Resource } from '@ambient-lab/api'
import { SystemClock } from '@ambient-lab/std'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped } from '../judge.ts'

export interface AnalyzerCase extends CorpusCase {
  /** Istio's name of the one analyzer that is run. */
  readonly analyzer: string
  /** YAML files, read together. */
  readonly input?: readonly string[]
  /** YAML file. */
  readonly meshConfig?: string
  readonly expected: readonly { readonly code: string; readonly resource: string }[]
}

/** Istio's analyzers, and ours that finds the same. */
const OURS: Readonly<Record<string, string>> = {
  'conditions.ConditionAnalyzer': 'conditions',
  'applicationUID.Analyzer': 'reserved-user',
  'deployment.MultiServiceAnalyzer': 'shared-ports',
  'deprecation.DeprecationAnalyzer': 'deprecated-fields',
  'destinationrule.CaCertificateAnalyzer': 'destination-rule-tls',
  'destinationrule.SubsetSelectPodAnalyzer': 'destination-rule-hosts',
  'envoyfilter.EnvoyPatchAnalyzer': 'envoy-filter-patches',
  'gateway.ConflictingGatewayAnalyzer': 'conflicting-gateways',
  'gateway.IngressGatewayPortAnalyzer': 'gateway-ports',
  'gateway.SecretAnalyzer': 'gateway-secrets',
  'service.PortNameAnalyzer': 'service-ports',
  'serviceentry.Analyzer': 'service-entry-addresses',
  'serviceentry.ConflictingServiceEntryProtocolAnalyzer': 'service-entry-protocols',
  'sidecar.SelectorAnalyzer': 'sidecars',
  'telemetry.DefaultSelectorAnalyzer': 'telemetries',
  'telemetry.ProviderAnalyzer': 'telemetry-providers',
  'virtualservice.ConflictingMeshGatewayHostsAnalyzer': 'virtual-service-hosts',
  'virtualservice.DestinationHostAnalyzer': 'virtual-service-destinations',
  'virtualservice.GatewayAnalyzer': 'virtual-service-gateways',
  'virtualservice.JWTClaimRouteAnalyzer': 'jwt-claim-routing',
}

/** Why the lab has nothing for the others. */
const LACKING: Readonly<Record<string, string>> = {
  'annotations.AlphaAnalyzer': 'the lab keeps no list of annotations and their maturity',
  'annotations.K8sAnalyzer': 'the lab keeps no list of annotations and where they belong',
  'authn.BlockedCIDRsAnalyzer': 'istiod’s own Deployment and its environment are no part of a lab',
  'externalcontrolplane.ExternalControlPlaneAnalyzer': 'the lab has no webhook configurations',
  'injection.Analyzer': 'no analyzer of injection labels yet',
  'injection.ImageAnalyzer': 'sidecars of the lab are no images',
  'services.MultiClusterServiceAnalyzer': 'a lab is one cluster',
  'telemetry.LightstepAnalyzer': 'the lab knows no provider lightstep',
}

/** What istioctl's analyzers say about configuration: code and object of each message, no more and no fewer. */
export default defineJudge<AnalyzerCase>({
  corpus: 'istio-analyzers',
  async judge({ analyzer, input = [], meshConfig, expected }, { folder }) {
    const lacking = LACKING[analyzer]
    if (lacking) return skipped(`${analyzer}: ${lacking}`)
    const ours = (await loadAnalyzers()).find(({ name }) => name === OURS[analyzer])
    if (!ours) return skipped(`no analyzer for ${analyzer}`)
    const found = await findings(folder, input, meshConfig, ours)
    const got = found.map(({ code, object }) => `${code} ${resourceText(object)}`).sort()
    const want = expected.map(({ code, resource }) => `${code} ${resource}`).sort()
    if (got.join('\n') === want.join('\n')) return PASSED
    return failed(`want ${want.join('; ') || 'nothing'}\ngot  ${got.join('; ') || 'nothing'}`)
  },
})

async function findings(
  folder: JudgeContext['folder'],
  files: readonly string[],
  meshConfig: string | undefined,
  analyzer: Analyzer,
): Promise<readonly Finding[]> {
  const manifests = await Promise.all(files.map((file) => parseManifest(folder.text(file), { file })))
  const objects: readonly Resource[] = manifests.flatMap(({ resources }) => resources.map(({ object }) => object))
  // Istio's tests ask for addresses by a proxy's setting; ambient has them always.
  const allocatesEntryAddresses = /AUTO_ALLOCATE: "true"/.test(meshConfig === undefined ? '' : folder.text(meshConfig))
  return analyze(objects, { allocatesEntryAddresses, nowMs: new SystemClock().now() }, [analyzer])
}

function resourceText({ kind, name, namespace }: Finding['object']): string {
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`
}

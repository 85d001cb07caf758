import { createPrivateKey, X509Certificate } from 'node:crypto'
import istioGatewayKind, { type IstioGateway } from '../../kinds/istio-gateway.ts'
import podKind from '../../kinds/pod.ts'
import secretKind, { type Secret } from '../../kinds/secret.ts'
import { matchesEvery } from '../../selector.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** Certificates that Istio's Gateways present. */
export default defineAnalyzer({
  name: 'gateway-secrets',
  codes: ['IST0101', 'IST0161'],
  find: (world) => world.list(istioGatewayKind).flatMap((gateway) => findOf(world, gateway)),
})

function findOf(world: AnalysisWorld, gateway: IstioGateway): Finding[] {
  const namespace = namespaceOf(world, gateway)
  return (gateway.spec?.servers ?? []).flatMap(({ tls }, index) => {
    const name = tls?.credentialName
    if (!name || tls.mode === 'ISTIO_MUTUAL') return []
    const path = `spec.servers[${index}].tls.credentialName`
    const secret = world.get(secretKind, namespace, name)
    if (!secret) return [finding('IST0101', gateway, ['credentialName', name], path)]
    if (isUsable(secret, world.settings.nowMs)) return []
    return [finding('IST0161', gateway, [gateway.metadata.name, gateway.metadata.namespace ?? ''], path)]
  })
}

/** Where its pods are, which read Secrets of their own namespace only. */
function namespaceOf(world: AnalysisWorld, { spec }: IstioGateway): string {
  const selector = spec?.selector ?? {}
  const pod = world.list(podKind).find(({ metadata }) => matchesEvery(selector, metadata.labels))
  const isMeant = Object.keys(selector).length > 0
  return (isMeant ? pod?.metadata.namespace : undefined) ?? world.settings.rootNamespace
}

/** A certificate that parses and has not ended, with its key, under either pair of names. */
function isUsable({ data = {} }: Secret, nowMs: number | undefined): boolean {
  const certificate = data['tls.crt'] ?? data.cert
  const key = data['tls.key'] ?? data.key
  if (!certificate || !key) return false
  try {
    const { validTo } = new X509Certificate(Buffer.from(certificate, 'base64'))
    createPrivateKey(Buffer.from(key, 'base64'))
    return nowMs === undefined || Date.parse(validTo) > nowMs
  } catch {
    return false
  }
}

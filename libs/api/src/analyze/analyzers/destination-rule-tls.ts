import destinationRuleKind, { type DestinationRule } from '../../kinds/destination-rule.ts'
import type { ClientTlsSettings } from '../../traffic-policy.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** TLS that is begun without a look at the server's certificate. */
export default defineAnalyzer({
  name: 'destination-rule-tls',
  codes: ['IST0128', 'IST0129'],
  find: (world) => world.list(destinationRuleKind).flatMap(findOf),
})

function findOf(rule: DestinationRule): Finding[] {
  const { name, namespace = '' } = rule.metadata
  const { host = '', trafficPolicy, workloadSelector } = rule.spec ?? {}
  const isOpen = (tls: ClientTlsSettings | undefined) =>
    tls !== undefined &&
    (tls.mode === 'SIMPLE' || tls.mode === 'MUTUAL') &&
    !tls.caCertificates &&
    // A credential is read for the pods that a selector means, and for nobody without one.
    !(tls.credentialName && workloadSelector)
  const whole = isOpen(trafficPolicy?.tls)
    ? [finding('IST0128', rule, [name, namespace, trafficPolicy?.tls?.mode ?? '', host], 'spec.trafficPolicy.tls')]
    : []
  const ports = (trafficPolicy?.portLevelSettings ?? []).flatMap(({ port, tls }, index) => {
    const path = `spec.trafficPolicy.portLevelSettings[${index}].tls`
    return isOpen(tls)
      ? [finding('IST0129', rule, [name, namespace, tls?.mode ?? '', host, port?.number ?? ''], path)]
      : []
  })
  return [...whole, ...ports]
}

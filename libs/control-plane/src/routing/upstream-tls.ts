import { isIP } from 'node:net'
import type { BackendTlsPolicy, ClientTlsSettings } from '@ambient-lab/api'
import type { ServicePort, UpstreamTls } from '@ambient-lab/xds'
import { BACKEND_TLS_POLICIES, CONFIG_MAPS, SECRETS } from '../stored-kinds.ts'
import { oldestFirst } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import type { RouteTarget } from './targets.ts'

/**
 * TLS to a port of a service: what its DestinationRule says, else its BackendTLSPolicy. ISTIO_MUTUAL says nothing, for
 * the tunnel to a workload of the mesh is that already.
 */
export function upstreamTls(
  target: RouteTarget,
  port: ServicePort,
  tls: ClientTlsSettings | undefined,
  view: TranslationView,
): UpstreamTls | undefined {
  if (tls) return clientTls(target, tls, view)
  const policy = backendTlsPolicy(target, port, view)
  return policy && policyTls(policy, view)
}

function clientTls(
  { namespace, hostname }: RouteTarget,
  tls: ClientTlsSettings,
  view: TranslationView,
): UpstreamTls | undefined {
  const { mode = 'DISABLE', sni, subjectAltNames = [], insecureSkipVerify = false, credentialName } = tls
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return undefined
  const secret = credentialName === undefined ? {} : secretTexts(view, namespace, credentialName)
  const { 'ca.crt': caPem, 'tls.crt': certificatePem, 'tls.key': keyPem } = secret
  const serverName = sni || (isIP(hostname) === 0 ? hostname : '')
  return {
    mode,
    ...(serverName && { sni: serverName }),
    subjectAltNames,
    ...(caPem && { caPem }),
    ...(mode === 'MUTUAL' && certificatePem && keyPem && { certificatePem, keyPem }),
    insecureSkipVerify,
  }
}

const GROUPS: Readonly<Record<string, string>> = { Service: '', ServiceEntry: 'networking.istio.io' }

/** The policy that names the port counts before one for the whole service; of several the oldest. */
export function backendTlsPolicy(
  target: RouteTarget,
  port: ServicePort,
  view: Pick<TranslationView, 'list'>,
): BackendTlsPolicy | undefined {
  const { source, namespace, name } = target
  const all = view.list(BACKEND_TLS_POLICIES, namespace)
  const policies = all.filter((policy) => !isIgnored(policy)).toSorted(oldestFirst)
  const targets = (section: string | undefined) => (policy: BackendTlsPolicy) =>
    policy.spec?.targetRefs.some(
      ({ group, kind, name: of, sectionName }) =>
        kind === source.kind && group === GROUPS[kind] && of === name && sectionName === section,
    )
  return (port.name && policies.find(targets(port.name))) || policies.find(targets(undefined))
}

/** Whether its author asked for it to be passed over. */
export function isIgnored({ metadata }: Pick<BackendTlsPolicy, 'metadata'>): boolean {
  return metadata.annotations?.['istio.io/ignore-policy-attachment'] === 'true'
}

/** Whether two policies are about the same target, or the same port of it. */
export function targetsSame(a: BackendTlsPolicy, b: BackendTlsPolicy): boolean {
  const ids = ({ spec }: BackendTlsPolicy) =>
    (spec?.targetRefs ?? []).map(({ group, kind, name, sectionName = '' }) =>
      [group, kind, name, sectionName].join(' '),
    )
  const own = ids(b)
  return ids(a).some((id) => own.includes(id))
}

function policyTls({ metadata, spec }: BackendTlsPolicy, view: TranslationView): UpstreamTls | undefined {
  if (!spec) return undefined
  const { hostname, subjectAltNames = [], caCertificateRefs = [] } = spec.validation
  const caPem = caCertificateRefs
    .flatMap(({ name }) => view.get(CONFIG_MAPS, `${metadata.namespace}/${name}`)?.data?.['ca.crt'] ?? [])
    .join('\n')
  return {
    mode: 'SIMPLE',
    sni: hostname,
    subjectAltNames: subjectAltNames.flatMap((name) => name.hostname ?? name.uri ?? []),
    // Without a usable root nothing is trusted: an empty list of roots, and not the system's.
    ...(caCertificateRefs.length > 0 && { caPem }),
    insecureSkipVerify: false,
  }
}

/** A Secret's values as text. */
export function secretTexts(
  view: Pick<TranslationView, 'get'>,
  namespace: string,
  name: string,
): Readonly<Record<string, string>> {
  const data = view.get(SECRETS, `${namespace}/${name}`)?.data ?? {}
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]))
}

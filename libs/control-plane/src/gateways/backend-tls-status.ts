import { type BackendTlsPolicy, GATEWAY_GROUP, type ParentReference } from '@ambient-lab/api'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { isIgnored, targetsSame } from '../routing/upstream-tls.ts'
import { BACKEND_TLS_POLICIES, CONFIG_MAPS, GATEWAYS } from '../stored-kinds.ts'
import { oldestFirst, parentIds } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { GATEWAY_CONTROLLER, MESH_CONTROLLER } from './gateway-classes.ts'
import type { Finding } from './gateway-status.ts'

/** What a policy comes to at one of those who have to do with its targets. */
export interface AncestorFindings {
  readonly ancestorRef: ParentReference
  readonly controllerName: string
  readonly conditions: readonly Finding[]
}

interface Problem {
  readonly reason: string
  readonly message: string
}

/** Gateways that send to the targets; where there are none, the targets themselves. */
export function backendTlsFindings(policy: BackendTlsPolicy, view: TranslationView): AncestorFindings[] {
  const conditions = conditionsOf(policy, view)
  return ancestorsOf(policy, view).map(({ ancestorRef, controllerName }) => ({
    ...{ ancestorRef, controllerName, conditions },
  }))
}

function ancestorsOf(
  { metadata, spec }: BackendTlsPolicy,
  view: TranslationView,
): Omit<AncestorFindings, 'conditions'>[] {
  const { namespace = '' } = metadata
  const gateways = new Set<string>()
  const alone: Omit<AncestorFindings, 'conditions'>[] = []
  for (const { group, kind, name } of spec?.targetRefs ?? []) {
    const found = gatewaysSendingTo(`${kind} ${namespace}/${name}`, view)
    for (const gateway of found) gateways.add(gateway)
    if (found.length === 0) alone.push({ ancestorRef: { group, kind, name }, controllerName: MESH_CONTROLLER })
  }
  const ours = [...gateways].sort().map((key) => {
    const [home = '', name = ''] = key.split('/')
    const ancestorRef = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: home, name }
    return { ancestorRef, controllerName: GATEWAY_CONTROLLER }
  })
  return [...ours, ...alone]
}

function gatewaysSendingTo(backend: string, view: TranslationView): string[] {
  const parents = view.routes.sendingTo(backend).flatMap(({ type, key }) => {
    const route = view.get(type, key)
    return route ? parentIds(route) : []
  })
  return [...new Set(parents)].flatMap((id) => {
    const [kind, key = ''] = id.split(' ')
    const gateway = kind === 'Gateway' ? view.get(GATEWAYS, key) : undefined
    return gateway && classOfGateway(gateway, view) ? key : []
  })
}

function conditionsOf(policy: BackendTlsPolicy, view: TranslationView): Finding[] {
  const observedGeneration = policy.metadata.generation ?? 1
  const condition = (type: string, problem: Problem | undefined): Finding => ({
    ...{ type, status: problem ? 'False' : 'True', observedGeneration },
    ...(problem ?? { reason: type, message: 'Configuration is valid' }),
  })
  if (isIgnored(policy)) {
    const message = 'Ignored by Istio due to annotation istio.io/ignore-policy-attachment=true'
    return [condition('Accepted', { reason: 'IgnoredByIstio', message })]
  }
  const problems = (policy.spec?.validation.caCertificateRefs ?? []).map((reference) =>
    referenceProblem(reference, policy.metadata.namespace ?? '', view),
  )
  const broken = problems.find((problem) => problem !== undefined)
  // One that can be used is enough to go on with.
  const untrusted =
    broken && problems.every((problem) => problem !== undefined)
      ? { reason: 'NoValidCACertificate', message: broken.message }
      : undefined
  return [condition('Accepted', conflict(policy, view) ?? untrusted), condition('ResolvedRefs', broken)]
}

/** Of several policies of one target the oldest counts. */
function conflict(policy: BackendTlsPolicy, view: TranslationView): Problem | undefined {
  const rivals = view
    .list(BACKEND_TLS_POLICIES, policy.metadata.namespace)
    .filter((other) => !isIgnored(other) && (other === policy || targetsSame(other, policy)))
    .toSorted(oldestFirst)
  const [first] = rivals
  if (!first || first.metadata.name === policy.metadata.name) return undefined
  const message = `BackendTLSPolicy ${first.metadata.namespace}/${first.metadata.name} is older and has the same target`
  return { reason: 'Conflicted', message }
}

function referenceProblem(
  { group, kind, name }: { readonly group: string; readonly kind: string; readonly name: string },
  namespace: string,
  view: TranslationView,
): Problem | undefined {
  if (group !== '' || kind !== 'ConfigMap') {
    return {
      reason: 'InvalidKind',
      message: `caCertificateRef of group "${group}" and kind "${kind}" is not supported`,
    }
  }
  const map = view.get(CONFIG_MAPS, `${namespace}/${name}`)
  if (!map) return { reason: 'InvalidCACertificateRef', message: `ConfigMap ${namespace}/${name} was not found` }
  if (map.data?.['ca.crt']?.includes('-----BEGIN CERTIFICATE')) return undefined
  return { reason: 'InvalidCACertificateRef', message: `ConfigMap ${namespace}/${name} has no certificate in ca.crt` }
}

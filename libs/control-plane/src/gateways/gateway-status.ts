import { type Condition, GATEWAY_GROUP, type Gateway, type GatewayStatus, type ListenerSet } from '@ambient-lab/api'
import { attachmentsOf, listenerId } from '../routing/gateway-chains.ts'
import {
  allowsListenerSet,
  classOfGateway,
  type EffectiveListener,
  gatewayListeners,
} from '../routing/gateway-listeners.ts'
import { keyPairOf } from '../routing/listener-tls.ts'
import { isGranted } from '../routing/reference-grants.ts'
import { parentOfSet } from '../routing/route-attachment.ts'
import { CONFIG_MAPS, GATEWAYS } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { assignGateway, type GatewayAssignment, type GatewayServices } from './gateway-services.ts'

/** A condition before it is known since when it holds. */
export type Finding = Omit<Condition, 'lastTransitionTime'>
type ListenerStatuses = NonNullable<GatewayStatus['listeners']>

export interface GatewayFindings {
  readonly conditions: readonly Finding[]
  /** Undefined: nothing was found to be said about listeners. */
  readonly listeners: readonly ListenerFindings[] | undefined
  readonly addresses: NonNullable<GatewayStatus['addresses']>
  /** Absent: none. */
  readonly attachedListenerSets?: number
}

export interface ListenerFindings extends Omit<ListenerStatuses[number], 'conditions'> {
  readonly conditions: readonly Finding[]
}

interface Problem {
  readonly reason: string
  readonly message: string
}

/**
 * What the status of a Gateway has to say; undefined: its class is not ours. Types, reasons and texts are istiod's.
 * @see reference: istio/istio pilot/pkg/config/kube/gateway, conditions.go
 */
export function gatewayFindings(
  gateway: Gateway,
  services: GatewayServices,
  view: TranslationView,
): GatewayFindings | undefined {
  const builtin = classOfGateway(gateway, view)
  if (!builtin) return undefined
  const generation = gateway.metadata.generation ?? 1
  const all = gatewayListeners(gateway, view)
  const own = all.filter(({ parent }) => parent.kind === 'Gateway')
  if (builtin.proxy === 'remote') return remoteFindings(gateway)
  const ports = [...new Set(all.map(({ listener }) => listener.port))]
  const assignment = assignGateway(gateway, builtin, ports, services, view.mesh.clusterDomain)
  const address = addressProblem(assignment)
  const accepted =
    address ?? parametersProblem(gateway, view) ?? (builtin.proxy === 'gateway' ? listenersProblem(all) : undefined)
  return {
    conditions: [
      condition('Accepted', accepted, { reason: 'Accepted', message: 'Resource accepted' }, generation),
      programmed(assignment, generation),
      condition('ResolvedRefs', clientCertificateProblem(gateway, view), RESOLVED, generation),
    ],
    listeners: address ? undefined : listenerFindings(gateway, own, generation, view),
    addresses: assignment.addresses,
    ...(address ? {} : attachedSets(all)),
  }
}

function attachedSets(listeners: readonly EffectiveListener[]): Pick<GatewayFindings, 'attachedListenerSets'> {
  const sets = listeners.filter(({ parent, isValid }) => parent.kind === 'ListenerSet' && isValid)
  const { size } = new Set(sets.map(({ parent }) => `${parent.namespace}/${parent.name}`))
  return size > 0 ? { attachedListenerSets: size } : {}
}

const RESOLVED = { reason: 'ResolvedRefs', message: 'All references resolved' }

/** Its proxies and its listeners are another cluster's. */
function remoteFindings({ metadata, spec }: Gateway): GatewayFindings {
  const generation = metadata.generation ?? 1
  const programmedText = { reason: 'Programmed', message: 'This Gateway is remote; Istio will not program it' }
  return {
    conditions: [
      condition('Accepted', undefined, { reason: 'Accepted', message: 'Resource accepted' }, generation),
      condition('Programmed', undefined, programmedText, generation),
    ],
    listeners: undefined,
    addresses: (spec?.addresses ?? []).map(({ type = 'IPAddress', value = '' }) => ({ type, value })),
  }
}

function condition(type: string, problem: Problem | undefined, fine: Problem, observedGeneration: number): Finding {
  const { reason, message } = problem ?? fine
  return { type, status: problem ? 'False' : 'True', reason, message, observedGeneration }
}

function addressProblem({ skipped }: GatewayAssignment): Problem | undefined {
  if (skipped.length === 0) return undefined
  return { reason: 'UnsupportedAddress', message: `only Hostname is supported, ignoring [${skipped.join(' ')}]` }
}

/** A ConfigMap that is there is the one thing that a Gateway may take parameters from. */
function parametersProblem({ metadata, spec }: Gateway, view: Pick<TranslationView, 'get'>): Problem | undefined {
  const parameters = spec?.infrastructure?.parametersRef
  if (!parameters) return undefined
  const { group, kind, name } = parameters
  if (group !== '' || kind !== 'ConfigMap') {
    const message = `Unsupported parametersRef group/kind ${group}/${kind}, only ConfigMap is supported`
    return { reason: 'InvalidParameters', message }
  }
  const key = `${metadata.namespace}/${name}`
  if (view.get(CONFIG_MAPS, key)) return undefined
  return { reason: 'InvalidParameters', message: `parametersRef ConfigMap ${key} does not exist` }
}

function listenersProblem(listeners: readonly EffectiveListener[]): Problem | undefined {
  if (listeners.length === 0 || listeners.some(({ isValid }) => isValid)) return undefined
  return { reason: 'ListenersNotValid', message: "None of the Gateway's listeners are valid" }
}

function clientCertificateProblem({ metadata, spec }: Gateway, view: TranslationView): Problem | undefined {
  const reference = spec?.tls?.backend?.clientCertificateRef
  if (!reference) return undefined
  const { group = '', kind = 'Secret', name, namespace } = reference
  const shown = `${group}/${kind}/${name}.${namespace ?? ''}`
  const what = `clientCertificateRef ${shown}`
  if (group !== '' || kind !== 'Secret') {
    return { reason: 'InvalidClientCertificateRef', message: `invalid ${what}, only secret is allowed` }
  }
  const { namespace: home = '' } = metadata
  const from = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: home }
  if (!isGranted(view, from, { group, kind, name, namespace: namespace ?? home })) {
    const message = `clientCertificateRef ${name}/${namespace} not accessible to a Gateway in namespace "${home}" (missing a ReferenceGrant?)`
    return { reason: 'RefNotPermitted', message }
  }
  const pair = keyPairOf(view, namespace ?? home, name, what)
  return 'reason' in pair ? { reason: 'InvalidClientCertificateRef', message: pair.message } : undefined
}

function programmed(assignment: GatewayAssignment, generation: number): Finding {
  return condition('Programmed', programmingProblem(assignment), programmedText(assignment), generation)
}

function programmedText({ assigned }: GatewayAssignment): Problem {
  return { reason: 'Programmed', message: `Resource programmed, assigned to service(s) ${enumerate(assigned)}` }
}

function programmingProblem({ assigned, warnings, skipped }: GatewayAssignment): Problem | undefined {
  if (skipped.length > 0) {
    return { reason: 'UnsupportedAddress', message: 'Failed to assign to any requested addresses' }
  }
  if (warnings.length === 0) return undefined
  const why = warnings.join('; ')
  if (assigned.length === 0) {
    return { reason: 'AddressNotUsable', message: `Failed to assign to any requested addresses: ${why}` }
  }
  return {
    reason: 'AddressNotUsable',
    message: `Assigned to service(s) ${enumerate(assigned)}, but failed to assign to all requested addresses: ${why}`,
  }
}

/** `a`, `a and b`, `a, b, and c` */
function enumerate(parts: readonly string[]): string {
  if (parts.length < 3) return parts.join(' and ')
  return `${parts.slice(0, -1).join(', ')}, and ${parts.at(-1)}`
}

function listenerFindings(
  gateway: Gateway,
  listeners: readonly EffectiveListener[],
  generation: number,
  view: TranslationView,
): ListenerFindings[] {
  const attachments = attachmentsOf(gateway, listeners, view)
  return listeners.map((effective) => ({
    name: effective.listener.name,
    attachedRoutes: attachments.get(listenerId(effective))?.length ?? 0,
    supportedKinds: effective.kinds.map((kind) => ({ group: GATEWAY_GROUP, kind })),
    conditions: listenerConditions(effective, generation),
  }))
}

const NO_ERRORS = 'No errors found'

function listenerConditions({ findings }: EffectiveListener, generation: number): Finding[] {
  const { protocol, tls, conflict, kinds } = findings
  const fine = (reason: string) => ({ reason, message: NO_ERRORS })
  // istiod says so of any certificate that may not be used, not of a clients' authority alone.
  const untrusted = tls && (tls.isClientCa || tls.reason === 'RefNotPermitted') ? tls : undefined
  const noAuthority = untrusted && { reason: 'NoValidCACertificate', message: untrusted.message }
  const conflicted: Finding = conflict
    ? { type: 'Conflicted', status: 'True', ...conflict, observedGeneration: generation }
    : { type: 'Conflicted', status: 'False', reason: 'NoConflicts', message: NO_ERRORS, observedGeneration: generation }
  const bad = tls && { reason: 'Invalid', message: 'Bad TLS configuration' }
  return [
    condition('Accepted', conflict ?? protocol ?? noAuthority, fine('Accepted'), generation),
    conflicted,
    condition('Programmed', conflict ?? bad, fine('Programmed'), generation),
    // What is in conflict is not looked at any further.
    ...(conflict ? [] : [condition('ResolvedRefs', tls ?? kinds, fine('ResolvedRefs'), generation)]),
  ]
}

/** What the status of a ListenerSet has to say; undefined: its Gateway is not ours. */
export function listenerSetFindings(
  set: ListenerSet,
  services: GatewayServices,
  view: TranslationView,
): Pick<GatewayFindings, 'conditions' | 'listeners'> | undefined {
  const gateway = view.get(GATEWAYS, parentOfSet(set))
  const builtin = gateway && classOfGateway(gateway, view)
  if (!gateway || !builtin) return undefined
  const generation = set.metadata.generation ?? 1
  const both = (accepted: Problem, programmedProblem = accepted) => ({
    conditions: [
      condition('Accepted', accepted, accepted, generation),
      condition('Programmed', programmedProblem, programmedProblem, generation),
    ],
    listeners: undefined,
  })
  const className = gateway.spec?.gatewayClassName
  if (!builtin.listenerSets) {
    return both({ reason: 'NotAllowed', message: `The "${className}" GatewayClass does not support ListenerSet` })
  }
  if (!allowsListenerSet(gateway, set, view)) {
    const message = "The parent Gateway does not allow this reference; check the 'spec.allowedRoutes'"
    return both({ reason: 'NotAllowed', message })
  }
  const all = gatewayListeners(gateway, view)
  const own = all.filter(
    ({ parent }) =>
      parent.kind === 'ListenerSet' && parent.namespace === set.metadata.namespace && parent.name === set.metadata.name,
  )
  const ports = [...new Set(own.map(({ listener }) => listener.port))]
  const assignment = assignGateway(gateway, builtin, ports, services, view.mesh.clusterDomain)
  const address = addressProblem(assignment)
  if (address) {
    const accepted = { ...address, message: `Parent not accepted: ${address.message}` }
    return both(accepted, programmingProblem(assignment))
  }
  const listeners = listenerFindings(gateway, own, generation, view)
  if (!own.some(({ isValid }) => isValid)) {
    const problem = { reason: 'ListenersNotValid', message: "None of the ListenerSet's listeners are valid" }
    return { ...both(problem), listeners }
  }
  return {
    conditions: [
      condition('Accepted', undefined, { reason: 'Accepted', message: 'Resource accepted' }, generation),
      programmed(assignment, generation),
    ],
    listeners,
  }
}

import {
  GATEWAY_GROUP,
  type Gateway,
  type ListenerSet,
  objectKey,
  type ParentReference,
  type Resource,
} from '@ambient-lab/api'
import { GATEWAYS, LISTENER_SETS, SERVICE_ENTRIES, SERVICES } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { allowsNamespace, classOfGateway, type EffectiveListener, gatewayListeners } from './gateway-listeners.ts'
import { intersectHostnames } from './hostnames.ts'

/** A listener that takes a route, and the hosts that it takes it for. */
export interface ListenerAttachment {
  readonly listener: EffectiveListener
  /** `*` for all. */
  readonly hostnames: readonly string[]
}

export interface AttachmentFinding {
  readonly reason: 'NoMatchingParent' | 'NoMatchingListenerHostname' | 'NotAllowedByListeners'
  readonly message: string
}

/** What a parent says to a route. */
export type ParentOutcome =
  | { readonly kind: 'accepted'; readonly attachments: readonly ListenerAttachment[] }
  | { readonly kind: 'refused'; readonly finding: AttachmentFinding }

/** The parts of a route that decide where it may attach. */
export interface AttachableRoute extends Resource {
  readonly spec?: { readonly parentRefs?: readonly ParentReference[]; readonly hostnames?: readonly string[] }
}

type View = Pick<TranslationView, 'get' | 'list' | 'routes'>

const RANKS: readonly AttachmentFinding['reason'][] = [
  'NoMatchingParent',
  'NoMatchingListenerHostname',
  'NotAllowedByListeners',
]

/** Asks one parent; undefined: it is not ours, and others may have to say something. */
export function attachToParent(route: AttachableRoute, parent: ParentReference, view: View): ParentOutcome | undefined {
  const { group = GATEWAY_GROUP, kind = 'Gateway' } = parent
  if (group === GATEWAY_GROUP && (kind === 'Gateway' || kind === 'ListenerSet')) {
    return attachToGateway(route, parent, kind, view)
  }
  if (group === '' && kind === 'Service') return attachToService(route, parent, view)
  if (group === 'networking.istio.io' && kind === 'ServiceEntry') return attachToEntry(route, parent, view)
  return undefined
}

/** A port that the service does not have is no reason to refuse: the route has nothing to say then. */
function attachToService(route: AttachableRoute, parent: ParentReference, view: View): ParentOutcome {
  const service = view.get(SERVICES, `${parent.namespace ?? route.metadata.namespace}/${parent.name}`)
  if (!service) return refused('NoMatchingParent', `parent service: "${parent.name}" not found`)
  return { kind: 'accepted', attachments: [] }
}

function attachToEntry(route: AttachableRoute, parent: ParentReference, view: View): ParentOutcome {
  const entry = view.get(SERVICE_ENTRIES, `${parent.namespace ?? route.metadata.namespace}/${parent.name}`)
  if (!entry) return refused('NoMatchingParent', `parent service entry: "${parent.name}" not found`)
  return { kind: 'accepted', attachments: [] }
}

function attachToGateway(
  route: AttachableRoute,
  parent: ParentReference,
  kind: 'Gateway' | 'ListenerSet',
  view: View,
): ParentOutcome | undefined {
  const home = parent.namespace ?? route.metadata.namespace ?? ''
  const gateway = gatewayOfParent(kind, `${home}/${parent.name}`, view)
  if (!gateway || !isServedHere(gateway, view)) return undefined
  const listeners = gatewayListeners(gateway, view).filter(
    (one) => one.parent.kind === kind && one.parent.namespace === home && one.parent.name === parent.name,
  )
  return attachToListeners(route, parent, listeners, view)
}

function isServedHere(gateway: Gateway, view: View): boolean {
  const builtin = classOfGateway(gateway, view)
  return builtin !== undefined && builtin.proxy !== 'remote'
}

function gatewayOfParent(kind: 'Gateway' | 'ListenerSet', key: string, view: View): Gateway | undefined {
  if (kind === 'Gateway') return view.get(GATEWAYS, key)
  const set = view.get(LISTENER_SETS, key)
  return set && view.get(GATEWAYS, parentOfSet(set))
}

export function parentOfSet({ metadata, spec }: ListenerSet): string {
  return objectKey({
    name: spec?.parentRef.name ?? '',
    namespace: spec?.parentRef.namespace ?? metadata.namespace ?? '',
  })
}

/** Of the reasons why listeners refuse the one is told that came closest. */
function attachToListeners(
  route: AttachableRoute,
  parent: ParentReference,
  listeners: readonly EffectiveListener[],
  view: View,
): ParentOutcome {
  const answers = listeners.map((listener) => attachToListener(route, parent, listener, view))
  const attachments = answers.flatMap((answer) => ('reason' in answer ? [] : answer))
  if (attachments.length > 0) return { kind: 'accepted', attachments }
  const findings = answers.flatMap((answer) => ('reason' in answer ? answer : []))
  if (findings.length === 0) return refused('NoMatchingParent', 'no listeners')
  const reason = RANKS.findLast((rank) => findings.some((finding) => finding.reason === rank))!
  const messages = findings.filter((finding) => finding.reason === reason).map(({ message }) => message)
  return refused(reason, messages.join('; '))
}

function attachToListener(
  route: AttachableRoute,
  { sectionName, port }: ParentReference,
  effective: EffectiveListener,
  view: View,
): ListenerAttachment | AttachmentFinding {
  const { listener, kinds } = effective
  if (sectionName !== undefined && sectionName !== listener.name) {
    return { reason: 'NoMatchingParent', message: `sectionName "${sectionName}" not found` }
  }
  if (port !== undefined && port !== listener.port) {
    return { reason: 'NoMatchingParent', message: `port ${port} not found` }
  }
  const own = listener.hostname ?? '*'
  const hostnames = hostnamesAt(route, own)
  if (hostnames.length === 0) {
    return {
      reason: 'NoMatchingListenerHostname',
      message: `no hostnames matched parent hostname "${listener.hostname ?? ''}"`,
    }
  }
  const namespace = route.metadata.namespace ?? ''
  if (!allowsNamespace(effective, namespace, view)) {
    const message = `hostnames matched parent hostname "${listener.hostname ?? ''}", but namespace "${namespace}" is not allowed by the parent`
    return { reason: 'NotAllowedByListeners', message }
  }
  if (!kinds.includes(route.kind)) {
    const message = `kind ${GATEWAY_GROUP}/v1/${route.kind} is not allowed`
    return { reason: 'NotAllowedByListeners', message }
  }
  return { listener: effective, hostnames }
}

/** The hosts that a route and a listener share. */
function hostnamesAt({ kind, spec }: AttachableRoute, own: string): readonly string[] {
  const wanted = kind === 'TCPRoute' ? [] : (spec?.hostnames ?? [])
  if (wanted.length === 0) return [own]
  return [...new Set(wanted.flatMap((hostname) => intersectHostnames(hostname, own) ?? []))]
}

function refused(reason: AttachmentFinding['reason'], message: string): ParentOutcome {
  return { kind: 'refused', finding: { reason, message } }
}

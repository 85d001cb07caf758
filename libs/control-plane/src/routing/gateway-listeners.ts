import {
  GATEWAY_GROUP,
  type Gateway,
  type GatewayListener,
  type ListenerSet,
  matchesLabels,
  objectKey,
} from '@ambient-lab/api'
import type { DownstreamTls, ProxyPort } from '@ambient-lab/xds'
import { type BuiltinClass, builtinClassOf } from '../gateways/gateway-classes.ts'
import { GATEWAY_CLASSES, NAMESPACES } from '../stored-kinds.ts'
import { oldestFirst } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { frontendValidation, listenerTls, type TlsFinding } from './listener-tls.ts'

export interface ListenerFinding {
  readonly reason: string
  readonly message: string
}

/** A listener of a Gateway, its own or one that a ListenerSet adds, with what is wrong with it. */
export interface EffectiveListener {
  readonly listener: GatewayListener
  /** The object that it is written in. */
  readonly parent: { readonly kind: 'Gateway' | 'ListenerSet'; readonly namespace: string; readonly name: string }
  /** Kinds of routes that may attach. */
  readonly kinds: readonly string[]
  readonly tls?: DownstreamTls
  readonly isValid: boolean
  readonly findings: {
    readonly protocol?: ListenerFinding
    readonly tls?: TlsFinding
    readonly conflict?: ListenerFinding
    readonly kinds?: ListenerFinding
  }
}

type View = Pick<TranslationView, 'get' | 'list' | 'routes'>

const HBONE_PORT = 15008
const PROTOCOLS = ['HTTP', 'HTTPS', 'TLS', 'TCP']

export function classOfGateway(gateway: Gateway, view: Pick<TranslationView, 'get'>): BuiltinClass | undefined {
  const name = gateway.spec?.gatewayClassName ?? ''
  return builtinClassOf(name, view.get(GATEWAY_CLASSES, name))
}

/** All listeners of a Gateway of ours: its own, then those of the ListenerSets that it allows, the oldest first. */
export function gatewayListeners(gateway: Gateway, view: View): readonly EffectiveListener[] {
  const builtin = classOfGateway(gateway, view)
  if (!builtin) return []
  const { namespace = '', name } = gateway.metadata
  const own = (gateway.spec?.listeners ?? []).map((listener) => ({
    listener,
    parent: { kind: 'Gateway' as const, namespace, name },
  }))
  const added = listenerSetsOf(gateway, builtin, view).flatMap(({ metadata, spec }) =>
    (spec?.listeners ?? []).map((listener) => ({
      listener,
      parent: { kind: 'ListenerSet' as const, namespace: metadata.namespace ?? '', name: metadata.name },
    })),
  )
  const taken = new Map<string, 'own' | 'added'>()
  return [...own, ...added].map(({ listener, parent }) => {
    const place = `${listener.port} ${listener.protocol} ${listener.hostname ?? ''}`
    const isRival = parent.kind === 'ListenerSet' && taken.has(place)
    const effective = effectiveListener(gateway, builtin, { listener, parent }, isRival, view)
    if (effective.isValid && !taken.has(place)) taken.set(place, parent.kind === 'Gateway' ? 'own' : 'added')
    return effective
  })
}

function effectiveListener(
  gateway: Gateway,
  builtin: BuiltinClass,
  { listener, parent }: Pick<EffectiveListener, 'listener' | 'parent'>,
  isRival: boolean,
  view: View,
): EffectiveListener {
  const protocol = protocolFinding(listener, builtin)
  const tls = listenerTls(
    listener,
    { kind: parent.kind, namespace: parent.namespace },
    frontendValidation(gateway, listener.port),
    view,
  )
  const { kinds, finding } = allowedKinds(listener)
  const conflict = isRival
    ? {
        reason: 'HostnameConflict',
        message: 'Listener has a conflict with another listener attached to the same Gateway',
      }
    : undefined
  const tlsFinding = tls && 'reason' in tls ? tls : undefined
  return {
    listener,
    parent,
    kinds,
    ...(tls && !('reason' in tls) && { tls }),
    isValid: !protocol && !tlsFinding && !conflict,
    findings: {
      ...(protocol && { protocol }),
      ...(tlsFinding && { tls: tlsFinding }),
      ...(conflict && { conflict }),
      ...(finding && { kinds: finding }),
    },
  }
}

/** The ListenerSets that may add to a Gateway, the oldest first. */
function listenerSetsOf(gateway: Gateway, builtin: BuiltinClass, view: View): ListenerSet[] {
  if (!builtin.listenerSets) return []
  const sets = view.routes.listenerSetsOf(objectKey(gateway.metadata)) as readonly ListenerSet[]
  return sets.filter((set) => allowsListenerSet(gateway, set, view)).sort(oldestFirst)
}

/** Whether a Gateway takes listeners from a ListenerSet's namespace: from none, unless it says otherwise. */
export function allowsListenerSet({ metadata, spec }: Gateway, set: ListenerSet, view: View): boolean {
  const { from = 'None', selector = {} } = spec?.allowedListeners?.namespaces ?? {}
  const namespace = set.metadata.namespace ?? ''
  if (from === 'All') return true
  if (from === 'Same') return namespace === metadata.namespace
  if (from !== 'Selector') return false
  return matchesLabels(selector, view.get(NAMESPACES, namespace)?.metadata.labels)
}

/** Whether a listener takes routes from a namespace: from its own, unless it says otherwise. */
export function allowsNamespace({ listener, parent }: EffectiveListener, namespace: string, view: View): boolean {
  const { from = 'Same', selector = {} } = listener.allowedRoutes?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return namespace === parent.namespace
  return matchesLabels(selector, view.get(NAMESPACES, namespace)?.metadata.labels)
}

/** How the proxy reads what comes in on a listener; undefined: it does not. */
export function listenerProtocol({ protocol }: GatewayListener): ProxyPort['protocol'] | undefined {
  if (protocol === 'HTTP' || protocol === 'TCP') return protocol
  return protocol === 'HTTPS' || protocol === 'TLS' ? 'TLS' : undefined
}

function protocolFinding(listener: GatewayListener, { proxy }: BuiltinClass): ListenerFinding | undefined {
  const unsupported = (message: string) => ({ reason: 'UnsupportedProtocol', message })
  const { protocol, port, tls } = listener
  const isHbone = protocol === 'HBONE' && port === HBONE_PORT
  if (proxy === 'waypoint') {
    return isHbone ? undefined : unsupported('Expected a single listener on port 15008 with protocol "HBONE"')
  }
  if (proxy === 'east-west') {
    const fits = (isHbone && tls?.mode === 'Terminate') || (protocol === 'TLS' && tls?.mode === 'Passthrough')
    if (fits) return undefined
    return unsupported(
      'East-west gateway listeners must be either port 15008 with protocol "HBONE" and TLS.Mode == Terminate, or TLS with TLS.Mode == Passthrough',
    )
  }
  if (PROTOCOLS.includes(protocol)) return undefined
  const upper = protocol.toUpperCase()
  const hint = PROTOCOLS.includes(upper) ? `. hint: "${upper}" (uppercase) may be supported` : ''
  return unsupported(`protocol "${protocol}" is unsupported${hint}`)
}

/** What the protocol carries, less what the listener leaves out. */
function allowedKinds(listener: GatewayListener): { kinds: readonly string[]; finding?: ListenerFinding } {
  const supported = kindsOfProtocol(listener)
  const asked = listener.allowedRoutes?.kinds ?? []
  if (asked.length === 0) return { kinds: supported }
  const isSupported = ({ group = GATEWAY_GROUP, kind }: (typeof asked)[number]) =>
    group === GATEWAY_GROUP && supported.includes(kind)
  const kinds = asked.filter(isSupported).map(({ kind }) => kind)
  const wrong = asked.some((one) => !isSupported(one))
  return { kinds, ...(wrong && { finding: { reason: 'InvalidRouteKinds', message: 'one or more unsupported kinds' } }) }
}

function kindsOfProtocol({ protocol, tls }: GatewayListener): readonly string[] {
  switch (protocol) {
    case 'HTTP':
    case 'HTTPS':
      return ['HTTPRoute', 'GRPCRoute']
    case 'TCP':
      return ['TCPRoute']
    case 'TLS':
      return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TLSRoute', 'TCPRoute']
    default:
      return []
  }
}

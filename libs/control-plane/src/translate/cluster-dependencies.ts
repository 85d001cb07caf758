import {
  type BackendTlsPolicy,
  type DestinationRule,
  type Gateway,
  type ObjectKey,
  objectKey,
  type Resource,
} from '@ambient-lab/api'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { rateLimitHosts } from '../routing/rate-limits.ts'
import type { StoreEvent } from '../store/store.ts'
import {
  BACKEND_TLS_POLICIES,
  DESTINATION_RULES,
  GATEWAY_CLASSES,
  GATEWAYS,
  type SERVICE_ENTRIES,
  type SERVICES,
} from '../stored-kinds.ts'
import { attachedToWaypoint } from './dependencies.ts'
import { hostKeys, movedReplica } from './l7-dependencies.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

type Kind = 'Service' | 'ServiceEntry'

/** All when a proxy's replica or the first sidecar was placed, or went; else the services of which a pod came into a subset, or went. */
export function ofPod(kind: Kind): (change: StoreEvent, view: TranslationView) => Touched {
  return (change, view) => {
    if (movedReplica(change) || view.sidecars.isTurningPoint(change)) return { namespace: undefined }
    const { operation, object, previous } = change
    const [before, after] = [previous, operation === 'deleted' ? undefined : object]
    if (membership(before) === membership(after)) return { keys: [] }
    const namespace = object.metadata.namespace ?? ''
    const infos = [before, after].flatMap((pod) => view.servicesSelecting(namespace, pod?.metadata.labels ?? {}))
    const withSubsets = infos.filter(
      ({ key, source }) => source === kind && hasSubsets(key.slice(key.indexOf('/') + 1), view),
    )
    return { keys: withSubsets.map(({ key }) => objectOf(kind, key, view)).flatMap((found) => found ?? []) }
  }
}

/**
 * All when a Gateway whose replicas are there already came, went, or became another sort of proxy; else those that use
 * it as their waypoint.
 */
export function ofGateways(
  kind: typeof SERVICES | typeof SERVICE_ENTRIES,
): Record<typeof GATEWAYS | typeof GATEWAY_CLASSES, (change: StoreEvent, view: TranslationView) => Touched> {
  const attached = attachedToWaypoint(kind)
  return {
    [GATEWAYS](change, view) {
      const { operation, object, previous } = change
      const sort = (gateway: Resource | undefined) => gateway && classOfGateway(gateway as Gateway, view)?.proxy
      const isSame = sort(operation === 'deleted' ? undefined : object) === sort(previous)
      const runs = view.routes.nodesOf(objectKey(object.metadata)).length > 0
      return runs && !isSame ? { namespace: undefined } : attached[GATEWAYS](change, view)
    },
    [GATEWAY_CLASSES]: () => ({ namespace: undefined }),
  }
}

/** What makes a pod a member of a subset. */
function membership(pod: Resource | undefined): string {
  const status = pod?.status as { readonly podIP?: string } | undefined
  return JSON.stringify([pod?.metadata.labels, status?.podIP])
}

function hasSubsets(hostname: string, view: TranslationView): boolean {
  return view.routes.destinationRulesOf(hostname).some(({ spec }) => (spec?.subsets?.length ?? 0) > 0)
}

/** `namespace/hostname` of a service → the key of the object behind it. */
function objectOf(kind: Kind, key: string, view: TranslationView): ObjectKey | undefined {
  const [namespace = '', hostname = ''] = key.split('/')
  if (kind === 'Service') return `${namespace}/${hostname.split('.')[0]}`
  const winner = view.entriesOf(hostname).winners.get(namespace)
  return winner && `${namespace}/${winner}`
}

/** Services whose BackendTLSPolicy reads a ConfigMap. */
export function usersOfConfigMap(kind: Kind): (change: StoreEvent, view: TranslationView) => Touched {
  return ({ object }, view) => {
    const { name, namespace } = object.metadata
    const policies = view.list(BACKEND_TLS_POLICIES, namespace).filter((policy) => reads(policy, name))
    const targets = policies.flatMap(({ spec }) => spec?.targetRefs ?? []).filter((target) => target.kind === kind)
    return { keys: targets.map((target) => `${namespace}/${target.name}`) }
  }
}

/** Services whose DestinationRule reads a Secret: those of its namespace that any rule with a credential is about. */
export function usersOfSecret(kind: Kind): (change: StoreEvent, view: TranslationView) => Touched {
  return ({ object }, view) => {
    const { name, namespace } = object.metadata
    const rules = view.list(DESTINATION_RULES, namespace).filter((rule) => credentialsOf(rule).includes(name))
    return {
      keys: hostKeys(
        kind,
        rules.map((rule) => view.routes.hostOf(rule)),
        view,
      ),
    }
  }
}

/** Services that a policy has asked about rates, before and after. */
export function rateLimitService(kind: Kind): (change: StoreEvent, view: TranslationView) => Touched {
  return ({ type, object, previous }, view) => {
    const states = [object, previous].filter((state): state is Resource => state !== undefined)
    const hosts = states.flatMap((state) => {
      const list = (of: string) => (of === type ? [state] : []) as never
      return [...rateLimitHosts({ list, mesh: view.mesh })]
    })
    return { keys: hostKeys(kind, hosts, view) }
  }
}

function credentialsOf({ spec }: DestinationRule): string[] {
  const policies = [spec?.trafficPolicy, ...(spec?.subsets ?? []).map(({ trafficPolicy }) => trafficPolicy)]
  const settings = policies.flatMap((policy) => (policy ? [policy, ...(policy.portLevelSettings ?? [])] : []))
  return settings.flatMap(({ tls }) => tls?.credentialName ?? [])
}

function reads({ spec }: BackendTlsPolicy, name: string): boolean {
  return (spec?.validation.caCertificateRefs ?? []).some((reference) => reference.name === name)
}

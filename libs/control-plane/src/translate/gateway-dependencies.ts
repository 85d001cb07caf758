import { type Gateway, type ObjectKey, objectKey, type Resource } from '@ambient-lab/api'
import { gatewayListeners } from '../routing/gateway-listeners.ts'
import { GATEWAYS } from '../stored-kinds.ts'
import type { ObjectChange, Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

/** Gateways that read a Secret, a ConfigMap, or a ReferenceGrant, by its namespace: certificates are where theirs are. */
export function gatewaysUsing({ object }: ObjectChange, view: TranslationView): Touched {
  const { namespace = '' } = object.metadata
  return { keys: keysWhere(view, (gateway) => namespacesOf(gateway, view).has(namespace)) }
}

/** Gateways that admit routes or listeners by the labels of namespaces, when those labels changed. */
export function gatewaysAdmitting({ object, previous, operation }: ObjectChange, view: TranslationView): Touched {
  const labels = (namespace: Resource | undefined) => JSON.stringify(namespace?.metadata.labels)
  if (operation === 'modified' && labels(object) === labels(previous)) return { keys: [] }
  const selects = ({ spec }: Gateway) =>
    spec?.allowedListeners?.namespaces?.from === 'Selector' ||
    (spec?.listeners ?? []).some(({ allowedRoutes }) => allowedRoutes?.namespaces?.from === 'Selector')
  return { keys: keysWhere(view, selects) }
}

function keysWhere(view: TranslationView, holds: (gateway: Gateway) => boolean): ObjectKey[] {
  return view
    .list(GATEWAYS)
    .filter(holds)
    .map(({ metadata }) => objectKey(metadata))
}

/** Namespaces that the certificates of a Gateway's listeners may be in. */
function namespacesOf(gateway: Gateway, view: TranslationView): Set<string> {
  const named = gatewayListeners(gateway, view).flatMap(({ listener, parent }) => [
    parent.namespace,
    ...(listener.tls?.certificateRefs ?? []).flatMap(({ namespace }) => namespace ?? []),
  ])
  const frontend = gateway.spec?.tls?.frontend
  const validations = [frontend?.default, ...(frontend?.perPort ?? []).map(({ tls }) => tls)]
  const authorities = validations.flatMap((tls) => tls?.validation?.caCertificateRefs ?? [])
  return new Set([...named, ...authorities.flatMap(({ namespace }) => namespace ?? [])])
}

import { objectKey, type Service } from '@ambient-lab/api'
import type { StoreEvent } from '../store/store.ts'
import { ENDPOINT_SLICES, PODS, SERVICE_ENTRIES, SERVICES, type ServiceEntry, SIDECARS } from '../stored-kinds.ts'
import { namedBySlice, sameNamespaceOrAll, selectedBy } from './dependencies.ts'
import type { Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

type Touch = (change: StoreEvent, view: TranslationView) => Touched

/** Sidecars in the namespace of the changed object; everywhere when that is the root namespace. */
export const sidecarsThere: Touch = withSidecar(sameNamespaceOrAll)

/** What the ports of a pod follow from, that a sidecar takes for it. */
export const portsOfSidecars = {
  [SERVICES]: withSidecar(ofService),
  [SERVICE_ENTRIES]: withSidecar(ofEntry),
  [ENDPOINT_SLICES]: withSidecar((change) => namedBySlice(change)),
  [SIDECARS]: sidecarsThere,
}

/** Of the pods that are touched those with a sidecar; nothing is looked for where there is none. */
function withSidecar(touch: Touch): Touch {
  return (change, view) => {
    const all = new Set(view.sidecars.podsOf(undefined))
    if (all.size === 0) return { keys: [] }
    const touched = touch(change, view)
    if ('namespace' in touched) return { keys: view.sidecars.podsOf(touched.namespace) }
    return { keys: [...touched.keys].filter((key) => all.has(key)) }
  }
}

const bySelector = selectedBy(PODS, (service) => (service as Service).spec?.selector)
const byEntrySelector = selectedBy(PODS, (entry) => (entry as ServiceEntry).spec?.workloadSelector?.labels)

/** A Service without a selector may name any pod of its namespace in its slices. */
function ofService(change: StoreEvent, view: TranslationView): Touched {
  const { object, previous } = change
  const isWide = [object, previous].some((one) => one && !Object.keys((one as Service).spec?.selector ?? {}).length)
  return isWide ? { namespace: object.metadata.namespace } : bySelector(change, view)
}

/** Another entry may come to stand for the host, in any namespace. */
function ofEntry(change: StoreEvent, view: TranslationView): Touched {
  const { object, previous } = change
  const hosts = [object, previous].flatMap((entry) => (entry as ServiceEntry | undefined)?.spec?.hosts ?? [])
  const rivals = [...new Set(hosts)].flatMap((host) => [...view.entriesNaming(host)])
  const touched = [change, ...rivals.map((entry) => ({ ...change, object: entry, previous: undefined }))]
  return {
    keys: touched.flatMap((one) => {
      const found = byEntrySelector(one, view)
      return 'keys' in found
        ? [...found.keys]
        : view.list(PODS, found.namespace).map(({ metadata }) => objectKey(metadata))
    }),
  }
}

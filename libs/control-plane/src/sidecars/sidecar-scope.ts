import type { Sidecar, SidecarIngress } from '@ambient-lab/api'
import { matchesEvery } from '@ambient-lab/api'
import type { OutboundVisibility } from '@ambient-lab/xds'
import { SIDECARS } from '../stored-kinds.ts'
import { oldestFirst, wholeHost } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'

type Labels = Readonly<Record<string, string>>
type View = Pick<TranslationView, 'list' | 'mesh'>

/**
 * The Sidecar resource that holds for a workload: the oldest of its namespace that selects it, else the one for the whole
 * namespace, else that of the root namespace.
 */
export function sidecarOf(view: View, namespace: string, labels: Labels): Sidecar | undefined {
  const { rootNamespace } = view.mesh
  const own = view.list(SIDECARS, namespace).toSorted(oldestFirst)
  const selecting = own.find((sidecar) => isSelective(sidecar) && matchesEvery(selectorOf(sidecar), labels))
  if (selecting) return selecting
  const wide = own.find((sidecar) => !isSelective(sidecar))
  if (wide || namespace === rootNamespace) return wide
  return view
    .list(SIDECARS, rootNamespace)
    .toSorted(oldestFirst)
    .find((sidecar) => !isSelective(sidecar))
}

/** What its workload may reach: by the `egress` of all listeners together, and what the mesh says of everything else. */
export function outboundVisibility(sidecar: Sidecar | undefined, namespace: string, view: View): OutboundVisibility {
  const { clusterDomain, outboundTrafficPolicy } = view.mesh
  const { egress, outboundTrafficPolicy: own } = sidecar?.spec ?? {}
  const mode = own?.mode ?? outboundTrafficPolicy.mode
  if (!egress?.length) return { mode }
  const hosts = egress
    .flatMap((listener) => listener.hosts)
    .flatMap((host) => {
      const slash = host.indexOf('/')
      const [home, name] = [host.slice(0, slash), host.slice(slash + 1)]
      if (home === '~') return []
      const where = home === '.' ? namespace : home
      return `${where}/${wholeHost(name, where, clusterDomain)}`
    })
  return { mode, hosts: [...new Set(hosts)] }
}

/** Which port of the workload itself an ingress listener leads to. */
export function ingressTarget({ port, defaultEndpoint = '' }: SidecarIngress): number {
  const target = Number(defaultEndpoint.slice(defaultEndpoint.lastIndexOf(':') + 1))
  return defaultEndpoint.includes(':') && target > 0 ? target : (port.number ?? 0)
}

function isSelective(sidecar: Sidecar): boolean {
  return Object.keys(selectorOf(sidecar)).length > 0
}

function selectorOf({ spec }: Sidecar): Labels {
  return spec?.workloadSelector?.labels ?? {}
}

import { defineAnalyzer, finding } from '../analyzer.ts'

const PROXY_UID = 1337
/** The mesh's own, which may. */
const PROXIES = ['istio-proxy', 'istio-init', 'discovery', 'istio-validation']

interface Secured {
  readonly name?: string
  readonly securityContext?: { readonly runAsUser?: number }
}

/** Programs that run as the user whose traffic is never captured. */
export default defineAnalyzer({
  name: 'reserved-user',
  codes: ['IST0144'],
  *find(world) {
    for (const { object, spec } of world.workloads) {
      if (!spec) continue
      const prefix = object.kind === 'Pod' ? 'spec' : 'spec.template.spec'
      if (isReserved(spec as unknown as Secured)) {
        yield finding('IST0144', object, [], `${prefix}.securityContext.runAsUser`)
        continue
      }
      const containers = (spec.containers ?? []) as readonly Secured[]
      const index = containers.findIndex(
        (container) => !PROXIES.includes(container.name ?? '') && isReserved(container),
      )
      if (index >= 0) {
        yield finding('IST0144', object, [], `${prefix}.containers[${index}].securityContext.runAsUser`)
      }
    }
  },
})

function isReserved({ securityContext }: Secured): boolean {
  return securityContext?.runAsUser === PROXY_UID
}

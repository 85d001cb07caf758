import virtualServiceKind, { type VirtualService } from '../../kinds/virtual-service.ts'
import { objectKey } from '../../resource.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import { hostsMeet, shareViewers, wholeHost } from '../hosts.ts'

/** VirtualServices for the mesh that route one host, where somebody sees both. */
export default defineAnalyzer({
  name: 'virtual-service-hosts',
  codes: ['IST0109'],
  find(world) {
    const inMesh = world
      .list(virtualServiceKind)
      .filter(({ spec }) => (spec?.gateways ?? ['mesh']).includes('mesh') && (spec?.hosts ?? []).length > 0)
    return inMesh.flatMap((virtualService) =>
      (virtualService.spec?.hosts ?? []).flatMap((host, index) => {
        const others = inMesh.filter(
          (other) => other !== virtualService && conflicts(world, virtualService, host, other),
        )
        if (others.length === 0) return []
        const names = [virtualService, ...others].map(({ metadata }) => objectKey(metadata)).sort()
        return [finding('IST0109', virtualService, [names.join(','), host], `spec.hosts[${index}]`)]
      }),
    )
  },
})

function conflicts(world: AnalysisWorld, mine: VirtualService, host: string, other: VirtualService): boolean {
  if (!shareViewers(mine, other)) return false
  const whole = wholeHost(host, mine.metadata.namespace ?? '', world)
  return (other.spec?.hosts ?? []).some((text) =>
    hostsMeet(whole, wholeHost(text, other.metadata.namespace ?? '', world)),
  )
}

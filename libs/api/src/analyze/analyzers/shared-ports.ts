import deploymentKind, { type Deployment } from '../../kinds/deployment.ts'
import serviceKind, { type Service, type ServicePort } from '../../kinds/service.ts'
import { objectKey } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import { hasSidecar, isAmbient } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

interface Claim {
  readonly service: Service
  readonly port: ServicePort
}

/** Deployments of which several services say different things about one port. */
export default defineAnalyzer({
  name: 'shared-ports',
  codes: ['IST0116', 'IST0137'],
  *find(world) {
    for (const workload of world.workloads) {
      const { object } = workload
      if (object.kind !== deploymentKind.kind) continue
      if (!isAmbient(world, workload) && !hasSidecar(world, workload)) continue
      yield* findOf(world, object as Deployment, workload.labels)
    }
  },
})

function* findOf(
  world: AnalysisWorld,
  deployment: Deployment,
  labels: Readonly<Record<string, string>>,
): Iterable<Finding> {
  const { name, namespace = '' } = deployment.metadata
  const claims = world
    .list(serviceKind, namespace)
    .filter(({ spec }) => Object.keys(spec?.selector ?? {}).length > 0 && matchesEvery(spec?.selector ?? {}, labels))
    .flatMap((service): Claim[] => (service.spec?.ports ?? []).map((port) => ({ service, port })))
  for (const [target, same] of Map.groupBy(claims, ({ port }) => String(port.targetPort ?? port.port))) {
    const protocols = distinct(same.map(({ port }) => port.protocol ?? 'TCP'))
    const ports = distinct(same.map(({ port }) => String(port.port)))
    const services = distinct(same.map(({ service }) => objectKey(service.metadata)))
    if (services.length < 2) continue
    if (ports.length > 1) {
      yield finding('IST0137', deployment, [name, `[${services.join(' ')}]`, target, `[${ports.join(' ')}]`])
    } else if (protocols.length > 1) {
      yield finding('IST0116', deployment, [name, target, `[${protocols.join(' ')}]`])
    }
  }
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort()
}

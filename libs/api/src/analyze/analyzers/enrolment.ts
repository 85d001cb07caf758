import { DATAPLANE_MODE } from '../../enrolment.ts'
import { describeReference } from '../../reference.ts'
import { asksForAmbient, hasAmbient, hasSidecar, isAmbient, isNamespaceKnown } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Namespaces of Kubernetes and Istio, whose workloads nobody enrols. */
const SYSTEM = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']

/** Who is in the mesh, and who is twice or not at all. */
export default defineAnalyzer({
  name: 'enrolment',
  codes: ['AM0101', 'AM0102'],
  *find(world) {
    if (!hasAmbient(world)) return
    for (const workload of world.workloads) {
      const { object, namespace, labels } = workload
      if (asksForAmbient(world, workload)) {
        if (hasSidecar(world, workload)) yield finding('AM0102', object, [describeReference(object)])
        continue
      }
      const isMeant = (labels[DATAPLANE_MODE] ?? world.namespaceLabels(namespace)[DATAPLANE_MODE]) !== undefined
      if (!isNamespaceKnown(world, namespace)) continue
      const isSystem = SYSTEM.includes(namespace) || namespace === world.settings.rootNamespace
      if (isMeant || isSystem || isAmbient(world, workload) || hasSidecar(world, workload)) continue
      yield finding('AM0101', object, [describeReference(object), namespace || 'default'])
    }
  },
})

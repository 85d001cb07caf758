import sidecarKind, { type Sidecar } from '../../kinds/sidecar.ts'
import { isForAmbient } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import { conflictingSelectors } from '../conflicting-selectors.ts'

/** Pods that have more than one Sidecar, and Sidecars for pods that have no sidecar. */
export default defineAnalyzer({
  name: 'sidecars',
  codes: ['IST0110', 'IST0111', 'IST0167'],
  *find(world) {
    const isIdle = (sidecar: Sidecar) => isForAmbient(world, sidecar, sidecar.spec?.workloadSelector?.labels)
    const sidecars = world.list(sidecarKind)
    for (const sidecar of sidecars.filter(isIdle)) {
      const means = sidecar.spec?.workloadSelector?.labels ? 'selected workload' : 'namespace'
      yield finding('IST0167', sidecar, [`${means} is in ambient mode`])
    }
    yield* conflictingSelectors(world, {
      objects: sidecars.filter((sidecar) => !isIdle(sidecar)),
      selectorOf: (object) => (object as Sidecar).spec?.workloadSelector?.labels,
      selectorPath: 'spec.workloadSelector',
      codes: ['IST0111', 'IST0110'],
    })
  },
})

import peerAuthenticationKind from '../../kinds/peer-authentication.ts'
import { describeReference } from '../../reference.ts'
import { hasAmbient, hasSidecar, isAmbient, isNamespaceKnown } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

const NAMED_MAX = 3

/** mTLS that is demanded while workloads are about that can only send plaintext. */
export default defineAnalyzer({
  name: 'strict-mtls',
  codes: ['AM0114'],
  *find(world) {
    if (!hasAmbient(world)) return
    const { rootNamespace } = world.settings
    const plain = world.workloads.filter(
      (workload) =>
        workload.namespace !== rootNamespace &&
        isNamespaceKnown(world, workload.namespace) &&
        !isAmbient(world, workload) &&
        !hasSidecar(world, workload),
    )
    if (plain.length === 0) return
    const named = plain.slice(0, NAMED_MAX).map(({ object }) => describeReference(object))
    const text =
      plain.length > NAMED_MAX ? `${named.join(', ')} and ${plain.length - NAMED_MAX} more` : named.join(', ')
    for (const policy of world.list(peerAuthenticationKind)) {
      if (policy.spec?.mtls?.mode === 'STRICT') yield finding('AM0114', policy, [text], 'spec.mtls.mode')
    }
  },
})

import authorizationPolicyKind from '../../kinds/authorization-policy.ts'
import peerAuthenticationKind from '../../kinds/peer-authentication.ts'
import podKind from '../../kinds/pod.ts'
import requestAuthenticationKind from '../../kinds/request-authentication.ts'
import telemetryKind from '../../kinds/telemetry.ts'
import wasmPluginKind from '../../kinds/wasm-plugin.ts'
import type { Resource } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import { labelText } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

type Selecting = Resource<{ readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } }>

const KINDS = [
  authorizationPolicyKind,
  peerAuthenticationKind,
  requestAuthenticationKind,
  telemetryKind,
  wasmPluginKind,
] as const

/** Selectors that mean no pod. */
export default defineAnalyzer({
  name: 'selectors',
  codes: ['IST0127'],
  *find(world) {
    for (const kind of KINDS) {
      for (const policy of world.list<Selecting>(kind as never)) {
        const labels = policy.spec?.selector?.matchLabels
        if (!labels || Object.keys(labels).length === 0) continue
        const { namespace = '' } = policy.metadata
        const where = namespace === world.settings.rootNamespace ? undefined : namespace
        const isMet =
          world.workloadsWith(labels, where).length > 0 ||
          world.list(podKind, where).some(({ metadata }) => matchesEvery(labels, metadata.labels))
        if (!isMet) yield finding('IST0127', policy, [labelText(labels)], 'spec.selector')
      }
    }
  },
})

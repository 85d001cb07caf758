import type { PeerAuthentication } from '@ambient-lab/api'
import { STATIC_STRICT_NAME } from '@ambient-lab/policy'
import { AUTHORIZATION_TYPE, type Authorization } from '@ambient-lab/xds'
import { PEER_AUTHENTICATIONS } from '../stored-kinds.ts'
import { sameNamespaceOrAll } from './dependencies.ts'
import {
  convertPeerAuthentication,
  effectiveMutualTls,
  isWorkloadLevel,
  oldest,
  staticStrictPolicy,
} from './mutual-tls.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'

/** The one policy behind every STRICT, there as long as there is any PeerAuthentication, and one for port exceptions. */
export default defineTranslation({
  name: 'peer-authentication',
  kind: PEER_AUTHENTICATIONS,
  typeUrl: AUTHORIZATION_TYPE,
  translate(policy, view) {
    const { rootNamespace } = view.mesh
    const strict = { name: `${rootNamespace}/${STATIC_STRICT_NAME}`, resource: staticStrictPolicy(rootNamespace) }
    const converted = convertedPolicy(policy, view)
    if (!converted) return [strict]
    return [strict, { name: `${converted.namespace}/${converted.name}`, resource: converted }]
  },
  // A policy of one level changes what those below inherit.
  dependencies: { [PEER_AUTHENTICATIONS]: sameNamespaceOrAll },
})

export function convertedPolicy(policy: PeerAuthentication, view: TranslationView): Authorization | undefined {
  const { rootNamespace } = view.mesh
  const namespace = policy.metadata.namespace ?? ''
  if (!isWorkloadLevel(policy) || namespace === rootNamespace) return undefined
  const wide = (of: string) => oldest(view.peerAuthentications(of).filter((other) => !isWorkloadLevel(other)))
  return convertPeerAuthentication(effectiveMutualTls(wide(rootNamespace), wide(namespace), policy))
}

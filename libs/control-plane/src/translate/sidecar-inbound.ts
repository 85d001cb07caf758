import { hasSidecar } from '@ambient-lab/api'
import { FILTER_CHAIN_TYPE } from '@ambient-lab/xds'
import { inboundChains } from '../routing/sidecar-inbound.ts'
import {
  AUTHORIZATION_POLICIES,
  ENVOY_FILTERS,
  PEER_AUTHENTICATIONS,
  PODS,
  REQUEST_AUTHENTICATIONS,
} from '../stored-kinds.ts'
import { isPlaced } from './pod-workload.ts'
import { portsOfSidecars, sidecarsThere } from './sidecar-dependencies.ts'
import { defineTranslation } from './translation.ts'

/** What a sidecar does with what is sent to its workload. */
export default defineTranslation({
  name: 'sidecar-inbound',
  kind: PODS,
  typeUrl: FILTER_CHAIN_TYPE,
  translate(pod, view) {
    if (!hasSidecar(pod) || !isPlaced(pod)) return []
    const nodes = [pod.spec!.nodeName!]
    return inboundChains(pod, view).map((resource) => ({ name: resource.name, resource, nodes }))
  },
  dependencies: {
    ...portsOfSidecars,
    [AUTHORIZATION_POLICIES]: sidecarsThere,
    [REQUEST_AUTHENTICATIONS]: sidecarsThere,
    [PEER_AUTHENTICATIONS]: sidecarsThere,
    [ENVOY_FILTERS]: sidecarsThere,
  },
})

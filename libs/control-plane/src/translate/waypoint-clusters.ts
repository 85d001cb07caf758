import { objectKey } from '@ambient-lab/api'
import { CLUSTER_TYPE } from '@ambient-lab/xds'
import { ENCAP_CLUSTER } from '../routing/cluster-names.ts'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import { trafficPolicyFields } from '../routing/traffic-policy.ts'
import { GATEWAY_CLASSES, GATEWAYS, PODS } from '../stored-kinds.ts'
import { ofGatewayClass, placementOfReplica } from './l7-dependencies.ts'
import { defineTranslation } from './translation.ts'

/** The one cluster of all waypoints that leads to workloads themselves. */
export default defineTranslation({
  name: 'waypoint-clusters',
  kind: GATEWAYS,
  typeUrl: CLUSTER_TYPE,
  translate(gateway, view) {
    if (classOfGateway(gateway, view)?.proxy !== 'waypoint') return []
    const resource = {
      name: ENCAP_CLUSTER,
      endpoints: { kind: 'original-destination' as const },
      protocol: 'downstream' as const,
      ...trafficPolicyFields({}),
    }
    return [{ name: ENCAP_CLUSTER, resource, nodes: view.routes.nodesOf(objectKey(gateway.metadata)) }]
  },
  dependencies: { [GATEWAY_CLASSES]: ofGatewayClass, [PODS]: placementOfReplica },
})

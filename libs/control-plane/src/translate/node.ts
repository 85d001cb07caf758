import { isConditionTrue } from '@ambient-lab/api'
import { NODE_TYPE } from '@ambient-lab/xds'
import { NODES } from '../stored-kinds.ts'
import { defineTranslation } from './translation.ts'

/** Where the agents of the other nodes are reached. */
export default defineTranslation({
  name: 'node',
  kind: NODES,
  typeUrl: NODE_TYPE,
  translate(node) {
    const { name } = node.metadata
    const agent = node.status?.agent
    const resource = {
      name,
      ...(agent && { hbone: agent.hbone, underlay: agent.underlay }),
      podCidr: node.spec?.podCIDR ?? '',
      status: isConditionTrue(node, 'Ready') ? ('HEALTHY' as const) : ('UNHEALTHY' as const),
    }
    return [{ name, resource }]
  },
})

import { AUTHORIZATION_TYPE } from '@ambient-lab/xds'
import { AUTHORIZATION_POLICIES } from '../stored-kinds.ts'
import { convertAuthorizationPolicy } from './authorization.ts'
import { defineTranslation } from './translation.ts'

/** The L4 part of each policy that ztunnel enforces. */
export default defineTranslation({
  name: 'authorization-policy',
  kind: AUTHORIZATION_POLICIES,
  typeUrl: AUTHORIZATION_TYPE,
  translate(policy, view) {
    const { authorization } = convertAuthorizationPolicy(policy, view.mesh)
    if (!authorization) return []
    return [{ name: `${authorization.namespace}/${authorization.name}`, resource: authorization }]
  },
})

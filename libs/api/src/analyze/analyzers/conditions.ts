import type { Condition } from '../../condition.ts'
import { conditionsOf } from '../../condition.ts'
import type { Resource } from '../../resource.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Conditions by which the control plane says of routing and policies what became of them. */
const JUDGED = [
  ...['istio.io/WaypointBound', 'ZtunnelAccepted', 'WaypointAccepted'],
  ...['Accepted', 'Programmed', 'ResolvedRefs'],
]
const GROUPS = ['security.istio.io', 'networking.istio.io', 'telemetry.istio.io', 'extensions.istio.io']
const GATEWAY = 'gateway.networking.k8s.io'

/** What the control plane has refused already. */
export default defineAnalyzer({
  name: 'conditions',
  codes: ['IST0171'],
  *find(world) {
    for (const object of world.all()) {
      if (!isJudged(object)) continue
      for (const { type, reason = '', message = '' } of allConditions(object).filter(isNegative)) {
        yield finding('IST0171', object, [type, reason, message])
      }
    }
  },
})

function isJudged({ apiVersion, kind }: Resource): boolean {
  const [group = ''] = apiVersion.split('/')
  return kind === 'Service' || GROUPS.includes(group) || group === GATEWAY
}

/** Routes have theirs below each parent, and policies of the Gateway API below each ancestor. */
function allConditions(object: Resource): readonly Condition[] {
  const { parents, ancestors } = (object.status ?? {}) as {
    readonly parents?: readonly { readonly conditions?: readonly Condition[] }[]
    readonly ancestors?: readonly { readonly conditions?: readonly Condition[] }[]
  }
  const below = [...(Array.isArray(parents) ? parents : []), ...(Array.isArray(ancestors) ? ancestors : [])]
  return [...conditionsOf(object), ...below.flatMap(({ conditions = [] }) => conditions)]
}

function isNegative({ type, status, reason }: Condition): boolean {
  return JUDGED.includes(type) && (status === 'False' || reason === 'PartiallyInvalid')
}

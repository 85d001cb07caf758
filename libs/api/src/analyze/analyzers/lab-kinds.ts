import l4TrafficPolicyKind from '../../kinds/l4-traffic-policy.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Policies that only this lab's proxies follow. */
export default defineAnalyzer({
  name: 'lab-kinds',
  codes: ['AM0113'],
  find: (world) => world.list(l4TrafficPolicyKind).map((policy) => finding('AM0113', policy, [policy.kind])),
})

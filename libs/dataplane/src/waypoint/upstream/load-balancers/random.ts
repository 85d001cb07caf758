import { defineLoadBalancer } from '../load-balancer.ts'
import { WeightedDraw } from '../weights.ts'

/** Any host, by weight. */
export default defineLoadBalancer({
  policy: 'RANDOM',
  isConsistent: false,
  create(hosts) {
    const draw = new WeightedDraw(hosts.map(({ weight }) => weight))
    return { pick: ({ random }) => hosts[draw.draw(random)]?.host }
  },
})

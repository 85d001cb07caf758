import { defineLoadBalancer } from '../load-balancer.ts'
import { WeightedDraw } from '../weights.ts'

/** Two hosts are drawn by weight, and the one with fewer requests for its weight is taken. */
export default defineLoadBalancer({
  policy: 'LEAST_REQUEST',
  isConsistent: false,
  create(hosts) {
    const draw = new WeightedDraw(hosts.map(({ weight }) => weight))
    return {
      pick({ random }) {
        if (hosts.length <= 1) return hosts[0]?.host
        const first = hosts[draw.draw(random)]!
        const second = hosts[draw.draw(random)]!
        // Two idle hosts are equal: the draw has honoured their weights already.
        const firstLoad = first.host.activeRequests * second.weight
        const secondLoad = second.host.activeRequests * first.weight
        return firstLoad <= secondLoad ? first.host : second.host
      },
    }
  },
})

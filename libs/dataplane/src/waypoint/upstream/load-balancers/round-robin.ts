import { defineLoadBalancer, type WeightedHost } from '../load-balancer.ts'

/** One after the other; where weights differ, spread evenly over the round instead of in bursts. */
export default defineLoadBalancer({
  policy: 'ROUND_ROBIN',
  isConsistent: false,
  create(hosts) {
    const isUniform = hosts.every(({ weight }) => weight === hosts[0]!.weight)
    return isUniform ? plain(hosts) : smooth(hosts)
  },
})

function plain(hosts: readonly WeightedHost[]) {
  let next = -1
  return {
    // Balancers are made anew when hosts change: each begins somewhere else, or the first host would get too much.
    pick({ random }: { random: { integer(bound: number): number } }) {
      if (hosts.length === 0) return undefined
      next = next < 0 ? random.integer(hosts.length) : (next + 1) % hosts.length
      return hosts[next]!.host
    },
  }
}

/** nginx's smooth weighted round robin: each gains its weight, the richest is chosen and pays the total. */
function smooth(hosts: readonly WeightedHost[]) {
  const credits = new Float64Array(hosts.length)
  const total = hosts.reduce((sum, { weight }) => sum + weight, 0)
  return {
    pick() {
      let richest = 0
      for (const [index, { weight }] of hosts.entries()) {
        credits[index]! += weight
        if (credits[index]! > credits[richest]!) richest = index
      }
      credits[richest]! -= total
      return hosts[richest]?.host
    },
  }
}

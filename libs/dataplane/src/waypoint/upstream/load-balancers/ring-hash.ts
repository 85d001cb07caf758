import { hashText } from '../hash.ts'
import type { UpstreamHost } from '../host.ts'
import { defineLoadBalancer, type WeightedHost } from '../load-balancer.ts'

/** Envoy's default, and its bound. */
const RING_SIZE_MIN = 1024
const RING_SIZE_MAX = 8 * 1024 * 1024

/** Hosts stand on a ring, each many times; a request goes to the next one after its hash. */
export default defineLoadBalancer({
  policy: 'RING_HASH',
  isConsistent: true,
  create(hosts, { minimumRingSize = RING_SIZE_MIN }) {
    let ring: Ring | undefined
    return {
      pick({ hash, random }) {
        if (hosts.length <= 1) return hosts[0]?.host
        ring ??= new Ring(hosts, Math.min(minimumRingSize, RING_SIZE_MAX))
        return ring.after(hash ?? random.integer(2 ** 32))
      },
    }
  },
})

class Ring {
  readonly #hashes: Uint32Array
  readonly #owners: readonly UpstreamHost[]

  constructor(hosts: readonly WeightedHost[], minimumSize: number) {
    const total = hosts.reduce((sum, { weight }) => sum + weight, 0)
    const lightest = Math.min(...hosts.map(({ weight }) => weight)) / total
    // The lightest host stands on the ring once at least, and the others in proportion.
    const size = Math.min(RING_SIZE_MAX, Math.max(minimumSize, Math.ceil(1 / lightest)))
    const points = hosts.flatMap(({ host, weight }) => {
      const count = Math.max(1, Math.round((weight / total) * size))
      return Array.from({ length: count }, (_, index) => ({ hash: hashText(`${host.key}_${index}`), host }))
    })
    points.sort((a, b) => a.hash - b.hash || (a.host.key < b.host.key ? -1 : 1))
    this.#hashes = Uint32Array.from(points, ({ hash }) => hash)
    this.#owners = points.map(({ host }) => host)
  }

  after(hash: number): UpstreamHost {
    const hashes = this.#hashes
    let low = 0
    let high = hashes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (hashes[middle]! < hash) low = middle + 1
      else high = middle
    }
    return this.#owners[low === hashes.length ? 0 : low]!
  }
}

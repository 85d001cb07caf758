import { hashText } from '../hash.ts'
import { defineLoadBalancer, type WeightedHost } from '../load-balancer.ts'

/** Envoy's default; a prime. */
const TABLE_SIZE = 65_537
/** Envoy's bound. */
const TABLE_SIZE_MAX = 5_000_011

/**
 * A table of slots that hosts fill in turn, each in its own order: even to a per cent, and cheap to ask.
 * @see https://research.google/pubs/maglev-a-fast-and-reliable-software-network-load-balancer/ §3.4
 */
export default defineLoadBalancer({
  policy: 'MAGLEV',
  isConsistent: true,
  create(hosts, { maglevTableSize = TABLE_SIZE }) {
    let table: Uint32Array | undefined
    return {
      pick({ hash, random }) {
        if (hosts.length <= 1) return hosts[0]?.host
        table ??= fill(hosts, Math.min(maglevTableSize, TABLE_SIZE_MAX))
        return hosts[table[(hash ?? random.integer(2 ** 32)) % table.length]!]!.host
      },
    }
  },
})

const EMPTY = 0xffffffff

function fill(hosts: readonly WeightedHost[], size: number): Uint32Array {
  const table = new Uint32Array(size).fill(EMPTY)
  const heaviest = Math.max(...hosts.map(({ weight }) => weight))
  const builders = hosts
    .map(({ host, weight }, index) => ({
      index,
      key: host.key,
      share: weight / heaviest,
      turns: 0,
      next: hashText(host.key) % size,
      skip: (hashText(host.key, 0x5bd1e995) % (size - 1)) + 1,
    }))
    // The order in which hosts became known must not decide who gets a slot that two want.
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  for (let filled = 0, round = 1; ; round += 1) {
    for (const builder of builders) {
      // A host of half the weight takes a slot in every other round.
      if (round * builder.share < builder.turns + 1) continue
      builder.turns += 1
      while (table[builder.next] !== EMPTY) builder.next = (builder.next + builder.skip) % size
      table[builder.next] = builder.index
      filled += 1
      if (filled === size) return table
    }
  }
}

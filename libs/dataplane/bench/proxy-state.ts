/**
 * One change at an agent that knows 10,000 workloads behind 1,000 services: what a push of one workload costs, and a
 * look-up by address afterwards.
 * Run: node --conditions=@ambient-lab/source libs/dataplane/bench/proxy-state.ts
 */
import { ADDRESS_TYPE, type Workload } from '@ambient-lab/xds'
import { ProxyStateHolder } from '../src/state/proxy-state-holder.ts'
import { workloadOf } from '../src/ztunnel/two-nodes.conformance.ts'

const WORKLOADS = 10_000
const SERVICES = 1000
const CHANGES = 2000
const LOOKUPS = 2_000_000

const holder = new ProxyStateHolder()
const push = (indexes: readonly number[], revision: number) =>
  holder.apply(
    ADDRESS_TYPE,
    indexes.map((index) => ({
      name: `w${index}`,
      version: `${revision}`,
      resource: { workload: workload(index, revision) },
    })),
    [],
  )

const loadAt = performance.now()
const refused = push(
  Array.from({ length: WORKLOADS }, (_, index) => index),
  0,
)
if (refused.length > 0) throw new Error(refused[0]!.reason)
console.log(`all of them at once: ${(performance.now() - loadAt).toFixed(1)} ms`)

const changesAt = performance.now()
for (let change = 1; change <= CHANGES; change += 1) push([(change * 37) % WORKLOADS], change)
console.log(`one changed: ${(((performance.now() - changesAt) * 1000) / CHANGES).toFixed(0)} µs`)

const addresses = Array.from({ length: 1000 }, (_, index) => address(index * 7))
const lookupsAt = performance.now()
let found = 0
for (let lookup = 0; lookup < LOOKUPS; lookup += 1) {
  if (holder.current.workloadByAddress('', addresses[lookup % 1000]!)) found += 1
}
console.log(
  `looked up by address: ${(((performance.now() - lookupsAt) * 1e6) / LOOKUPS).toFixed(0)} ns, ${found} found`,
)

function address(index: number): string {
  return `172.16.${index >> 8}.${index & 255}`
}

function workload(index: number, revision: number): Workload {
  const name = `w${index}`
  return {
    ...workloadOf(name, 'n1', address(index)),
    uid: name,
    canonicalRevision: String(revision),
    services: { [`load/s${index % SERVICES}.load.svc.cluster.local`]: [{ servicePort: 80, targetPort: 8080 }] },
  }
}

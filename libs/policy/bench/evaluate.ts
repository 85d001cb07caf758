/**
 * L4 decisions per second on one core, with 500 policies loaded: 500 in other places (which must cost nothing), and
 * 500 in the workload's own namespace (the worst case: all of them are asked).
 * Run: node --conditions=@ambient-lab/source libs/policy/bench/evaluate.ts
 */
import { type Authorization, ConnectionFacts, evaluate, PolicySet } from '../src/index.ts'

const ROUND_MS = 1000

function policies(count: number, namespaceOf: (index: number) => string): Authorization[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `allow-${index}`,
    namespace: namespaceOf(index),
    scope: 'NAMESPACE',
    action: 'ALLOW',
    dryRun: false,
    rules: [{ clauses: [{ matches: [{ principals: [{ exact: `cluster.local/ns/default/sa/client-${index}` }] }] }] }],
  }))
}

function decisionsPerSecond(set: PolicySet): number {
  const subject = { namespace: 'default', authorizationPolicies: [] }
  const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'client-3' }
  const startedAt = performance.now()
  let decisions = 0
  while (performance.now() - startedAt < ROUND_MS) {
    for (let index = 0; index < 1000; index += 1) {
      const init = { sourceIp: '10.244.0.4', destinationIp: '10.244.1.5', destinationPort: 9080, identity }
      evaluate(new ConnectionFacts(init), set.applicableTo(subject))
    }
    decisions += 1000
  }
  return (decisions * 1000) / (performance.now() - startedAt)
}

const elsewhere = policies(500, (index) => (index < 5 ? 'default' : `ns-${index}`))
const here = policies(500, () => 'default').reverse()
for (const [work, list] of [
  ['5 of 500 policies apply', elsewhere],
  ['500 of 500 policies apply', here],
] as const) {
  const set = PolicySet.empty.with(list, [], () => {})
  decisionsPerSecond(set)
  console.log(`${work}: ${(decisionsPerSecond(set) / 1e6).toFixed(2)} M decisions/s (goal: 1)`)
}

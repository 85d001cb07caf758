/**
 * L4 decisions per second on one core, with 500 policies loaded: 495 in other places (which must cost nothing), 500
 * in the workload's own namespace of which one is the caller's, and the same asked by a caller that none allows. The last
 * row is a scan of all 500, as `explain` does it, for comparison.
 * Run: node --conditions=@ambient-lab/source libs/policy/bench/evaluate.ts
 */
import { type Authorization, ConnectionFacts, type EvaluationRecorder, evaluate, PolicySet } from '../src/index.ts'
import { perSecond } from './rate.ts'

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

const SHOW_ALL = {}

function decisionsPerSecond(set: PolicySet, serviceAccount: string, recorder?: EvaluationRecorder): number {
  const subject = { namespace: 'default', authorizationPolicies: [] }
  const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount }
  const init = { sourceIp: '10.244.0.4', destinationIp: '10.244.1.5', destinationPort: 9080, identity }
  return perSecond(() => evaluate(new ConnectionFacts(init), set.applicableTo(subject), recorder))
}

const elsewhere = policies(500, (index) => (index < 5 ? 'default' : `ns-${index}`))
const here = policies(500, () => 'default').reverse()
for (const [work, list, caller, recorder] of [
  ['5 of 500 policies apply', elsewhere, 'client-3', undefined],
  ['500 of 500 apply, one allows', here, 'client-3', undefined],
  ['500 of 500 apply, none allows', here, 'stranger', undefined],
  ['500 of 500 apply, all are shown', here, 'client-3', SHOW_ALL],
] as const) {
  const set = PolicySet.empty.with(list, [], () => {})
  const goal = recorder ? '' : ' (goal: 1)'
  console.log(`${work}: ${(decisionsPerSecond(set, caller, recorder) / 1e6).toFixed(2)} M decisions/s${goal}`)
}

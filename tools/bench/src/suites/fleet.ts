import type { Resource } from '@ambient-lab/api'
import { BenchLab } from '../lab/bench-lab.ts'
import { measureRevocation, NAMESPACE, type Revocation, revocationWorld } from '../lab/revocations.ts'
import { bounded, defineSuite, percentile, type Row, type SuiteContext, told } from '../suite.ts'

const NODES_DEFAULT = 20
const SERVICES_DEFAULT = 1000
const WORKLOADS_DEFAULT = 10_000
const CHANGE_GOAL_MS = 50
const COMPLETE_GOAL_MS = 1000
const READY_POLL_MS = 5
const READY_TIMEOUT_MS = 30_000

const NODE_KIND = { group: '', version: 'v1', resource: 'nodes' }
const SERVICE_KIND = { group: '', version: 'v1', resource: 'services' }
const ENTRY_KIND = { group: 'networking.istio.io', version: 'v1', resource: 'workloadentries' }

/**
 * A mesh of ten thousand workloads that stand elsewhere (WorkloadEntries) behind a thousand services, known to twenty
 * agents: how long a policy takes to all of them, and a new agent to know everything.
 */
export default defineSuite({
  name: 'fleet',
  summary:
    '20 agents, 1,000 services, 10,000 workloads: a change enforced on all, a new agent (--set nodes=N workloads=N)',
  roundsDefault: 100,
  isCheck: true,
  async run(context) {
    const { options } = context
    const nodes = Array.from({ length: Number(options.nodes ?? NODES_DEFAULT) }, (_, index) => `n${index + 1}`)
    const services = Number(options.services ?? SERVICES_DEFAULT)
    const workloads = Number(options.workloads ?? WORKLOADS_DEFAULT)
    await using lab = await BenchLab.start({
      name: 'fleet',
      nodes,
      world: revocationWorld(nodes),
      readyNamespaces: [NAMESPACE],
    })
    const [before, startedMs] = [lab.usage(), performance.now()]
    await lab.createAll(objects(services, workloads))
    const seconds = (performance.now() - startedMs) / 1000
    const after = lab.usage()
    const cost = `control plane ${(after.plane - before.plane).toFixed(1)} s, agents ${(after.agents - before.agents).toFixed(1)} s`
    context.say(`${services + workloads} objects written in ${seconds.toFixed(1)} s; processor: ${cost}`)
    return { versions: {}, rows: [...(await measureChanges(lab, context)), await measureAgent(lab, nodes.length)] }
  },
})

async function measureChanges(lab: BenchLab, { rounds, say }: SuiteContext): Promise<Row[]> {
  const results: Revocation[] = []
  for (let round = 1; round <= rounds; round += 1) {
    results.push(await measureRevocation(lab.client, 1))
    if (round % 20 === 0) say(`${round} changes`)
  }
  const lasts = results.map(({ last }) => last)
  const wholes = results.map(({ whole }) => whole)
  return [
    bounded(
      'policy changed: enforced by all agents after the answer, p99',
      'ms',
      percentile(lasts, 99),
      CHANGE_GOAL_MS,
    ),
    told('policy changed: enforced by all agents after the answer, p50', 'ms', percentile(lasts, 50)),
    told('policy changed: from the request on, p99', 'ms', percentile(wholes, 99)),
  ]
}

/** From its process's own start, as it recorded it, to its word that it is ready: every type of resource has come. */
async function measureAgent(lab: BenchLab, nodes: number): Promise<Row> {
  const name = `n${nodes + 1}`
  await lab.client.create(NODE_KIND, { apiVersion: 'v1', kind: 'Node', metadata: { name } })
  const deadlineMs = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const record = lab.processes('node-agent').find((one) => one.name === name)
    const response =
      record && (await fetch(`http://127.0.0.1:${record.ports.ready}/healthz/ready`).catch(() => undefined))
    if (response?.ok) {
      const tookMs = Date.now() - Date.parse(record!.startedAt)
      return bounded(
        'a new agent: from the start of its process until it knows everything',
        'ms',
        tookMs,
        COMPLETE_GOAL_MS,
      )
    }
    if (performance.now() > deadlineMs) throw new Error(`${name} is not ready within ${READY_TIMEOUT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
  }
}

function objects(services: number, workloads: number): (readonly [typeof NODE_KIND, Resource])[] {
  const metadata = (name: string) => ({ name, namespace: NAMESPACE })
  return [
    ...Array.from({ length: services }, (_, index) => {
      const spec = { selector: { app: `s${index}` }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] }
      return [SERVICE_KIND, { apiVersion: 'v1', kind: 'Service', metadata: metadata(`s${index}`), spec }] as const
    }),
    ...Array.from({ length: workloads }, (_, index) => {
      const address = `172.16.${index >> 8}.${index & 255}`
      const spec = { address, labels: { app: `s${index % services}` }, serviceAccount: `s${index % services}` }
      const object = {
        apiVersion: 'networking.istio.io/v1',
        kind: 'WorkloadEntry',
        metadata: metadata(`w${index}`),
        spec,
      }
      return [ENTRY_KIND, object] as const
    }),
  ]
}

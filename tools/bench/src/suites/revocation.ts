import { BenchLab } from '../lab/bench-lab.ts'
import { measureRevocation, NAMESPACE, type Revocation, revocationWorld } from '../lab/revocations.ts'
import { bounded, defineSuite, median } from '../suite.ts'

const NODES = ['n1', 'n2', 'n3', 'n4']
const CONNECTIONS_PER_NODE = 25
const GOAL_MS = 100

/** From the API's answer to a policy that revokes a permission to the end of the last connection that it held. */
export default defineSuite({
  name: 'revocation',
  summary: `a permission revoked: ${NODES.length * CONNECTIONS_PER_NODE} connections on ${NODES.length} nodes end`,
  roundsDefault: 20,
  isCheck: true,
  async run({ rounds, say }) {
    await using lab = await BenchLab.start({
      name: 'revocation',
      nodes: NODES,
      world: revocationWorld(NODES),
      readyNamespaces: [NAMESPACE],
    })
    const results: Revocation[] = []
    for (let round = 1; round <= rounds; round += 1) {
      const result = await measureRevocation(lab.client, CONNECTIONS_PER_NODE)
      results.push(result)
      say(`round ${round}: first ${result.first.toFixed(1)} ms, last ${result.last.toFixed(1)} ms after the answer`)
    }
    const lasts = results.map(({ last }) => last)
    const wholes = results.map(({ whole }) => whole)
    return {
      versions: {},
      rows: [
        bounded('revoked: until the last connection ended, median', 'ms', median(lasts), GOAL_MS),
        bounded('revoked: until the last connection ended, worst', 'ms', Math.max(...lasts), GOAL_MS),
        bounded('revoked: from the request on, worst', 'ms', Math.max(...wholes), GOAL_MS),
      ],
    }
  },
})

import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG } from '../cli/global-flags.ts'

const list: Command = {
  name: 'list',
  summary: 'waypoints: what they take, and whether they are programmed',
  group: 'resources',
  flags: [
    NAMESPACE_FLAG,
    { name: 'all-namespaces', short: 'A', kind: 'boolean', summary: 'all namespaces', group: 'selection' },
  ],
  examples: [
    { line: 'ambient waypoint list', says: 'of the namespace default' },
    { line: 'ambient waypoint list -n bookinfo', says: 'of another' },
    { line: 'ambient waypoint list -A', says: 'of all' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const [{ waypointListText }, { GATEWAYS }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('../tasks/resource-types.ts'),
    ])
    const { flags, signal, io } = context
    const client = await context.api()
    const { items } = await client.list(GATEWAYS, { signal })
    const namespace = flags.boolean('all-namespaces') ? undefined : flags.word('namespace')
    io.answer(waypointListText(items as Parameters<typeof waypointListText>[0], namespace))
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'waypoint',
  summary: 'waypoints of the mesh',
  group: 'resources',
  verbs: [list],
  examples: [
    { line: 'ambient waypoint list', says: 'of the namespace default' },
    { line: 'ambient waypoint list -n bookinfo', says: 'of another' },
    { line: 'ambient waypoint list -A', says: 'of all' },
  ],
})

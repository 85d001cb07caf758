import { type Command, defineCommand, type Flag } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { NAMESPACE_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

const ALL_NAMESPACES_FLAG: Flag = {
  name: 'all-namespaces',
  short: 'A',
  kind: 'boolean',
  summary: 'all namespaces',
  group: 'selection',
}
const REVISION_FLAG: Flag = {
  name: 'revision',
  short: 'r',
  kind: 'text',
  value: 'REVISION',
  summary: 'of the control plane: the label istio.io/rev',
}
const WAIT_FLAGS: readonly Flag[] = [
  { name: 'wait', short: 'w', kind: 'boolean', summary: 'until it is programmed' },
  {
    name: 'waypoint-timeout',
    kind: 'duration',
    value: 'DURATION',
    default: '90s',
    summary: 'how long to wait at most',
  },
]
const DESCRIPTION_FLAGS: readonly Flag[] = [
  { name: 'name', kind: 'text', value: 'NAME', default: 'waypoint', summary: 'of the waypoint; "none" is reserved' },
  {
    name: 'for',
    kind: 'text',
    value: 'TRAFFIC',
    choices: ['service', 'workload', 'all', 'none'],
    summary: 'what it takes; services where nobody says',
  },
  REVISION_FLAG,
  NAMESPACE_FLAG,
]

const apply: Command = {
  name: 'apply',
  summary: 'make a waypoint, and have the namespace use it',
  group: 'resources',
  flags: [
    ...DESCRIPTION_FLAGS,
    { name: 'enroll-namespace', kind: 'boolean', summary: 'label the namespace with istio.io/use-waypoint' },
    { name: 'overwrite', kind: 'boolean', summary: 'also where it uses another waypoint already' },
    ...WAIT_FLAGS,
  ],
  examples: [
    { line: 'ambient waypoint apply --enroll-namespace --wait', says: 'for all services of the namespace' },
    { line: 'ambient waypoint apply --name reviews-wp --for all', says: 'one that objects have to name themselves' },
  ],
  exits: ['nothing', 'cannot create', 'unavailable', 'try later', 'permission'],
  async run(context) {
    const { applyWaypoint } = await import('../tasks/waypoints.ts')
    await applyWaypoint(context)
    return exitCode('ok')
  },
}

const generate: Command = {
  name: 'generate',
  summary: 'print the YAML of a waypoint, and do nothing',
  group: 'resources',
  flags: DESCRIPTION_FLAGS,
  examples: [{ line: 'ambient waypoint generate --for workload', says: 'to put into a file' }],
  async run(context) {
    const [{ describedWaypoint }, { stringifyYaml }] = await Promise.all([
      import('../tasks/waypoints.ts'),
      import('@ambient-lab/api'),
    ])
    context.io.answer(await stringifyYaml([describedWaypoint(context)]))
    return exitCode('ok')
  },
}

const status: Command = {
  name: 'status',
  summary: 'every condition of every waypoint',
  group: 'resources',
  flags: [NAMESPACE_FLAG, ALL_NAMESPACES_FLAG, ...WAIT_FLAGS],
  examples: [
    { line: 'ambient waypoint status', says: 'of the namespace default' },
    { line: 'ambient waypoint status -A --wait', says: 'of all, once all are programmed' },
  ],
  exits: ['unavailable', 'try later'],
  async run(context) {
    const [{ waypointStatusText }, { GATEWAYS }, { waitForWaypoints }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('../tasks/resource-types.ts'),
      import('../tasks/waypoints.ts'),
    ])
    const { flags, io, signal } = context
    const client = await context.api()
    const namespace = flags.boolean('all-namespaces') ? undefined : flags.word('namespace')
    const gateways = flags.boolean('wait')
      ? await waitForWaypoints(context, client, namespace, () => true)
      : (await client.list(GATEWAYS, { signal })).items
    io.answer(waypointStatusText(gateways as Parameters<typeof waypointStatusText>[0], namespace))
    return exitCode('ok')
  },
}

const remove: Command = {
  name: 'delete',
  summary: 'delete waypoints, and nothing else',
  group: 'resources',
  usage: 'NAME … | --all',
  takes: [0, 100],
  flags: [{ name: 'all', kind: 'boolean', summary: 'all of the namespace' }, REVISION_FLAG, NAMESPACE_FLAG],
  examples: [
    { line: 'ambient waypoint delete waypoint', says: 'one' },
    { line: 'ambient waypoint delete --all -n bookinfo', says: 'all of a namespace' },
  ],
  exits: ['nothing', 'unavailable', 'permission'],
  async run(context) {
    const { args, flags } = context
    if (args.length > 0 === flags.boolean('all')) {
      throw usageError('delete takes names of waypoints, or --all', 'ambient waypoint list')
    }
    const { deleteWaypoints } = await import('../tasks/waypoints.ts')
    await deleteWaypoints(context)
    return exitCode('ok')
  },
}

const list: Command = {
  name: 'list',
  summary: 'waypoints: what they take, and whether they are programmed',
  group: 'resources',
  flags: [NAMESPACE_FLAG, ALL_NAMESPACES_FLAG],
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
  verbs: [apply, generate, list, status, remove],
  examples: [
    { line: 'ambient waypoint apply --enroll-namespace --wait', says: 'make one, for all services of a namespace' },
    { line: 'ambient waypoint list -A', says: 'those that there are' },
    { line: 'ambient waypoint status', says: 'what is wrong with one' },
  ],
})

import { type Command, defineCommand, type Flag } from '../cli/command.ts'

const SOURCE_FLAGS: readonly Flag[] = [
  { name: 'node', kind: 'text', value: 'NODE', summary: 'the ztunnel of this node; else those of all nodes together' },
  { name: 'file', short: 'f', kind: 'text', value: 'FILE', summary: 'a config dump; of a real ztunnel too' },
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    value: 'FORMAT',
    default: 'short',
    choices: ['short', 'json', 'yaml'],
    summary: 'short json yaml',
    group: 'output',
  },
]

const filterFlag = (name: string, value: string, summary: string): Flag => ({
  ...{ name, kind: 'text', value, summary, group: 'selection' },
})

const WORKLOAD_NAMESPACE = filterFlag('workload-namespace', 'NS', 'workloads of this namespace')
const WORKLOAD_FLAGS: readonly Flag[] = [
  WORKLOAD_NAMESPACE,
  filterFlag('workload-node', 'NODE', 'workloads on this node'),
  filterFlag('address', 'IP', 'the workload that has this address'),
]
const SERVICE_FLAGS: readonly Flag[] = [filterFlag('service-namespace', 'NS', 'services of this namespace')]
const POLICY_FLAGS: readonly Flag[] = [filterFlag('policy-namespace', 'NS', 'policies of this namespace')]
const CONNECTION_FLAGS: readonly Flag[] = [
  {
    ...filterFlag('direction', 'DIRECTION', 'inbound or outbound only'),
    choices: ['inbound', 'outbound'],
  },
  { name: 'raw', kind: 'boolean', summary: 'addresses, not the names of what has them', group: 'output' },
]

const section = (init: Pick<Command, 'name' | 'aliases' | 'summary' | 'usage' | 'flags' | 'examples'>): Command => ({
  ...init,
  group: 'traffic',
  ...(init.usage ? { takes: [0, 1] as const } : {}),
  flags: [...(init.flags ?? []), ...SOURCE_FLAGS],
  exits: ['nothing', 'unavailable', 'no input', 'data'],
  async run(context) {
    const { printSections } = await import('../tasks/ztunnel-config.ts')
    return printSections(context, init.name)
  },
})

const NAME = 'NAME[.NAMESPACE]'

const log: Command = {
  name: 'log',
  summary: 'levels of what a node’s ztunnel writes: show, or change until it restarts',
  group: 'traffic',
  flags: [
    { name: 'node', kind: 'text', value: 'NODE', summary: 'of this node; else of all' },
    { name: 'level', kind: 'text', value: 'LEVEL', summary: 'LEVEL, or SCOPE:LEVEL[,SCOPE:LEVEL]' },
    { name: 'reset', kind: 'boolean', summary: 'back to the levels of the start' },
  ],
  examples: [
    { line: 'ambient zc log', says: 'the levels now' },
    { line: 'ambient zc log --level access:debug --node n1', says: 'connections when they open, too' },
    { line: 'ambient zc log --reset', says: 'as at the start' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const { setLogLevels } = await import('../tasks/ztunnel-config.ts')
    return setLogLevels(context)
  },
}

export default defineCommand({
  name: 'zc',
  aliases: ['ztunnel-config'],
  summary: 'what ztunnels know and hold: istioctl’s ztunnel-config',
  group: 'traffic',
  verbs: [
    section({
      name: 'workload',
      aliases: ['workloads', 'w'],
      summary: 'workloads, how they are reached, and their waypoint',
      usage: NAME,
      flags: WORKLOAD_FLAGS,
      examples: [
        { line: 'ambient zc workload', says: 'all' },
        { line: 'ambient zc workloads --workload-namespace default -o json', says: 'some, with every field' },
        { line: 'ambient zc workload -f dump.json', says: 'out of a config dump' },
      ],
    }),
    section({
      name: 'service',
      aliases: ['services', 'svc', 's'],
      summary: 'services, their virtual addresses, waypoints and endpoints',
      usage: NAME,
      flags: SERVICE_FLAGS,
      examples: [
        { line: 'ambient zc service', says: 'healthy and all endpoints of each' },
        { line: 'ambient zc services --service-namespace default', says: 'of one namespace' },
        { line: 'ambient zc svc reviews.default -o yaml', says: 'one with every field' },
      ],
    }),
    section({
      name: 'policy',
      aliases: ['policies', 'p', 'pol'],
      summary: 'authorization policies that ztunnel enforces',
      flags: POLICY_FLAGS,
      examples: [
        { line: 'ambient zc policy', says: 'all, those made of PeerAuthentications too' },
        { line: 'ambient zc policies --policy-namespace default', says: 'of one namespace' },
        { line: 'ambient zc policy -o json', says: 'with their rules' },
      ],
    }),
    section({
      name: 'certificate',
      aliases: ['certificates', 'certs', 'cert'],
      summary: 'certificates of the workloads of a node',
      examples: [
        { line: 'ambient zc certificate', says: 'of all nodes' },
        { line: 'ambient zc certs --node n1', says: 'of one' },
        { line: 'ambient zc certificate -o json', says: 'with the PEM' },
      ],
    }),
    section({
      name: 'connections',
      aliases: ['connection', 'cons'],
      summary: 'open connections as each ztunnel holds them',
      usage: NAME,
      flags: [WORKLOAD_NAMESPACE, ...CONNECTION_FLAGS],
      examples: [
        { line: 'ambient zc connections', says: 'of all nodes' },
        { line: 'ambient zc connections --direction outbound --raw', says: 'addresses as they are' },
        { line: 'ambient zc connections --workload-namespace default', says: 'of the workloads of one namespace' },
      ],
    }),
    section({
      name: 'all',
      summary: 'all of it, one table after the other',
      flags: [...WORKLOAD_FLAGS, ...SERVICE_FLAGS, ...POLICY_FLAGS, ...CONNECTION_FLAGS],
      examples: [
        { line: 'ambient zc all', says: 'of all nodes' },
        { line: 'ambient zc all --node n1', says: 'of one' },
        { line: 'ambient zc all -f dump.json', says: 'out of a config dump' },
      ],
    }),
    log,
  ],
  examples: [
    { line: 'ambient zc workload', says: 'how each workload is reached' },
    { line: 'ambient zc certificate --node n1', says: 'certificates of a node' },
    { line: 'ambient zc all -f dump.json', says: 'everything that a dump says' },
  ],
})

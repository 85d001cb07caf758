import { CodedError } from '@ambient-lab/std'
import { type Command, type CommandContext, defineCommand, type Flag } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DRY_RUN_FLAG, OUTPUT_FLAGS, TIMEOUT_FLAG } from '../cli/global-flags.ts'
import { usageError } from '../cli/usage-error.ts'

const WATCH_FLAG: Flag = { name: 'watch', short: 'w', kind: 'boolean', summary: 'and then every change, until Ctrl-C' }

const add: Command = {
  name: 'add',
  aliases: ['inject'],
  summary: 'break something, for a time that must be said',
  group: 'faults and load',
  usage: 'link.delay FROM TO | partition FROM TO | node.kill NODE',
  takes: [1, 3],
  completes: ['fault', 'node', 'node'],
  flags: [
    { name: 'for', kind: 'text', value: 'DURATION|forever', summary: 'how long; it heals by itself at the end' },
    { name: 'delay', kind: 'duration', value: 'DURATION', summary: 'of link.delay: bytes wait this long, each way' },
    { name: 'jitter', kind: 'duration', value: 'DURATION', summary: 'of link.delay: and so much more or less' },
    { name: 'oneway', kind: 'boolean', summary: 'only from FROM to TO' },
    {
      name: 'shape',
      kind: 'text',
      value: 'SHAPE',
      choices: ['halves', 'oneway'],
      summary: 'of partition: oneway is --oneway',
    },
    { name: 'name', kind: 'text', value: 'NAME', summary: 'else f-1, f-2, …' },
    {
      name: 'hold',
      kind: 'boolean',
      summary: 'stay, renew its lease, heal on Ctrl-C; it heals also when this command dies',
    },
    { name: 'yes', short: 'y', kind: 'boolean', summary: 'do not ask when more than half the lab is touched' },
    DRY_RUN_FLAG,
  ],
  examples: [
    { line: 'ambient fault add link.delay n1 n2 --delay 120ms --jitter 20ms --for 3m', says: 'a slow link' },
    { line: 'ambient fault add partition n1,n2 n3 --for 30s', says: 'nothing passes between two sides' },
    { line: 'ambient fault add node.kill n2 --for 30s', says: 'the agent is killed, and comes back' },
  ],
  exits: ['no', 'nothing', 'data', 'unavailable', 'permission'],
  notes:
    'Delays and partitions happen in user space, where tunnel bytes are written: no root, and nothing outside the lab is touched.',
  async run(context) {
    const { holdFault, newFault, printRadius, pickName, confirmRadius } = await import('../tasks/fault-add.ts')
    const { flags, io, signal } = context
    const draft = newFault(context)
    const client = await context.api()
    const radius = await printRadius(context, client, draft)
    if (flags.boolean('dry-run')) return exitCode('ok')
    if (!(await confirmRadius(context, radius)))
      throw new CodedError('USAGE', 'not added', { next: 'the same with --yes' })
    const { FAULTS } = await import('../tasks/resource-types.ts')
    const fault = { ...draft, metadata: { name: await pickName(context, client) } }
    await client.create(FAULTS, fault, { signal })
    io.answer(`fault/${fault.metadata.name} added for ${draft.spec?.duration}\n`)
    if (flags.boolean('hold')) return holdFault(context, client, fault)
    io.talk(`  next: ambient fault heal ${fault.metadata.name}`)
    return exitCode('ok')
  },
}

const list: Command = {
  name: 'list',
  aliases: ['ls'],
  summary: 'every fault, also those that ended',
  group: 'faults and load',
  flags: [WATCH_FLAG, ...OUTPUT_FLAGS],
  examples: [
    { line: 'ambient fault list', says: 'what is broken now, and how long still' },
    { line: 'ambient fault list -o wide --watch', says: 'as it changes' },
    { line: 'ambient fault list -o json', says: 'for scripts' },
  ],
  exits: ['unavailable'],
  run: (context) => asGet(context, 'faults'),
}

const describe: Command = {
  name: 'describe',
  summary: 'one fault: what it does, to whom, and what happened',
  group: 'faults and load',
  usage: 'NAME',
  takes: [1, 1],
  flags: [],
  examples: [
    { line: 'ambient fault describe f-1', says: 'also says what is modelled and not done' },
    { line: 'ambient fault describe f-1 -L bookinfo', says: 'of another lab' },
    { line: 'ambient fault describe slow', says: 'one with a name of its own' },
  ],
  exits: ['nothing', 'unavailable'],
  async run(context) {
    const [{ describeText, eventsOf }, { FAULTS }, { FAULT_HONESTY }] = await Promise.all([
      import('../tasks/describe.ts'),
      import('../tasks/resource-types.ts'),
      import('../tasks/fault-add.ts'),
    ])
    const client = await context.api()
    const fault = await client.get(FAULTS, { name: nameOf(context.args[0]!), signal: context.signal })
    const type = (fault.spec as { type?: keyof typeof FAULT_HONESTY } | undefined)?.type
    context.io.answer(describeText(fault, await eventsOf(client, fault, context.signal), context.clock.now()))
    if (type) context.io.answer(`Modelled: ${FAULT_HONESTY[type]}\n`)
    return exitCode('ok')
  },
}

const heal: Command = {
  name: 'heal',
  summary: 'end faults, and prove that the lab is clean again',
  group: 'faults and load',
  usage: 'NAME… | --all | -l EXPR',
  takes: [0, 50],
  completes: ['fault'],
  flags: [
    { name: 'all', kind: 'boolean', summary: 'every fault' },
    {
      name: 'selector',
      short: 'l',
      kind: 'text',
      value: 'EXPR',
      summary: 'faults with these labels',
      group: 'selection',
    },
    { ...TIMEOUT_FLAG, default: '15s' },
  ],
  examples: [
    { line: 'ambient fault heal f-1', says: 'one; then probes what it touched' },
    { line: 'ambient fault heal --all', says: 'everything' },
    { line: 'ambient fault heal -l team=red', says: 'by label' },
  ],
  exits: ['no', 'nothing', 'unavailable'],
  notes:
    'A probe opens a connection through the mesh in each direction that the fault touched. Exit 1 when something remains.',
  async run(context) {
    const { args, flags } = context
    if (args.length === 0 && !flags.boolean('all') && flags.text('selector') === undefined) {
      throw usageError('heal what?', 'ambient fault heal NAME, --all or -l EXPR')
    }
    const { healFaults } = await import('../tasks/fault-heal.ts')
    return healFaults(context, args.map(nameOf))
  },
}

export default defineCommand({
  name: 'fault',
  aliases: ['flt'],
  summary: 'break the lab on purpose, and heal it',
  group: 'faults and load',
  verbs: [add, list, describe, heal],
  examples: [
    { line: 'ambient fault add link.delay n1 n2 --delay 120ms --for 3m', says: 'break' },
    { line: 'ambient fault list', says: 'what is broken' },
    { line: 'ambient fault heal --all', says: 'heal, with proof' },
  ],
})

/** `fault/f-1` and `f-1` are the same. */
function nameOf(text: string): string {
  return text.replace(/^(fault|faults|flt)\//, '')
}

async function asGet(context: CommandContext, type: string): Promise<number> {
  const { printList } = await import('../tasks/print-list.ts')
  return printList(context, type)
}

import type { JoinToken } from '@ambient-lab/api'
import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { TIMEOUT_FLAG } from '../cli/global-flags.ts'

const MS_PER_SECOND = 1000

const add: Command = {
  name: 'add',
  summary: 'add nodes: each is a process of its own, started at once',
  group: 'lab',
  usage: 'NAME…',
  takes: [1, 50],
  flags: [
    {
      name: 'machine',
      kind: 'text',
      value: 'HOST',
      summary: 'the joined machine that runs it; else where the control plane runs',
    },
    { name: 'wait', kind: 'boolean', summary: 'until they are ready' },
    TIMEOUT_FLAG,
  ],
  examples: [
    { line: 'ambient node add n4', says: 'a fourth node' },
    { line: 'ambient node add n4 n5 --wait', says: 'two, and wait' },
    { line: 'ambient node add n4 --machine laptop-b', says: 'on another machine of the lab' },
  ],
  exits: ['unavailable', 'cannot create', 'try later'],
  async run(context) {
    const [{ nodeObject }, { NODES }, { waitForNodes }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('../tasks/resource-types.ts'),
      import('../tasks/ready.ts'),
    ])
    const { args, flags, io, signal, clock } = context
    const machine = flags.text('machine')
    const client = await context.api()
    for (const name of args) {
      await client.create(NODES, nodeObject(machine === undefined ? { name } : { name, machine }), { signal })
      io.answer(`node/${name} added\n`)
    }
    if (flags.boolean('wait'))
      await waitForNodes(client, args, { clock, signal, timeoutMs: flags.durationMs('timeout') ?? 0 })
    return exitCode('ok')
  },
}

const remove: Command = {
  name: 'remove',
  aliases: ['rm'],
  summary: 'remove nodes: their agents stop, their pods move',
  group: 'lab',
  usage: 'NAME…',
  takes: [1, 50],
  completes: ['node'],
  flags: [],
  examples: [
    { line: 'ambient node remove n4', says: 'the agent drains and stops' },
    { line: 'ambient node rm n4 n5', says: 'two' },
    { line: 'ambient node remove n4 -L bookinfo', says: 'of another lab' },
  ],
  exits: ['nothing', 'unavailable'],
  async run(context) {
    const { NODES } = await import('../tasks/resource-types.ts')
    const client = await context.api()
    for (const name of context.args) {
      await client.delete(NODES, { name }, { signal: context.signal })
      context.io.answer(`node/${name} removed\n`)
    }
    return exitCode('ok')
  },
}

const token: Command = {
  name: 'token',
  summary: 'what lets an agent that you start yourself join, once, as this node',
  group: 'lab',
  usage: 'NAME',
  takes: [1, 1],
  flags: [{ name: 'ttl', kind: 'duration', value: 'DURATION', default: '1h', summary: 'how long it is good' }],
  examples: [
    { line: 'ambient node token n9 > n9.token', says: 'for: node-agent --node n9 --token-file n9.token …' },
    { line: 'ambient node token n9 --ttl 10m', says: 'good for ten minutes' },
    { line: 'ambient node token n9 -L bookinfo', says: 'of another lab' },
  ],
  exits: ['unavailable', 'data'],
  async run(context) {
    const { JOIN_TOKENS } = await import('../tasks/resource-types.ts')
    const { args, flags, io, signal } = context
    const [node = ''] = args
    const client = await context.api()
    const asked: JoinToken = {
      apiVersion: 'ambient.lab/v1',
      kind: 'JoinToken',
      metadata: { name: '', generateName: `${node}-` },
      spec: { node, ttlSeconds: Math.ceil((flags.durationMs('ttl') ?? 0) / MS_PER_SECOND) },
    }
    const { status } = await client.create(JOIN_TOKENS, asked, { signal })
    io.answer(`${status?.token}\n`)
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'node',
  summary: 'nodes of the lab',
  group: 'lab',
  verbs: [add, remove, token],
  examples: [
    { line: 'ambient node add n4', says: 'one more' },
    { line: 'ambient node remove n4', says: 'one less' },
    { line: 'ambient get nodes -o wide', says: 'which there are' },
  ],
})

import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

const NODES = { group: '', version: 'v1', resource: 'nodes' }

export default defineCommand({
  name: 'node',
  summary: 'add a node to the lab, or remove one',
  group: 'lab',
  examples: [
    { line: 'ambient node add n4', says: 'one more agent on this machine' },
    { line: 'ambient node remove n4', says: 'stop it; its pods are made again elsewhere' },
  ],
  verbs: [
    defineCommand({
      name: 'add',
      summary: 'create a Node; the supervisor starts its agent',
      group: 'lab',
      usage: 'NAME',
      takes: [1, 1],
      examples: [{ line: 'ambient node add n4', says: 'one more agent on this machine' }],
      exits: ['cannot create', 'unavailable'],
      async run(context) {
        const name = context.args[0]!
        using api = await context.api()
        await api.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} })
        context.io.answer(`node/${name} created\n`)
        context.io.talk(`  next: ambient wait node/${name} --for=condition=Ready`)
        return exitCode('ok')
      },
    }),
    defineCommand({
      name: 'remove',
      summary: 'delete a Node; its agent stops and its pods move',
      group: 'lab',
      usage: 'NAME',
      takes: [1, 1],
      completes: ['node'],
      examples: [{ line: 'ambient node remove n4', says: 'stop it' }],
      exits: ['nothing', 'unavailable'],
      async run(context) {
        const name = context.args[0]!
        using api = await context.api()
        await api.delete(NODES, { name })
        context.io.answer(`node/${name} deleted\n`)
        return exitCode('ok')
      },
    }),
  ],
})

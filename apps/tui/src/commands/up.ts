import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DRY_RUN_FLAG, TIMEOUT_FLAG } from '../cli/global-flags.ts'

export default defineCommand({
  name: 'up',
  summary: 'start a lab, or what has died of it, and apply its lab file',
  group: 'lab',
  usage: '[FILE|demo]',
  takes: [0, 1],
  completes: ['file'],
  flags: [
    { name: 'file', short: 'f', kind: 'text', value: 'FILE', summary: 'the lab file; same as the argument' },
    { name: 'wait', short: 'w', kind: 'boolean', summary: 'until every node and pod is ready' },
    { name: 'nodes', kind: 'number', value: 'N', default: '1', summary: 'how many, where no lab file says' },
    { name: 'port', kind: 'number', value: 'PORT', summary: 'of the API, on its first start; else any free one' },
    TIMEOUT_FLAG,
    DRY_RUN_FLAG,
  ],
  examples: [
    { line: 'ambient up demo --wait', says: 'Bookinfo on three nodes' },
    { line: 'ambient up lab.yaml', says: 'a lab file of yours; applying it again reconciles' },
    { line: 'ambient up -L bookinfo', says: 'start again what died of a lab' },
    { line: 'ambient up --nodes 2', says: 'an empty lab with two nodes, where there is no lab.yaml' },
  ],
  exits: ['data', 'no input', 'unavailable', 'cannot create', 'try later', 'protocol', 'permission'],
  async run(context) {
    const { bringUp, chooseTarget, count } = await import('../tasks/bring-up.ts')
    const { flags, io, args, signal } = context
    const target = await chooseTarget(context, args[0])
    if (flags.boolean('dry-run')) return dryRun(target)
    const waitMs = flags.boolean('wait') ? flags.durationMs('timeout') : undefined
    const { client, folder, nodes, readiness } = await bringUp(context, target, { waitMs }).catch((error) => {
      if (signal.aborted && target.folder.exists)
        io.error(`lab ${target.folder.name} is not up yet\n  next: ambient up goes on, ambient down removes it`)
      throw error
    })
    client[Symbol.dispose]()
    const what = readiness ? `${count(readiness.pods, 'pod')} ready` : 'starting'
    io.answer(`lab ${folder.name} is up: ${count(nodes.length, 'node')}, ${what}\n`)
    io.talk('  next: ambient            (terminal UI)\n        ambient get pods   ambient check   ambient down')
    return exitCode('ok')

    async function dryRun({ file, folder, nodes }: typeof target): Promise<number> {
      const { readTopology } = await import('@ambient-lab/lab')
      const { items, warnings } = file ? await readTopology(file) : { items: [], warnings: [] }
      for (const warning of warnings) io.warn(warning)
      io.answer(`lab ${folder.name}: ${folder.running ? 'running' : 'to be started'}, nodes ${nodes.join(', ')}\n`)
      for (const { object } of items) io.answer(`${object.kind} ${object.metadata.name}\n`)
      return exitCode('ok')
    }
  },
})

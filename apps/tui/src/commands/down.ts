import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

export default defineCommand({
  name: 'down',
  summary: 'stop a lab and remove it',
  group: 'lab',
  flags: [
    { name: 'keep-state', kind: 'boolean', summary: 'keep objects and keys on disk for the next up' },
    { name: 'all', kind: 'boolean', summary: 'every lab on this machine' },
  ],
  examples: [
    { line: 'ambient down', says: 'stop the running lab; nothing is left' },
    { line: 'ambient down -L bookinfo --keep-state', says: 'stop it, and continue later with: ambient up -L bookinfo' },
    { line: 'ambient down --all', says: 'everything' },
  ],
  exits: ['unavailable', 'cannot create'],
  notes:
    'Agents stop first, then the control plane, then the supervisor, each within 3 seconds before it is killed.\nFaults end with their lab.',
  async run(context) {
    const { down, listLabFolders } = await import('@ambient-lab/lab')
    const { flags, io, clock, home } = context
    const folders = flags.boolean('all') ? listLabFolders(home) : [await context.lab()]
    for (const folder of folders) {
      const { stopped } = await down(folder, { clock, keepState: flags.boolean('keep-state') })
      for (const { role, name, pid, result } of stopped) {
        if (result === 'killed') io.warn(`${role} ${name} (pid ${pid}) had to be killed`)
        else io.talk(`${role} ${name} (pid ${pid}) ${result}`)
      }
      io.answer(`lab ${folder.name} is down: ${stopped.length} processes stopped, nothing left\n`)
    }
    return exitCode('ok')
  },
})

import { type Command, defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'
import { DOCUMENT_FLAG, DRY_RUN_FLAG } from '../cli/global-flags.ts'

const inspect: Command = {
  name: 'inspect',
  summary: 'every process of the lab: role, name, pid, ports, alive or dead',
  group: 'lab',
  flags: [DOCUMENT_FLAG],
  examples: [
    { line: 'ambient lab inspect', says: 'works without the API' },
    { line: 'ambient lab inspect -o json', says: 'for scripts' },
    { line: 'ambient lab inspect -L bookinfo', says: 'another lab' },
  ],
  exits: ['unavailable'],
  async run(context) {
    const [{ inspectProcesses, askSupervisor }, { processRows }] = await Promise.all([
      import('@ambient-lab/lab'),
      import('../tasks/process-rows.ts'),
    ])
    const folder = await context.lab()
    const supervised = await askSupervisor(folder.socket, { op: 'status' }).catch(() => [])
    const rows = processRows(inspectProcesses(folder), supervised, context.clock.now())
    if (context.flags.word('output') === 'json') {
      context.io.answer(
        `${JSON.stringify({ schema: 'ambient.lab/inspect/1', lab: folder.name, path: folder.path, items: rows }, null, 2)}\n`,
      )
    } else {
      const { rowsText } = await import('../tasks/list-objects.ts')
      const cells = rows.map(({ role, name, pid, state, age, ports }) => [
        role,
        name,
        pid,
        state,
        age,
        portsText(ports),
      ])
      context.io.answer(rowsText(['ROLE', 'NAME', 'PID', 'STATE', 'AGE', 'PORTS'], cells))
    }
    return exitCode('ok')
  },
}

const list: Command = {
  name: 'list',
  aliases: ['ls'],
  summary: 'every lab on this machine',
  group: 'lab',
  flags: [DOCUMENT_FLAG],
  examples: [
    { line: 'ambient lab list', says: 'running ones, and what others left' },
    { line: 'ambient lab ls', says: 'the same' },
    { line: 'ambient lab list -o json', says: 'for scripts' },
  ],
  async run({ home, flags, io }) {
    const { inspectProcesses, listLabFolders } = await import('@ambient-lab/lab')
    const labs = listLabFolders(home).map((folder) => {
      const processes = inspectProcesses(folder)
      const alive = processes.filter((entry) => entry.alive).length
      const state = alive === 0 ? 'stopped' : alive === processes.length ? 'running' : 'degraded'
      return {
        name: folder.name,
        state,
        alive,
        processes: processes.length,
        api: folder.readLabJson()?.api ?? null,
        path: folder.path,
      }
    })
    if (flags.word('output') === 'json') {
      io.answer(`${JSON.stringify({ schema: 'ambient.lab/labs/1', items: labs }, null, 2)}\n`)
      return exitCode('ok')
    }
    const { rowsText } = await import('../tasks/list-objects.ts')
    const rows = labs.map(({ name, state, alive, processes, api, path }) => [
      name,
      state,
      `${alive}/${processes}`,
      api,
      path,
    ])
    if (rows.length === 0) io.talk('no labs: ambient up demo')
    else io.answer(rowsText(['NAME', 'STATE', 'PROCESSES', 'API', 'FOLDER'], rows))
    return exitCode('ok')
  },
}

const clean: Command = {
  name: 'clean',
  summary: 'remove what crashed labs left: orphans, records, locks, sockets, folders',
  group: 'lab',
  flags: [{ name: 'all', kind: 'boolean', summary: 'running labs too' }, DRY_RUN_FLAG, DOCUMENT_FLAG],
  examples: [
    { line: 'ambient lab clean --dry-run', says: 'what would go' },
    { line: 'ambient lab clean', says: 'labs whose supervisor is dead' },
    { line: 'ambient lab clean -L old --all', says: 'this one in any case' },
  ],
  exits: ['cannot create'],
  notes: 'A process is ended only when its record proves that it is ours: same pid, same start time.',
  async run({ home, flags, io, clock }) {
    const { clean: cleanLabs } = await import('@ambient-lab/lab')
    const name = flags.text('lab')
    const dryRun = flags.boolean('dry-run')
    const results = await cleanLabs(home, {
      clock,
      dryRun,
      all: flags.boolean('all'),
      ...(name === undefined ? {} : { name }),
    })
    if (flags.word('output') === 'json') {
      io.answer(`${JSON.stringify({ schema: 'ambient.lab/clean/1', dry_run: dryRun, items: results }, null, 2)}\n`)
      return exitCode('ok')
    }
    for (const { lab, stopped, stale } of results) {
      for (const { role, name: process, pid } of stopped)
        io.talk(`${dryRun ? 'would end' : 'ended'} ${role} ${process} (pid ${pid})`)
      for (const { role, name: process, pid } of stale) io.talk(`${role} ${process} (pid ${pid}) was gone`)
      io.answer(`lab ${lab} ${dryRun ? 'would be removed' : 'removed'}\n`)
    }
    if (results.length === 0) io.talk('nothing to clean')
    return exitCode('ok')
  },
}

export default defineCommand({
  name: 'lab',
  summary: 'labs of this machine and their processes',
  group: 'lab',
  verbs: [inspect, list, clean],
  examples: [
    { line: 'ambient lab list', says: 'which there are' },
    { line: 'ambient lab inspect', says: 'processes, pids, ports' },
    { line: 'ambient lab clean', says: 'after a crash' },
  ],
})

function portsText(ports: Readonly<Record<string, number>>): string {
  return Object.entries(ports)
    .map(([name, port]) => `${name}:${port}`)
    .join(' ')
}

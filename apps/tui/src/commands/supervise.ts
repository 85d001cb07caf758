import { defineCommand } from '../cli/command.ts'
import { exitCode } from '../cli/exit-codes.ts'

export default defineCommand({
  name: 'supervise',
  hidden: true,
  summary: 'be the parent of a lab’s processes; started by up, not by people',
  group: 'lab',
  flags: [
    { name: 'nodes', kind: 'text', value: 'NAME,…', default: '', summary: 'nodes to start at once' },
    { name: 'port', kind: 'number', value: 'PORT', summary: 'of the API' },
  ],
  examples: [{ line: 'ambient supervise --lab demo --nodes n1,n2', says: 'in the foreground, for debugging' }],
  exits: ['cannot create'],
  async run(context) {
    const [{ LabFolder, Supervisor }, { hostname }, { programs }] = await Promise.all([
      import('@ambient-lab/lab/supervisor'),
      import('node:os'),
      import('../tasks/programs.ts'),
    ])
    const { flags, clock, random, signal, io, home } = context
    const port = flags.number('port')
    const nodes = flags.word('nodes').split(',').filter(Boolean)
    const supervisor = new Supervisor({
      folder: new LabFolder(home, flags.text('lab') ?? ''),
      machine: hostname(),
      programs: programs(),
      nodes,
      ...(port === undefined ? {} : { port }),
      components: { clock, random, log: (line) => io.error(`${new Date(clock.now()).toISOString()} ${line}`) },
    })
    signal.addEventListener('abort', () => void supervisor.shutdown(), { once: true })
    process.on('SIGHUP', () => {}) // the terminal that started the lab may close
    for (const stream of [process.stdout, process.stderr]) {
      stream.removeAllListeners('error')
      stream.on('error', () => {}) // `up` reads one line and leaves, and the log's disk may be full
    }
    await supervisor.start()
    process.stdout.write(`${JSON.stringify({ listening: true, pid: process.pid })}\n`)
    await supervisor.ended
    return exitCode('ok')
  },
})
